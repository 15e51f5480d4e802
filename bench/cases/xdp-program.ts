/**
 * Frames that an XDP program drops, counted where it runs:
 *
 *     xdp-program.js wasm|interp|trace|kernel INTERFACE OBJECT MILLISECONDS   prints one JSON line
 *
 * `kernel`: generic mode of the kernel. Otherwise AF_XDP in generic mode, and the program in front of the device. The
 * object is examples/xdp/acl.c; what comes from 10.77.2.0/24 is dropped.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { EngineName } from "../../src/ebpf/instance.js";
import { parseObject } from "../../src/ebpf/object.js";
import { attachProgram } from "../../src/nic/attach-program.js";
import { monotonicUs } from "../../src/nic/clock.js";
import { KernelObject } from "../../src/nic/kernel-object.js";
import { openXdp } from "../../src/nic/xdp.js";
import { Batch } from "../../src/ring/batch.js";
import { createPool } from "../../src/socket/create-host.js";
import { XdpLink } from "../../src/sys/xdp-link.js";
import { TracedProgram } from "../../src/xdp/traced-program.js";

const [engine, name, file, milliseconds] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
];
const durationUs = Number(milliseconds) * 1e3;
const object = parseObject(readFileSync(file));
const key = Uint8Array.of(24, 0, 0, 0, 10, 77, 2, 0);
const rule = new Uint8Array(16).fill(1, 0, 1);
process.stdout.write("ready\n");

function here(): object {
  const pool = createPool({ smallSlots: 4_096, bigSlots: 64 });
  const device = openXdp(pool, { interface: name, mode: "generic" });
  const isTraced = engine === "trace";
  const attached = attachProgram(device, pool, object, {
    engine: isTraced ? "wasm" : (engine as EngineName),
    ...(isTraced ? { wrap: (instance) => new TracedProgram(instance) } : {}),
  });
  attached.instance.map("sources4").set(key, rule);
  const batch = new Batch();
  const drops = attached.programCounters.index("xdpDrop");
  const { values } = attached.programCounters;
  let startUs = 0;
  let before = 0;
  let nowUs = monotonicUs();
  while (startUs === 0 || nowUs - startUs < durationUs) {
    attached.receive(nowUs, batch);
    for (let i = 0; i < batch.n; i++) pool.give(batch.slots[i]!);
    batch.n = 0;
    nowUs = monotonicUs();
    if (startUs > 0 || values[drops]! < WARM_UP_FRAMES) continue;
    startUs = nowUs;
    before = values[drops]!;
  }
  const n = values[drops]! - before;
  return { msgs_per_s: Math.round((n / (nowUs - startUs)) * 1e6) };
}

const WARM_UP_FRAMES = 100_000;

async function kernel(): Promise<object> {
  const loaded = KernelObject.load(object, { program: "acl" });
  loaded.map("sources4").update(key, rule);
  const link = XdpLink.attach({ interfaceName: name, programFd: loaded.fd, mode: "generic" });
  const value = new Uint8Array(16);
  const hits = (): number => {
    loaded.map("sources4").lookup(key, value);
    return Number(new DataView(value.buffer).getBigUint64(8, true));
  };
  while (hits() < WARM_UP_FRAMES) await sleep(10);
  const [before, startUs] = [hits(), monotonicUs()];
  await sleep(durationUs / 1e3);
  const n = hits() - before;
  const result = { msgs_per_s: Math.round((n / (monotonicUs() - startUs)) * 1e6) };
  link.close();
  loaded.close();
  return result;
}

console.log(JSON.stringify(engine === "kernel" ? await kernel() : here()));
process.exit(0);
