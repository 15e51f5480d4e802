import assert from "node:assert/strict";
import { test } from "node:test";
import { Assembler } from "../ebpf/asm.js";
import { BurstAt, setRecord } from "../ebpf/burst.js";
import { XdpInstance } from "../ebpf/instance.js";
import { assembled, objectOf } from "../ebpf/object-fixture.js";
import { R0, R1, R2, R3 } from "../ebpf/registers.js";
import { XdpVerdict } from "../ebpf/xdp-verdict.js";
import { ChosenProgram } from "./chosen-program.js";

const SAMPLE = 4_096;
const UNTIL_NEXT = 1 << 20;

/** Runs a packet many times; every verdict must be this one. */
function runMany(chosen: ChosenProgram, packet: Uint8Array, times: number, verdict: number): void {
  assert.equal(chosen.run(packet).verdict, verdict);
  const { runtime } = chosen;
  const [at, end] = [runtime.dataAt, runtime.dataEnd];
  let others = 0;
  for (let n = 1; n < times; n++) {
    if (chosen.runAt(at, end, at - 256, end + 256) !== verdict) others++;
  }
  assert.equal(others, 0);
}

test("a program of a few instructions runs as a whole, is looked at again, and says why", () => {
  const chosen = new ChosenProgram(XdpInstance.open(objectOf("ipv6_filter"), { engine: "wasm" }));
  const ipv4 = new Uint8Array(60);
  ipv4.set([8, 0], 12);
  assert.equal(chosen.choice, "traces");
  runMany(chosen, ipv4, SAMPLE, XdpVerdict.DROP);
  assert.equal(chosen.runsTraces, true);
  runMany(chosen, ipv4, 1, XdpVerdict.DROP);
  assert.equal(chosen.runsTraces, false);
  assert.match(chosen.choice, /^the whole program, as traces pay from 100 on: 14 instructions/);
  const { packets } = chosen.traced.counters;
  runMany(chosen, ipv4, UNTIL_NEXT - 1, XdpVerdict.DROP);
  assert.equal(chosen.traced.counters.packets, packets);
  runMany(chosen, ipv4, SAMPLE, XdpVerdict.DROP);
  assert.ok(chosen.traced.counters.packets > packets);
  runMany(chosen, ipv4, 2, XdpVerdict.DROP);
  assert.equal(chosen.runsTraces, false);
});

test("bursts of packets that have no trace run as a whole, and are looked at again", () => {
  const a = new Assembler();
  a.load("u32", R2, R1, 0);
  a.load("u32", R3, R1, 4);
  a.mov(R0, R2);
  a.add(R0, 30);
  a.jumpIf(R0, ">", R3, "short");
  for (let n = 0; n < 14; n++) {
    a.load("u8", R0, R2, n);
    a.jumpIf(R0, ">", 127, `high${n}`);
    a.label(`high${n}`);
  }
  a.mov(R0, XdpVerdict.TX);
  a.label("short");
  a.exit();
  const chosen = new ChosenProgram(XdpInstance.open(assembled(a), { engine: "wasm" }));
  const { runtime } = chosen;
  const recordAt = runtime.memory.take(BurstAt.BYTES, "a record");
  chosen.run(new Uint8Array(60));
  const [at, end] = [runtime.dataAt, runtime.dataEnd];
  const run = (times: number, firstPath: number): void => {
    for (let n = 0; n < times; n++) {
      for (let bit = 0; bit < 14; bit++)
        runtime.bytes[at + bit] = (((firstPath + n) >> bit) & 1) * 255;
      setRecord(runtime.words, recordAt, [at, end, at - 256, end + 256]);
      assert.equal(chosen.runBurst(recordAt, 1), 1);
      assert.equal(runtime.words[(recordAt + BurstAt.VERDICT) >>> 2], XdpVerdict.TX);
    }
  };
  run(2 * SAMPLE, 0); // the first half have traces
  assert.equal(chosen.runsTraces, true);
  run(1, 0);
  assert.equal(chosen.runsTraces, false);
  assert.match(chosen.choice, /^the whole program, as many packets/);
  const { packets } = chosen.traced.counters;
  run(100, 0);
  assert.equal(chosen.traced.counters.packets, packets);
});

test("a program of many instructions stays with its traces", () => {
  const a = new Assembler();
  a.load("u32", R2, R1, 0);
  a.load("u32", R3, R1, 4);
  a.mov(R0, R2);
  a.add(R0, 20);
  a.jumpIf(R0, ">", R3, "short");
  a.load("u8", R0, R2, 14);
  for (let n = 0; n < 150; n++) a.add(R0, 1);
  a.mov(R0, XdpVerdict.TX);
  a.label("short");
  a.exit();
  const chosen = new ChosenProgram(XdpInstance.open(assembled(a), { engine: "wasm" }));
  runMany(chosen, new Uint8Array(60), 3 * SAMPLE, XdpVerdict.TX);
  assert.equal(chosen.runsTraces, true);
  assert.match(chosen.choice, /^traces: 15\d instructions a packet/);
  assert.ok(chosen.traced.counters.hits > 2 * SAMPLE);
});
