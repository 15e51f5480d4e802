/** Assembled programs in this kernel: what instructions compute, against BigInt arithmetic. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../src/base/random.js";
import { type AluName, Assembler } from "../../src/ebpf/asm.js";
import { disassemble } from "../../src/ebpf/disasm.js";
import { R0, R1, R2, R3, R6, R10 } from "../../src/ebpf/registers.js";
import { loadProgram, ProgramType, testRun } from "../../src/sys/bpf-program.js";
import { closeFd } from "../../src/sys/fd.js";
import { enterNamespace, needsRoot } from "../support/namespace.js";
import { seed } from "../support/property.js";

await enterNamespace(import.meta.url);
const options = { skip: needsRoot() };

const FRAME = new Uint8Array(64);
const out = new Uint8Array(2048);

/** Runs a program whose result is in r0, all 64 bits of it: XDP returns 32, so it runs twice. */
function run64(build: (a: Assembler) => void): bigint {
  let value = 0n;
  for (const shift of [0, 32]) {
    const a = new Assembler();
    build(a);
    a.rsh(R0, shift);
    a.exit();
    const { code } = a.assemble();
    const fd = loadProgram({ type: ProgramType.XDP, code, name: "mr_alu" });
    value |= BigInt(testRun(fd, FRAME, out).verdict >>> 0) << BigInt(shift);
    closeFd(fd);
  }
  return value;
}

const u = (bits: number, value: bigint): bigint => BigInt.asUintN(bits, value);
const s = (bits: number, value: bigint): bigint => BigInt.asIntN(bits, value);

/** RFC 9669 §4.1: division by zero is 0, the remainder of it the dividend; shifts are masked. */
const MODEL: Record<AluName, (a: bigint, b: bigint, bits: number) => bigint> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => (b === 0n ? 0n : a / b),
  mod: (a, b) => (b === 0n ? a : a % b),
  or: (a, b) => a | b,
  and: (a, b) => a & b,
  xor: (a, b) => a ^ b,
  mov: (_, b) => b,
  lsh: (a, b, bits) => a << (b & BigInt(bits - 1)),
  rsh: (a, b, bits) => a >> (b & BigInt(bits - 1)),
  arsh: (a, b, bits) => s(bits, a) >> (b & BigInt(bits - 1)),
};

const EDGES = [0n, 1n, 31n, 63n, 0x7fff_ffffn, 0xffff_ffffn, 2n ** 63n, 2n ** 64n - 1n] as const;

function pickValue(random: Random): bigint {
  if (random.chance(0.5)) return EDGES[random.below(EDGES.length)]!;
  return (BigInt(random.int32() >>> 0) << 32n) | BigInt(random.int32() >>> 0);
}

for (const bits of [64, 32] as const) {
  test(`arithmetic of ${bits} bits is what BigInt makes of it`, options, () => {
    const random = new Random(seed);
    for (const [name, model] of Object.entries(MODEL) as [AluName, (typeof MODEL)["add"]][]) {
      for (let i = 0; i < 8; i++) {
        const [left, right] = [pickValue(random), pickValue(random)];
        const got = run64((a) => {
          a.loadConstant(R0, left);
          a.loadConstant(R2, right);
          if (bits === 64) a.alu(name, R0, R2);
          else a.alu32(name, R0, R2);
        });
        const expected = u(bits, model(u(bits, left), u(bits, right), bits));
        assert.equal(got, expected, `seed ${seed}: ${left} ${name} ${right}`);
      }
    }
  });
}

test("signed division, sign extension and byte swaps", options, () => {
  const of = (value: bigint, build: (a: Assembler) => void): bigint =>
    s(
      64,
      run64((a) => {
        a.loadConstant(R0, value);
        build(a);
      }),
    );
  assert.equal(
    of(-7n, (a) => a.signed("div", R0, 2)),
    -3n,
  );
  assert.equal(
    of(-7n, (a) => a.signed("mod", R0, 2)),
    -1n,
  );
  assert.equal(
    of(0x80n, (a) => a.movSigned(8, R0, R0)),
    -128n,
  );
  assert.equal(
    of(0x8000n, (a) => a.movSigned(16, R0, R0, 32)),
    0xffff_8000n,
  );
  assert.equal(
    of(0x8000_0000n, (a) => a.movSigned(32, R0, R0)),
    -0x8000_0000n,
  );
  assert.equal(
    of(0x1122_3344n, (a) => a.endian("be", 16, R0)),
    0x4433n,
  );
  assert.equal(
    of(0x1122_3344n, (a) => a.endian("le", 16, R0)),
    0x3344n,
  );
  assert.equal(
    of(0x1122_3344n, (a) => a.endian("swap", 32, R0)),
    0x4433_2211n,
  );
  assert.equal(
    of(5n, (a) => a.neg(R0)),
    -5n,
  );
});

test("memory and atomic instructions on the stack", options, () => {
  const got = run64((a) => {
    a.store("u64", R10, -8, -1);
    a.mov(R1, 1);
    a.atomic("add", "u64", R10, -8, R1, true); // r1 = -1, memory 0
    a.mov(R2, 0x70);
    a.atomic("or", "u32", R10, -8, R2);
    a.mov(R3, 0x1234);
    a.exchange("u64", R10, -8, R3); // r3 = 0x70
    a.mov(R0, 0x1234);
    a.compareExchange("u64", R10, -8, R1); // matches: memory -1
    a.load("s16", R6, R10, -8);
    a.alu("sub", R3, R6); // 0x71
    a.add(R0, R3);
  });
  assert.equal(got, 0x1234n + 0x71n);
});

test("jumps, near and far, and functions of the program", options, () => {
  const a = new Assembler();
  a.mov(R6, 5);
  a.mov(R1, 20);
  a.callLocal("double");
  a.jumpFar("behind");
  a.label("behind");
  a.jumpIf(R6, "s>", -1, "right");
  a.mov(R0, 0);
  a.label("right");
  a.jumpIf32(R0, "&", 0x8, "end");
  a.mov(R0, 1);
  a.label("end");
  a.exit();
  a.label("double");
  a.mov(R0, R1);
  a.add(R0, R1);
  a.exit();
  const { code } = a.assemble();
  const fd = loadProgram({ type: ProgramType.XDP, code, name: "mr_call" });
  assert.equal(testRun(fd, FRAME, out).verdict, 40);
  closeFd(fd);
});

test("the verifier's log has the instructions as the disassembler writes them", options, () => {
  const a = new Assembler();
  a.mov(R2, 7);
  a.load("u8", R0, R3, 0);
  a.exit();
  const { code } = a.assemble();
  assert.throws(
    () => loadProgram({ type: ProgramType.XDP, code, name: "mr_bad" }),
    (error: { log: string }) => {
      for (const line of disassemble(code).slice(0, 2)) {
        const [number, text] = line.split(": ") as [string, string];
        const said = text.replace("+ 0", "+0");
        assert.ok(
          error.log.includes(`${number}: (`) && error.log.includes(said),
          `${said} in ${error.log}`,
        );
      }
      return true;
    },
  );
});
