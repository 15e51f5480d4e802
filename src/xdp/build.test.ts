/** Simplified expressions have the values that plain ones have, whatever the packet. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { LinearMemory } from "../ebpf/linear-memory.js";
import { Runtime } from "../ebpf/runtime.js";
import { Builder } from "./build.js";
import { Evaluator } from "./evaluate.js";
import { Ex, Expressions, NONE } from "./expr.js";
import { Facts } from "./facts.js";

const PACKET_BYTES = 64;

const runtime = new Runtime(LinearMemory.create(65_536));
const frameAt = runtime.memory.take(1024, "a frame");

/** A packet in the runtime, and the evaluator on it. */
function begin(e: Expressions, bytes: Uint8Array): Evaluator {
  const at = frameAt + 256;
  runtime.bytes.set(bytes, at);
  runtime.begin(at, at + bytes.length, frameAt, frameAt + 1024);
  const values = new Evaluator(e, runtime);
  values.begin();
  return values;
}

type Make = (
  b: Builder,
  plain: (op: number, a: number, c?: number) => number,
) => readonly [simple: number, plain: number];

const word = 0xffff_ffffn;

/** Numbers in which rules have their edges. */
const constants = fc.oneof(
  fc.constantFrom(0n, 1n, 2n, 4n, 8n, 15n, 16n, 31n, 32n, 48n, 56n, 63n, 0xffn, 0xffffn, word),
  fc.constantFrom(-1n, -2n, -14n, 0x80n, 0x8000n, 1n << 31n, 1n << 32n, 1n << 63n),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
);

const BINARY = "add sub mul and or xor shl shr sar eq ltu lts div mod sdiv smod".split(" ");
const UNARY = "ext8 ext16 ext32 swap16 swap32 swap64 not".split(" ");

const tree: fc.Arbitrary<Make> = fc.letrec<{ node: Make }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 6, depthSize: "medium" },
    constants.map(
      (value): Make =>
        (b) => [b.number(value), b.number(value)],
    ),
    fc.tuple(fc.integer({ min: 0, max: 56 }), fc.constantFrom(1, 2, 4, 8)).map(
      ([at, size]): Make =>
        (b) => [b.load(NONE, at, size), b.load(NONE, at, size)],
    ),
    fc.constant<Make>((b) => [b.length, b.length]),
    fc.tuple(fc.constantFrom(...BINARY), tie("node"), tie("node")).map(
      ([name, left, right]): Make =>
        (b, plain) =>
          binary(name, b, plain, left, right),
    ),
    fc.tuple(fc.constantFrom(...UNARY), tie("node")).map(
      ([name, inner]): Make =>
        (b, plain) =>
          unary(name, b, plain, inner),
    ),
  ),
})).node;

const OPS: Record<string, number> = {
  add: Ex.ADD,
  sub: Ex.SUB,
  mul: Ex.MUL,
  and: Ex.AND,
  or: Ex.OR,
  xor: Ex.XOR,
  shl: Ex.SHL,
  shr: Ex.SHR,
  sar: Ex.SAR,
  eq: Ex.EQ,
  ltu: Ex.LTU,
  lts: Ex.LTS,
  div: Ex.DIV,
  mod: Ex.MOD,
  sdiv: Ex.SDIV,
  smod: Ex.SMOD,
  ext8: Ex.SEXT8,
  ext16: Ex.SEXT16,
  ext32: Ex.SEXT32,
  swap16: Ex.SWAP16,
  swap32: Ex.SWAP32,
  swap64: Ex.SWAP64,
};

type Plain = (op: number, a: number, c?: number) => number;

function binary(name: string, b: Builder, plain: Plain, left: Make, right: Make) {
  const [a, x] = left(b, plain);
  const [c, y] = right(b, plain);
  const op = OPS[name]!;
  const isDivision = op >= Ex.DIV && op <= Ex.SMOD;
  const simple = isDivision
    ? b.divide(op, a, c)
    : b[name as "add" | "sub" | "mul" | "and" | "or" | "xor" | "shl" | "shr" | "sar" | "eq"](a, c);
  return [simple, plain(op, x, y)] as const;
}

function unary(name: string, b: Builder, plain: Plain, inner: Make) {
  const [a, x] = inner(b, plain);
  if (name === "not") {
    const isNothing = b.eq(a, b.zero);
    return [b.not(isNothing), plain(Ex.EQ, plain(Ex.EQ, x, b.zero), b.zero)] as const;
  }
  const bits = Number(name.replace(/\D/g, ""));
  const simple = name.startsWith("ext") ? b.extend(bits, a) : b.swap(bits, a);
  return [simple, plain(OPS[name]!, x)] as const;
}

test("an expression that is simplified has the value of the one that is not", () => {
  const packet = fc.uint8Array({ minLength: PACKET_BYTES, maxLength: PACKET_BYTES });
  fc.assert(
    fc.property(tree, packet, (make, bytes) => {
      const e = new Expressions();
      const b = new Builder(e);
      const [simple, plain] = make(b, (op, a, c = NONE) => e.node(op, a, c, 0, 0));
      const values = begin(e, bytes);
      assert.equal(values.of(simple), values.of(plain));
      assert.equal(values.of(simple) & ~e.may[simple]!, 0n, "bits that may not be there");
    }),
    { numRuns: 4_000 },
  );
});

test("what facts say of a value is so", () => {
  const packet = fc.uint8Array({ minLength: PACKET_BYTES, maxLength: PACKET_BYTES });
  fc.assert(
    fc.property(
      fc.array(tree, { minLength: 2, maxLength: 8 }),
      constants,
      packet,
      (makes, c, bytes) => {
        const e = new Expressions();
        const b = new Builder(e);
        const facts = new Facts(e);
        const values = begin(e, bytes);
        const nodes = makes.map((make) => make(b, (op, a, x = NONE) => e.node(op, a, x, 0, 0))[0]);
        for (const [n, node] of nodes.entries()) {
          const other = n % 2 === 0 ? b.number(c) : nodes[(n + 1) % nodes.length]!;
          for (const made of [
            b.eq(node, b.number(values.of(node))),
            b.ltu(node, other),
            b.eq(node, other),
          ]) {
            const [test] = b.positive(made);
            if (e.isConstant(test)) continue;
            const holds = values.holds(test);
            const known = facts.test(test);
            if (known !== null) assert.equal(known, holds);
            facts.assume(test, holds);
          }
          const { least, most } = facts.interval(node);
          const value = values.of(node);
          assert.ok(value >= least && value <= most, `${least} <= ${value} <= ${most}`);
          assert.ok(facts.exactOf(node) === null || facts.exactOf(node) === value);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

test("bytes that are put together are one load", () => {
  const e = new Expressions();
  const b = new Builder(e);
  const byte = (at: number, shift: number): number => b.shl(b.load(NONE, at, 1), b.number(shift));
  assert.equal(b.or(byte(13, 8), byte(12, 0)), b.load(NONE, 12, 2));
  assert.equal(
    b.or(b.or(b.or(byte(3, 24), byte(2, 16)), byte(1, 8)), byte(0, 0)),
    b.load(NONE, 0, 4),
  );
  assert.equal(b.or(byte(12, 8), byte(13, 0)), b.swap(16, b.load(NONE, 12, 2)));
});

test("byte swaps on both sides of a comparison cancel", () => {
  const e = new Expressions();
  const b = new Builder(e);
  const type = b.load(NONE, 12, 2);
  assert.equal(b.eq(b.swap(16, type), b.number(0x86dd)), b.eq(type, b.number(0xdd86)));
});

test("ends of packets compare by their lengths", () => {
  const e = new Expressions();
  const b = new Builder(e);
  const end = b.add(b.packet, b.length);
  const after = b.add(b.add(b.packet, b.number(14)), b.number(20));
  assert.equal(b.ltu(end, after), b.ltu(b.length, b.number(34)));
});

test("what was made of nodes that are forgotten is forgotten, too", () => {
  const e = new Expressions();
  const build = new Builder(e);
  const { count } = e;
  const sum = (at: number, by: number): number =>
    build.add(build.load(NONE, at, 1), build.number(by));
  sum(1, 5);
  build.truncate(count);
  // The same numbers of nodes, which are others.
  const other = sum(2, 7);
  assert.ok(other < e.count);
  assert.deepEqual([e.op[other], e.low[e.a[other]!], e.low[e.b[other]!]], [Ex.ADD, 2, 7]);
});
