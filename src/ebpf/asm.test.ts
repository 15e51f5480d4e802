import assert from "node:assert/strict";
import { test } from "node:test";
import { type AluName, Assembler, type Condition, type Width } from "./asm.js";
import { linkMaps } from "./assembled-program.js";
import { INSTRUCTION_VECTORS } from "./instruction-vectors-fixture.js";
import { R0, R1, R2, R3, R4, R5, R6, R7, R9, R10 } from "./registers.js";

/** What was assembled for each text of the vectors. */
const seen = new Set<string>();

/** The one instruction that `build` makes must be what LLVM makes of the text. */
function expect(text: string, build: (a: Assembler) => void): void {
  const vector = INSTRUCTION_VECTORS.find((one) => one.text === text);
  assert.ok(vector !== undefined, `there is no vector for ${text}`);
  const a = new Assembler();
  build(a);
  const code = a.assemble().code;
  assert.deepEqual(code.subarray(0, vector.code.length), vector.code, text);
  seen.add(text);
}

/** A jump that spans `distance` words: forwards over filling, or backwards. */
function expectJump(text: string, distance: number, jump: (a: Assembler) => void): void {
  const vector = INSTRUCTION_VECTORS.find((one) => one.text === text);
  assert.ok(vector !== undefined, `there is no vector for ${text}`);
  const a = new Assembler();
  if (distance < 0) a.label("target");
  for (let i = distance; i < -1; i++) a.exit();
  const at = distance < 0 ? (-distance - 1) * 8 : 0;
  jump(a);
  for (let i = 0; i < distance; i++) a.exit();
  if (distance >= 0) a.label("target");
  assert.deepEqual(a.assemble().code.subarray(at, at + 8), vector.code, text);
  seen.add(text);
}

const ALU: readonly (readonly [AluName, string])[] = [
  ["add", "+="],
  ["sub", "-="],
  ["mul", "*="],
  ["div", "/="],
  ["or", "|="],
  ["and", "&="],
  ["lsh", "<<="],
  ["rsh", ">>="],
  ["mod", "%="],
  ["xor", "^="],
  ["mov", "="],
  ["arsh", "s>>="],
];

test("arithmetic, in 64 and 32 bits", () => {
  for (const [name, sign] of ALU) {
    expect(`r1 ${sign} r2`, (a) => a.alu(name, R1, R2));
    expect(`r9 ${sign} 7`, (a) => a.alu(name, R9, 7));
    expect(`w3 ${sign} w4`, (a) => a.alu32(name, R3, R4));
    expect(`w0 ${sign} 31`, (a) => a.alu32(name, R0, 31));
  }
  expect("r1 += -1", (a) => a.add(R1, -1));
  expect("r1 += -1", (a) => a.add(R1, 0xffff_ffff));
  expect("r1 = -2147483648", (a) => a.mov(R1, -0x8000_0000));
  expect("r1 = 2147483647", (a) => a.mov(R1, 0x7fff_ffff));
  expect("r2 = r10", (a) => a.mov(R2, R10));
  expect("r5 = -r5", (a) => a.neg(R5));
  expect("w5 = -w5", (a) => a.neg(R5, 32));
});

test("signed division and remainder, moves that extend the sign, byte swaps", () => {
  for (const [name, sign] of [
    ["div", "s/="],
    ["mod", "s%="],
  ] as const) {
    expect(`r1 ${sign} r2`, (a) => a.signed(name, R1, R2));
    expect(`r9 ${sign} 7`, (a) => a.signed(name, R9, 7));
    expect(`w3 ${sign} w4`, (a) => a.signed(name, R3, R4, 32));
    expect(`w0 ${sign} 31`, (a) => a.signed(name, R0, 31, 32));
  }
  for (const bits of [8, 16, 32] as const) {
    expect(`r1 = (s${bits})r2`, (a) => a.movSigned(bits, R1, R2));
  }
  for (const bits of [8, 16] as const) {
    expect(`w1 = (s${bits})w2`, (a) => a.movSigned(bits, R1, R2, 32));
  }
  for (const bits of [16, 32, 64] as const) {
    expect(`r4 = be${bits} r4`, (a) => a.endian("be", bits, R4));
    expect(`r4 = le${bits} r4`, (a) => a.endian("le", bits, R4));
    expect(`r4 = bswap${bits} r4`, (a) => a.endian("swap", bits, R4));
  }
});

test("jumps, near and far, calls, the end", () => {
  const conditions = ["==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&"] as const;
  for (const sign of conditions satisfies readonly Condition[]) {
    expectJump(`if r1 ${sign} r2 goto +3`, 3, (a) => a.jumpIf(R1, sign, R2, "target"));
    expectJump(`if r1 ${sign} -5 goto -4`, -4, (a) => a.jumpIf(R1, sign, -5, "target"));
    expectJump(`if w1 ${sign} w2 goto +3`, 3, (a) => a.jumpIf32(R1, sign, R2, "target"));
    expectJump(`if w1 ${sign} 5 goto +32767`, 32_767, (a) => a.jumpIf32(R1, sign, 5, "target"));
  }
  expectJump("goto +3", 3, (a) => a.jump("target"));
  expectJump("goto -1", -1, (a) => a.jump("target"));
  expectJump("gotol +1000", 1000, (a) => a.jumpFar("target"));
  expectJump("gotol -3", -3, (a) => a.jumpFar("target"));
  expect("call 1", (a) => a.call("map_lookup_elem"));
  expect("call 51", (a) => a.call("bpf_redirect_map"));
  expect("call 51", (a) => a.call(51));
  expect("exit", (a) => a.exit());
});

test("loads and stores of every width", () => {
  for (const bits of [8, 16, 32, 64] as const) {
    const width: Width = `u${bits}`;
    expect(`r1 = *(u${bits} *)(r2 + 12)`, (a) => a.load(width, R1, R2, 12));
    expect(`r1 = *(u${bits} *)(r10 - 8)`, (a) => a.load(width, R1, R10, -8));
    expect(`*(u${bits} *)(r10 - 16) = r3`, (a) => a.store(width, R10, -16, R3));
    expect(`*(u${bits} *)(r6 + 32767) = -5`, (a) => a.store(width, R6, 32_767, -5));
  }
  for (const bits of [8, 16, 32] as const) {
    expect(`r7 = *(s${bits} *)(r2 - 32768)`, (a) => a.load(`s${bits}`, R7, R2, -32_768));
    expect(`r0 = *(u${bits} *)skb[40]`, (a) => a.loadPacket(`u${bits}`, 40));
    expect(`r0 = *(u${bits} *)skb[r3]`, (a) => a.loadPacket(`u${bits}`, R3));
  }
  expect("r1 = 4886718345 ll", (a) => a.loadConstant(R1, 4_886_718_345n));
  expect("r1 = -1 ll", (a) => a.loadConstant(R1, 2n ** 64n - 1n));
  expect("r9 = 0 ll", (a) => a.loadConstant(R9, 0n));
  expect("r3 = -9223372036854775808 ll", (a) => a.loadConstant(R3, -(2n ** 63n)));
});

test("atomic instructions", () => {
  for (const [bits, r, suffix] of [
    [64, "r", "_64"],
    [32, "w", "32_32"],
  ] as const) {
    const width = `u${bits}` as const;
    for (const [name, sign] of [
      ["add", "+="],
      ["or", "|="],
      ["and", "&="],
      ["xor", "^="],
    ] as const) {
      const plain = `lock *(u${bits} *)(r1 + 8) ${sign} ${r}2`;
      expect(plain, (a) => a.atomic(name, width, R1, 8, R2));
      const fetch = `${r}2 = atomic_fetch_${name}((u${bits} *)(r1 - 8), ${r}2)`;
      expect(fetch, (a) => a.atomic(name, width, R1, -8, R2, true));
    }
    expect(`${r}2 = xchg${suffix}(r1 + 8, ${r}2)`, (a) => a.exchange(width, R1, 8, R2));
    const compare = `${r}0 = cmpxchg${suffix}(r1 + 8, ${r}0, ${r}2)`;
    expect(compare, (a) => a.compareExchange(width, R1, 8, R2));
  }
});

test("every vector was assembled", () => {
  const missing = INSTRUCTION_VECTORS.filter(({ text }) => !seen.has(text));
  assert.deepEqual(missing, []);
});

test("labels are found across wide instructions, and those of a program are its own", () => {
  const a = new Assembler();
  a.jump("end");
  a.loadConstant(R1, 1n);
  a.label("end");
  a.exit();
  const { code, labels } = a.assemble();
  assert.equal(code[2], 2, "the wide one is two words");
  assert.equal(labels.get("end"), 24);
  assert.notEqual(a.freshLabel("x"), a.freshLabel("x"));
});

test("maps get their descriptors when the program is linked", () => {
  const a = new Assembler();
  a.loadMap(R1, "flows");
  a.loadMap(R2, "ports");
  a.loadMapValue(R3, "flows", 8);
  const program = a.assemble();
  const code = linkMaps(program, { flows: 5, ports: 300 });
  const view = new DataView(code.buffer);
  assert.deepEqual([view.getInt32(4, true), view.getInt32(20, true)], [5, 300]);
  assert.deepEqual([code[1], code[17], code[33]], [0x11, 0x12, 0x23]);
  assert.deepEqual([view.getInt32(36, true), view.getInt32(44, true)], [5, 8]);
  assert.throws(() => linkMaps(program, { flows: 5 }), /the map ports has no descriptor/);
  assert.equal(new DataView(program.code.buffer).getInt32(4, true), 0, "the program is as it was");
});

test("what cannot be encoded is refused with the numbers", () => {
  const a = new Assembler();
  assert.throws(
    () => a.load("u32", R1, R2, 32_768),
    /expected offset from -32768 to 32767, got 32768/,
  );
  assert.throws(() => a.mov(R1, 2 ** 32), /expected constant from -2147483648 to 4294967295/);
  assert.throws(() => a.mov(R1, 1.5), RangeError);
  assert.throws(() => a.loadConstant(R1, 2n ** 64n), /beyond 64 bits/);
  assert.throws(() => a.call("map_lookup"), /there is no helper map_lookup/);
  assert.throws(() => a.movSigned(32, R1, R2, 32), RangeError);
  a.label("here");
  assert.throws(() => a.label("here"), /the label here is there twice/);
  a.jump("nowhere");
  assert.throws(() => a.assemble(), /there is no label nowhere/);
  const far = new Assembler();
  far.jump("end");
  for (let i = 0; i < 32_768; i++) far.exit();
  far.label("end");
  assert.throws(() => far.assemble(), /the label end is 32768 instructions away: use jumpFar/);
});
