/** Programs that run as traces: which packets take one, what is shown of them, what makes them worthless. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Assembler } from "../ebpf/asm.js";
import { BurstAt } from "../ebpf/burst.js";
import { MapFlag, MapType } from "../ebpf/map-type.js";
import { assembled, mapDefinition, objectOf } from "../ebpf/object-fixture.js";
import { R0, R1, R2, R3, R4, R6, R10 } from "../ebpf/registers.js";
import { XdpVerdict } from "../ebpf/xdp-verdict.js";
import { FifoPolicy } from "./cache-fifo.js";
import { type TracedOptions, TracedProgram } from "./traced-program.js";
import { weakestEntries } from "./weakest.js";
import { Words } from "./words.js";

const ipv4 = frameOf(0x0800);
const ipv6 = frameOf(0x86dd);
const malformed = new Uint8Array(9);

function frameOf(type: number): Uint8Array {
  const frame = new Uint8Array(60);
  new DataView(frame.buffer).setUint16(12, type);
  return frame;
}

function conditions(traced: TracedProgram): string[] {
  const words = new Words(traced.tracer.e, traced.instance.runtime.maps);
  return traced.traces.map((trace) => {
    const atoms = trace.condition.atoms.map((atom) => words.atom(atom)).join(" && ");
    const effects = words.effects(trace).map((effect) => `${effect}; `);
    return `${atoms}: ${effects.join("")}${words.verdict(trace)}`;
  });
}

test("the example of JITNIC: a filter of IPv6 is two traces, and a third for malformed packets", () => {
  const traced = TracedProgram.open(objectOf("ipv6_filter"));
  const steps: readonly [Uint8Array, number, string[]][] = [
    // A cold miss: traced, then dropped by the host.
    [ipv4, XdpVerdict.DROP, ["length >= 14 && packet[12:14] != 0x86dd: XDP_DROP"]],
    [ipv4, XdpVerdict.DROP, []],
    // It does not meet the condition, and is traced, too.
    [ipv6, XdpVerdict.PASS, ["length >= 14 && packet[12:14] == 0x86dd: XDP_PASS"]],
    [ipv4, XdpVerdict.DROP, []],
    [ipv6, XdpVerdict.PASS, []],
    [malformed, XdpVerdict.PASS, ["length <= 13: XDP_PASS"]],
    [malformed, XdpVerdict.PASS, []],
  ];
  const shown: string[] = [];
  for (const [packet, verdict, fresh] of steps) {
    assert.equal(traced.run(packet).verdict, verdict);
    shown.push(...fresh);
    assert.deepEqual(conditions(traced), shown);
  }
  assert.deepEqual(traced.counters, { packets: 7, hits: 4, evicted: 0, traced: 3, hostOnly: 0 });
  // Straight lines: 14 instructions, none of which is left but the verdict.
  for (const { effects, before } of traced.traces) {
    assert.equal(effects.length, 0);
    assert.ok(before.every(({ kind }) => kind === "guard"));
  }
});

test("the example's thrashing: two entries, three kinds of packets, and no hit at all", () => {
  const traced = TracedProgram.open(objectOf("ipv6_filter"), {
    capacity: { entries: 2 },
    unit: "path",
    policy: new FifoPolicy(),
  });
  for (let n = 0; n < 30; n++) traced.run([ipv4, ipv6, malformed][n % 3]!);
  assert.deepEqual(traced.counters, { packets: 30, hits: 0, evicted: 27, traced: 3, hostOnly: 0 });
  assert.equal(traced.cache.evictions, 28);
  // Two of them pass, which is one action.
  for (const more of [{ entries: 3, unit: "path" }, { entries: 2 }] as const) {
    const { unit, ...capacity } = { unit: "merged" as const, ...more };
    const fits = TracedProgram.open(objectOf("ipv6_filter"), { capacity, unit });
    for (let n = 0; n < 30; n++) fits.run([ipv4, ipv6, malformed][n % 3]!);
    assert.equal(fits.counters.hits, 27);
  }
});

test("tests that make no difference are no part of the weakest condition", () => {
  const a = new Assembler();
  a.load("u32", R2, R1, 0);
  a.load("u32", R3, R1, 4);
  a.mov(R0, R2);
  a.add(R0, 20);
  a.jumpIf(R0, ">", R3, "short");
  a.mov(R0, XdpVerdict.TX);
  a.load("u8", R6, R2, 14);
  a.jumpIf(R6, "==", 7, "end");
  a.load("u8", R6, R2, 15);
  a.jumpIf(R6, "==", 7, "end");
  a.label("end");
  a.exit();
  a.label("short");
  a.mov(R0, XdpVerdict.DROP);
  a.exit();
  const traced = TracedProgram.open(assembled(a));
  for (const [x, y] of [
    [7, 0],
    [0, 7],
    [0, 0],
  ] as const) {
    const packet = new Uint8Array(40);
    packet.set([x, y], 14);
    assert.equal(traced.run(packet).verdict, XdpVerdict.TX);
  }
  traced.run(malformed);
  assert.equal(traced.traces.length, 4);
  const words = new Words(traced.tracer.e, []);
  const entries = weakestEntries(traced.tracer.build, traced.traces);
  const shown = entries.map(({ condition }) => condition.atoms.map((atom) => words.atom(atom)));
  assert.deepEqual(shown, [["length <= 19"], ["length >= 20"]]);
  assert.deepEqual(
    entries.map(({ traces }) => traces.length),
    [1, 3],
  );
});

/** A program whose result is in a map: read only for it, or also written by it. */
function constantProgram(flags: number, options: TracedOptions = {}): TracedProgram {
  const a = new Assembler();
  a.loadMapValue(R1, "numbers", 0);
  a.load("u32", R0, R1, 0);
  a.exit();
  const map = mapDefinition({
    name: "numbers",
    type: MapType.ARRAY,
    valueBytes: 4,
    maxEntries: 1,
    flags,
  });
  return TracedProgram.open(assembled(a, [map]), options);
}

const word = (n: number): Uint8Array => new Uint8Array(Uint32Array.of(n).buffer);

test("maps that programs only read are constants, until the host writes them", () => {
  const traced = constantProgram(MapFlag.RDONLY_PROG);
  traced.map("numbers").set(word(0), word(3));
  for (let n = 0; n < 3; n++) assert.equal(traced.run(ipv4).verdict, 3);
  assert.deepEqual(conditions(traced), [": XDP_TX"]);
  traced.map("numbers").set(word(0), word(1));
  for (let n = 0; n < 3; n++) assert.equal(traced.run(ipv4).verdict, 1);
  assert.deepEqual(traced.counters, { packets: 6, hits: 4, evicted: 0, traced: 2, hostOnly: 0 });
});

test("maps that hardly change can be constants, until the host or the program writes them", () => {
  const traced = constantProgram(0, { specialises: ["numbers"] });
  for (const value of [3, 3, 1, 1, 1]) {
    if (traced.map("numbers").get(word(0))![0] !== value)
      traced.map("numbers").set(word(0), word(value));
    assert.equal(traced.run(ipv4).verdict, value);
  }
  assert.equal(traced.counters.traced, 2);
  const a = new Assembler();
  a.loadMapValue(R1, "numbers", 0);
  a.load("u32", R0, R1, 0);
  a.load("u32", R2, R1, 4);
  a.add(R2, 1);
  a.store("u32", R1, 4, R2);
  a.jumpIf(R2, "<", 5, "end");
  a.store("u32", R1, 0, 2);
  a.label("end");
  a.exit();
  const map = mapDefinition({ name: "numbers", type: MapType.ARRAY, maxEntries: 1 });
  const options = { specialises: ["numbers"], verifies: false };
  const writing = TracedProgram.open(assembled(a, [map]), options);
  const verdicts = Array.from({ length: 8 }, () => writing.run(ipv4).verdict);
  assert.deepEqual(verdicts, [0, 0, 0, 0, 0, 2, 2, 2]);
});

test("traces that are forgotten leave nothing behind: no evictions, no number, no expressions", () => {
  const traced = constantProgram(0, { specialises: ["numbers"], capacity: { entries: 2 } });
  const { e } = traced.tracer;
  const first = e.count;
  traced.run(ipv4);
  const after = e.count;
  assert.ok(after > first);
  for (let n = 0; n < 20; n++) {
    traced.map("numbers").set(word(0), word(n));
    assert.equal(traced.run(ipv4).verdict, n);
  }
  assert.ok(e.count <= after + 1);
  assert.equal(traced.cache.size, 1);
  assert.equal(traced.cache.evictions, 0);
  traced.flush();
  assert.equal(traced.lastTrace, -1);
  assert.deepEqual([traced.cache.size, e.count, traced.traces.length], [0, first, 0]);
});

test("a program that made too many expressions is the host's, until its traces are forgotten", () => {
  const traced = TracedProgram.open(objectOf("ipv6_filter"));
  traced.run(ipv4);
  const { e } = traced.tracer;
  for (let n = 0; !e.isFull; n++) e.constant(BigInt(n));
  assert.equal(traced.run(ipv6).verdict, XdpVerdict.PASS);
  assert.equal(traced.run(ipv4).verdict, XdpVerdict.DROP);
  assert.deepEqual(traced.counters, { packets: 3, hits: 1, evicted: 0, traced: 1, hostOnly: 1 });
  traced.flush();
  assert.equal(traced.run(ipv6).verdict, XdpVerdict.PASS);
  assert.equal(traced.counters.traced, 2);
});

test("values of other maps are read for each packet", () => {
  const traced = constantProgram(0);
  for (let n = 0; n < 5; n++) {
    traced.map("numbers").set(word(0), word(n));
    assert.equal(traced.run(ipv4).verdict, n);
  }
  assert.equal(traced.counters.traced, 1);
});

test("a path whose guards depend on its own effects stays with the host, and says why", () => {
  const a = new Assembler();
  a.mov(R6, R1);
  a.store("u64", R10, -8, 0);
  for (const flags of [0, 0]) {
    a.loadMap(R1, "table");
    a.mov(R2, R10);
    a.add(R2, -8);
    a.mov(R3, R10);
    a.add(R3, -8);
    a.mov(R4, flags);
    a.call("map_update_elem");
  }
  a.jumpIf(R0, "!=", 0, "end");
  a.mov(R0, XdpVerdict.PASS);
  a.label("end");
  a.exit();
  const map = mapDefinition({ name: "table", type: MapType.HASH, keyBytes: 8, valueBytes: 8 });
  const traced = TracedProgram.open(assembled(a, [map]), { verifies: false });
  for (let n = 0; n < 4; n++) assert.equal(traced.run(ipv4).verdict, XdpVerdict.PASS);
  assert.deepEqual(traced.counters, { packets: 4, hits: 0, evicted: 0, traced: 1, hostOnly: 3 });
  assert.match(traced.traces[0]!.hostOnly!.reason, /changes table again/);
});

test("random numbers and times are the host's, in the same order", () => {
  const a = new Assembler();
  a.call("get_prandom_u32");
  a.mov(R6, R0);
  a.jumpIf(R6, ">", 0x4000_0000, "end");
  a.call("ktime_get_ns");
  a.add(R6, R0);
  a.label("end");
  a.mov(R0, R6);
  a.exit();
  const traced = TracedProgram.open(assembled(a), { seed: 5 });
  const whole = TracedProgram.open(assembled(a), { seed: 5, capacity: { entries: 0 } });
  for (let n = 0n; n < 200n; n++) {
    for (const one of [traced, whole]) one.instance.runtime.setTime(n * 1_000_000_007n);
    assert.equal(traced.run(ipv4).verdict, whole.run(ipv4).verdict);
  }
  assert.equal(traced.counters.traced, 2);
});

test("new traces wait for packets before they are compiled, and count as traces", () => {
  const kinds = [ipv4, ipv6, malformed];
  const verdicts = [XdpVerdict.DROP, XdpVerdict.PASS, XdpVerdict.PASS];
  for (const compilesAfter of [0, 1, 4, 1_000]) {
    const traced = TracedProgram.open(objectOf("ipv6_filter"), {
      compilesAfter,
      capacity: { entries: 2 },
      unit: "path",
      policy: new FifoPolicy(),
    });
    // The third comes in for the first, which then is the host's until it comes in for the second.
    for (const n of [0, 0, 1, 1, 2, 2, 1, 0, 0, 2, 1, 1]) {
      assert.equal(traced.run(kinds[n]!).verdict, verdicts[n]);
      assert.equal(traced.lastTrace < 0 ? -2 - traced.lastTrace : traced.lastTrace, n);
    }
    const expected = { packets: 12, hits: 7, evicted: 2, traced: 3, hostOnly: 0 };
    assert.deepEqual(traced.counters, expected, `after ${compilesAfter}`);
    assert.equal(traced.refused, 0);
  }
});

test("a batch of packets is matched as each of them alone", () => {
  const traced = TracedProgram.open(objectOf("ipv6_filter"));
  const kinds = [ipv4, ipv6, malformed];
  for (const packet of kinds) traced.run(packet);
  traced.cache.evict(1);
  const { memory, words } = traced.runtime;
  const order = [2, 0, 1, 1, 0, 2, 0];
  const recordsAt = memory.take(order.length * BurstAt.BYTES, "records");
  for (const [n, kind] of order.entries()) {
    const at = memory.take(256, "a packet");
    memory.bytes.set(kinds[kind]!, at);
    const place = [at, at + kinds[kind]!.length, at, at + 256];
    words.set(place, (recordsAt + n * BurstAt.BYTES) >>> 2);
  }
  const answers = (count: number): number[] => {
    traced.batchMatcher()(recordsAt, count);
    return order.map((_, n) => words[(recordsAt + n * BurstAt.BYTES + BurstAt.TRACE) >>> 2]! | 0);
  };
  assert.deepEqual(answers(0), [0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(answers(order.length), [2, 0, -3, -3, 0, 2, 0]);
});
