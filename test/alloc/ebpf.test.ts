/** XDP programs allocate nothing per packet: at most two collections in 400,000 packets. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type EngineName, XdpInstance } from "../../src/ebpf/instance.js";
import { parseObject } from "../../src/ebpf/object.js";
import { attachProgram } from "../../src/nic/attach-program.js";
import { FakeDevice } from "../../src/nic/frame-fixture.js";
import { takeFor } from "../../src/nic/frame-slots.js";
import { Batch } from "../../src/ring/batch.js";
import { createPool } from "../../src/socket/create-host.js";
import { TracedProgram } from "../../src/xdp/traced-program.js";
import { frame } from "../vectors/frames.js";
import { fewestCollections } from "./collections.js";

const PACKETS = 400_000;
const HEADROOM_BYTES = 256;
const FRAME_BYTES = 3_776;

for (const name of ["ddos_guard", "tunnel", "ipv6_filter"]) {
  for (const engine of ["interp", "wasm", "trace"] satisfies (EngineName | "trace")[]) {
    test(`${name} on packets in place, ${engine}: nothing is allocated`, async () => {
      const file = new URL(`../../../fuzz/corpus/elf/${name}.o`, import.meta.url);
      const host = engine === "trace" ? "wasm" : engine;
      const instance = XdpInstance.open(parseObject(readFileSync(file)), { engine: host });
      // With a limit, so that the policy has to be told of each packet.
      const limited = { capacity: { entries: 4 } };
      const runner = engine === "trace" ? new TracedProgram(instance, limited) : instance;
      instance.run(frame("udp"), {}, runner);
      const { dataAt, dataEnd } = instance.runtime;
      const hardStart = dataAt - HEADROOM_BYTES;
      const n = await fewestCollections(() => {
        for (let i = 0; i < PACKETS; i++) {
          runner.runAt(dataAt, dataEnd, hardStart, hardStart + FRAME_BYTES);
        }
      }, 2);
      assert.ok(n <= 2, `${n} collections`);
    });
  }
}

/** Hands on the same frames again and again, and takes those that are sent as if they went. */
class Circle extends FakeDevice {
  override receive(_nowUs: number, batch: Batch): void {
    for (let i = 0; i < FRAMES; i++) {
      const slot = takeFor(this.pool, BYTES.length);
      this.pool.bytes.set(BYTES, this.pool.at[slot]!);
      batch.put(slot);
    }
  }

  override transmit(_nowUs: number, batch: Batch): number {
    for (let i = 0; i < batch.n; i++) this.pool.give(batch.slots[i]!);
    return batch.n;
  }
}

const FRAMES = 32;
const BYTES = frame("udp");

for (const name of ["ddos_guard", "tunnel"]) {
  for (const engine of ["interp", "wasm", "trace"] satisfies (EngineName | "trace")[]) {
    test(`${name} in front of a device, ${engine}: nothing is allocated`, async () => {
      const file = new URL(`../../../fuzz/corpus/elf/${name}.o`, import.meta.url);
      const pool = createPool({ smallSlots: 256, bigSlots: 64, peerBytes: 64 << 20 });
      const object = parseObject(readFileSync(file));
      // With a limit, so that the policy has to be told of each packet of a burst.
      const limited = { capacity: { entries: 4 } };
      const device = attachProgram(new Circle(pool), pool, object, {
        engine: engine === "trace" ? "wasm" : engine,
        ...(engine === "trace" ? { wrap: (one) => new TracedProgram(one, limited) } : {}),
      });
      const batch = new Batch();
      let nowUs = 1_700_000_000_000_000;
      const n = await fewestCollections(() => {
        for (let i = 0; i < PACKETS / FRAMES; i++) {
          device.receive(nowUs++, batch);
          for (let k = 0; k < batch.n; k++) pool.give(batch.slots[k]!);
          batch.n = 0;
        }
      }, 2);
      assert.ok(n <= 2, `${n} collections`);
      const { xdpErrors, xdpPass, xdpDrop } = device.programCounters.snapshot();
      assert.ok(xdpErrors === 0 && xdpPass + xdpDrop > 0);
      device.close();
    });
  }
}
