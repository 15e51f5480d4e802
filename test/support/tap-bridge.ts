/**
 * Joins two network namespaces by a link that loses, duplicates, reorders and delays: two TAP
 * devices with the fault injector between them, the same that Millrace hosts are tested behind.
 * So "Linux to Linux through the same injected faults" is measured with the same code.
 *
 *     node tap-bridge.js NAMESPACE_A ADDRESS_A/BITS NAMESPACE_B ADDRESS_B/BITS SEED FAULTS
 *
 * FAULTS is a JSON object of FaultOptions, used in both directions. Prints `ready` and runs until it
 * is ended. Spins: it stands in for hardware.
 */
import { execFileSync } from "node:child_process";
import { setImmediate as nextTurn } from "node:timers/promises";
import { monotonicUs } from "../../src/nic/clock.js";
import { FaultInjector } from "../../src/nic/fault-injector.js";
import { openTap } from "../../src/nic/tap.js";
import { Arena } from "../../src/ring/arena.js";
import { Batch } from "../../src/ring/batch.js";
import { Pool, PoolMemory } from "../../src/ring/pool.js";

const [namespaceA, addressA, namespaceB, addressB, seed, faults] = process.argv.slice(2);
const size = { smallSlots: 16_384, bigSlots: 256 };
const pool = new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(size)), size));
const options = JSON.parse(faults ?? "{}");

const a = openTap(pool, { name: "bridge-a%d" });
const b = openTap(pool, { name: "bridge-b%d" });
move(a.name, namespaceA!, addressA!);
move(b.name, namespaceB!, addressB!);
const left = new FaultInjector(a, pool, { seed: Number(seed), rx: options, tx: options });
console.log("ready");

const [toLeft, toRight] = [new Batch(), new Batch()];
for (let turn = 0; ; turn++) {
  const nowUs = monotonicUs();
  left.receive(nowUs, toRight);
  b.receive(nowUs, toLeft);
  toRight.drop(b.transmit(nowUs, toRight));
  toLeft.drop(left.transmit(nowUs, toLeft));
  left.flush(nowUs);
  b.flush(nowUs);
  if (turn % 1024 === 0) await nextTurn(); // lets a signal end the process
}

/** Gives an interface to a namespace; its descriptor stays here. */
function move(name: string, namespace: string, address: string): void {
  const ip = (...args: string[]): void => void execFileSync("ip", args);
  ip("link", "set", name, "netns", namespace);
  ip("-n", namespace, "address", "add", address, "dev", name);
  ip("-n", namespace, "link", "set", name, "up");
}
