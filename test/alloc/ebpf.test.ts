/** XDP programs allocate nothing per packet: at most two collections in 400,000 packets. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type EngineName, XdpInstance } from "../../src/ebpf/instance.js";
import { parseObject } from "../../src/ebpf/object.js";
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
