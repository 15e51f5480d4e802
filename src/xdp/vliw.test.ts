import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { Assembler } from "../ebpf/asm.js";
import { R0, R1, R2, R3, R10 } from "../ebpf/registers.js";
import { formatRows, HXDP_MACHINE, schedule, type VliwKind, type VliwOperation } from "./vliw.js";
import { formatProgram, scheduleProgram } from "./vliw-program.js";

const op = (kind: VliwKind, needs: number[] = [], rest = {}): VliwOperation => ({
  kind,
  text: kind,
  needs,
  ...rest,
});

test("independent operations share rows, as many as there are lanes", () => {
  const { rows, cycles } = schedule(Array(9).fill(op("alu")), HXDP_MACHINE);
  assert.deepEqual(
    rows.map((row) => row.length),
    [4, 4, 1],
  );
  assert.equal(cycles, 3);
});

test("a lookup's users wait for its latency, and other work fills the rows", () => {
  const operations = [op("lookup"), op("alu"), op("alu", [1]), op("guard", [0])];
  const { row, cycles } = schedule(operations, HXDP_MACHINE);
  assert.deepEqual(row, [0, 0, 1, 4]);
  assert.equal(cycles, 5);
  const fast = { ...HXDP_MACHINE, latency: { ...HXDP_MACHINE.latency, lookup: 1 } };
  assert.equal(schedule(operations, fast).cycles, 2);
});

test("the longest chain is started first", () => {
  const operations = [op("alu"), op("alu"), op("alu"), op("alu"), op("alu"), op("alu", [4])];
  assert.deepEqual(schedule(operations, HXDP_MACHINE).rows, [
    [4, 0, 1, 2],
    [3, 5],
  ]);
});

/** Random operations that wait for random earlier ones. */
const kinds = fc.constantFrom<VliwKind>(
  "alu",
  "load",
  "store",
  "lookup",
  "helper",
  "guard",
  "multiply",
);
const earlier = fc.array(fc.nat(), { maxLength: 3 });
const graphs = fc.array(fc.tuple(kinds, earlier, earlier, earlier), { maxLength: 40 }).map((all) =>
  all.map(([kind, needs, after, notBefore], n) => {
    const places = (list: number[]): number[] => (n === 0 ? [] : list.map((one) => one % n));
    return op(kind, places(needs), { after: places(after), notBefore: places(notBefore) });
  }),
);
const machines = fc.record({
  lanes: fc.integer({ min: 1, max: 8 }),
  memoryPorts: fc.integer({ min: 1, max: 4 }),
  helperPorts: fc.integer({ min: 1, max: 2 }),
  guardsPerRow: fc.integer({ min: 1, max: 4 }),
});

test("every schedule keeps every wait, every lane and every port", () => {
  fc.assert(
    fc.property(graphs, machines, (operations, shape) => {
      const machine = { ...HXDP_MACHINE, ...shape };
      const { row, rows, cycles } = schedule(operations, machine);
      for (const [n, { needs, after, notBefore, kind }] of operations.entries()) {
        for (const b of needs) {
          assert.ok(row[n]! >= row[b]! + machine.latency[operations[b]!.kind]);
        }
        for (const b of after!) assert.ok(row[n]! > row[b]!);
        for (const b of notBefore!) assert.ok(row[n]! >= row[b]!);
        assert.ok(row[n]! + machine.latency[kind] <= cycles);
      }
      assert.deepEqual(
        rows.flat().sort((a, b) => a - b),
        [...operations.keys()],
      );
      for (const taken of rows) {
        const count = (...some: VliwKind[]): number =>
          taken.filter((n) => some.includes(operations[n]!.kind)).length;
        assert.ok(taken.length <= machine.lanes);
        assert.ok(count("load", "store") <= machine.memoryPorts);
        assert.ok(count("lookup", "helper") <= machine.helperPorts);
        assert.ok(count("guard") <= machine.guardsPerRow);
      }
    }),
  );
});

test("rows are printed with one column a lane", () => {
  const operations = [op("alu"), op("load"), op("guard", [1])];
  assert.deepEqual(formatRows(operations, schedule(operations, HXDP_MACHINE), 2), [
    "   0 | load                           | alu",
    "   1 | guard                          | -",
  ]);
});

test("a program's blocks: loads and independent arithmetic in one row, the branch last", () => {
  const assembler = new Assembler();
  assembler.load("u32", R2, R1, 4);
  assembler.load("u32", R1, R1, 0);
  assembler.mov(R3, R1);
  assembler.add(R3, 14);
  assembler.mov(R0, 1);
  assembler.jumpIf(R3, ">", R2, "end");
  assembler.load("u8", R3, R1, 12);
  assembler.store("u8", R10, -8, R3);
  assembler.load("u8", R0, R10, -8);
  assembler.label("end");
  assembler.exit();
  const { code } = assembler.assemble();
  const program = { code, maps: [], functions: [{ name: "f", at: 0 }], lines: [] };
  const scheduled = scheduleProgram(program, HXDP_MACHINE);
  assert.equal(scheduled.instructions, 10);
  assert.deepEqual(
    scheduled.blocks.map((block) => block.schedule.row),
    [[0, 0, 1, 2, 0, 3], [0, 1, 2], [0]],
  );
  assert.equal(scheduled.rows, 8);
  assert.equal(formatProgram(scheduled, 4)[0], "0:");
});
