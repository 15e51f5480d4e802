import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Random } from "../base/random.js";
import { Assembler } from "../ebpf/asm.js";
import type { MapDefinition } from "../ebpf/map-definition.js";
import { MapType } from "../ebpf/map-type.js";
import { type BpfObject, parseObject } from "../ebpf/object.js";
import { R0, R1, R2, R3, R4, R10 } from "../ebpf/registers.js";
import { mutatePacket } from "./hostile.js";
import type { Trace } from "./trace.js";
import { TracedProgram } from "./traced-program.js";
import { formatRows, HXDP_MACHINE } from "./vliw.js";
import { scheduleTrace, type VliwTrace } from "./vliw-trace.js";

/** An IPv4 datagram without options, of no protocol in particular. */
const IPV4 = Uint8Array.from({ length: 64 }, (_, n) => n);
IPV4.set([8, 0, 0x45], 12);

function map(name: string, type: number): MapDefinition {
  return {
    name,
    type,
    keyBytes: 4,
    valueBytes: 8,
    maxEntries: 256,
    flags: 0,
    inner: null,
    initial: null,
    entries: [],
    keyType: 0,
    valueType: 0,
  };
}

/** The rows of the trace that a packet takes through a program written by calls. */
function rowsOf(maps: readonly MapDefinition[], write: (a: Assembler) => void): string[] {
  const assembler = new Assembler();
  // Data in r2, its end in r3; shorter packets than 40 bytes leave at once.
  assembler.load("u32", R2, R1, 0);
  assembler.load("u32", R3, R1, 4);
  assembler.mov(R0, R2);
  assembler.add(R0, 40);
  assembler.jumpIf(R0, ">", R3, "out");
  write(assembler);
  assembler.label("out");
  assembler.mov(R0, 2);
  assembler.exit();
  const { code, maps: references } = assembler.assemble();
  const functions = [{ name: "p", at: 0 }];
  const program = {
    name: "p",
    section: "xdp",
    problem: null,
    code,
    maps: references,
    functions,
    lines: [],
  };
  const object: BpfObject = { programs: [program], maps, license: "", btf: null };
  const traced = TracedProgram.open(object, { seed: 1 });
  traced.run(IPV4);
  const { operations, schedule } = scheduleTrace(traced.traces[0]!, traced.tracer.e, HXDP_MACHINE);
  return formatRows(operations, schedule, 4).map((line) =>
    line
      .slice(7)
      .split("|")
      .map((cell) => cell.trim())
      .filter((cell) => cell !== "-")
      .join(", "),
  );
}

test("a field read byte by byte and put together by shifts is one load", () => {
  const rows = rowsOf([], (a) => {
    a.load("u8", R3, R2, 12);
    a.load("u8", R4, R2, 13);
    a.lsh(R4, 8);
    a.or(R4, R3);
    a.jumpIf(R4, "!=", 8, "out");
  });
  assert.deepEqual(rows, ["u16 packet+12, guard length", "guard u16 packet+12, exit"]);
});

test("addresses exchanged in halves are two loads and two stores, after the guards", () => {
  const rows = rowsOf([], (a) => {
    for (const at of [0, 2, 4]) {
      a.load("u16", R3, R2, at);
      a.load("u16", R4, R2, at + 6);
      a.store("u16", R2, at, R4);
      a.store("u16", R2, at + 6, R3);
    }
  });
  assert.deepEqual(rows, [
    "guard length, u48 packet+6, u48 packet+0",
    "store u48 packet+0, store u48 packet+6, exit",
  ]);
});

test("a counter of an array: a lookup by the packet's byte, four cycles, and an addition in memory", () => {
  const rows = rowsOf([map("counters", MapType.ARRAY)], (a) => {
    a.load("u8", R3, R2, 23);
    a.store("u32", R10, -4, R3);
    a.loadMap(R1, "counters");
    a.mov(R2, R10);
    a.add(R2, -4);
    a.call("map_lookup_elem");
    a.jumpIf(R0, "==", 0, "out");
    a.load("u64", R1, R0, 0);
    a.add(R1, 1);
    a.store("u64", R0, 0, R1);
  });
  assert.equal(rows.length, 6);
  assert.match(rows[0]!, /^u8 packet\+23/);
  assert.match(rows[1]!, /^index map 0/);
  assert.match(rows[5]!, /^add u64 map 0 .*, exit$/);
});

test("a key of neighbouring fields, in whatever order, is one load and the lookup", () => {
  const rows = rowsOf([{ ...map("flows", MapType.HASH), keyBytes: 8 }], (a) => {
    a.load("u32", R3, R2, 26);
    a.store("u32", R10, -4, R3);
    a.load("u32", R3, R2, 30);
    a.store("u32", R10, -8, R3);
    a.loadMap(R1, "flows");
    a.mov(R2, R10);
    a.add(R2, -8);
    a.call("map_lookup_elem");
    a.jumpIf(R0, "!=", 0, "out");
  });
  assert.deepEqual(rows, [
    "u64 packet+26, guard length",
    "lookup map 0",
    "",
    "",
    "",
    "guard lookup map 0, exit",
  ]);
});

/** What must hold of every schedule of a trace. */
function check(trace: Trace, { operations, schedule, guards }: VliwTrace): void {
  const rowsOfKind = (kind: string): number[] =>
    schedule.row.filter((_, n) => operations[n]!.kind === kind);
  const lastGuard = Math.max(-1, ...rowsOfKind("guard"));
  const text = `trace ${trace.id}`;
  for (const row of rowsOfKind("store")) assert.ok(row > lastGuard, text);
  const [exit] = rowsOfKind("exit");
  assert.ok(
    schedule.row.every((row, n) => row <= exit! || operations[n]!.kind === "lookup"),
    text,
  );
  assert.ok(schedule.cycles >= exit! + 1, text);
  const atoms = trace.condition.atoms.length;
  assert.ok(guards >= atoms && guards <= 2 * atoms, text);
}

test("of real programs on hostile packets: effects come after every guard, the exit comes last", () => {
  let traces = 0;
  for (const name of ["ddos_guard", "tunnel", "vlan_gate", "ipv6_filter"]) {
    const file = new URL(`../../../fuzz/corpus/elf/${name}.o`, import.meta.url);
    const object = parseObject(readFileSync(file));
    for (const program of object.programs) {
      const traced = TracedProgram.open(object, { program: program.name, seed: 1 });
      const random = new Random(1);
      for (let n = 0; n < 300; n++) traced.run(mutatePacket(IPV4, 3, random));
      for (const trace of traced.traces) {
        const scheduled = scheduleTrace(trace, traced.tracer.e, HXDP_MACHINE);
        check(trace, scheduled);
        const byTable = scheduleTrace(trace, traced.tracer.e, HXDP_MACHINE, {
          packetGuards: "tcam",
        });
        assert.ok(byTable.schedule.cycles <= scheduled.schedule.cycles + 1);
        traces++;
      }
    }
  }
  assert.ok(traces >= 12, `${traces} traces`);
});
