/** Programs as text: both syntaxes to bytes and back, labels, maps, and what is wrong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { PlacedError } from "../base/placed-error.js";
import { assembleText } from "./asm-text.js";
import { describeInstruction, disassemble } from "./disasm.js";
import { XdpInstance } from "./instance.js";
import { INSTRUCTION_VECTORS } from "./instruction-vectors-fixture.js";
import {
  Atomic,
  INSTRUCTION_BYTES,
  type Instruction,
  isWide,
  LDDW,
  readInstruction,
  writeInstruction,
} from "./isa.js";
import { describeMnemonic } from "./mnemonics.js";
import { verifyProgram } from "./verify-program.js";

const codeOf = (text: string): Uint8Array => assembleText(text).programs[0]!.code;
const hex = (code: Uint8Array): string => Buffer.from(code).toString("hex");

function bytesOf(instruction: Instruction): Uint8Array {
  const code = new Uint8Array(isWide(instruction) ? 2 * INSTRUCTION_BYTES : INSTRUCTION_BYTES);
  writeInstruction(new DataView(code.buffer), 0, instruction);
  return code;
}

test("what LLVM assembles is assembled to the same bytes, in either syntax", () => {
  for (const { text, code } of INSTRUCTION_VECTORS) {
    assert.equal(hex(codeOf(text)), hex(code), text);
    const mnemonic = describeMnemonic(
      readInstruction(new DataView(code.buffer, code.byteOffset), 0),
    );
    assert.equal(hex(codeOf(mnemonic!)), hex(code), `${text} as ${mnemonic}`);
  }
});

const int = (bits: number): fc.Arbitrary<number> =>
  fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 });
const imm = fc.oneof(
  int(32),
  fc.constantFrom(0, 1, 16, 32, 64, Atomic.FETCH, Atomic.XCHG, Atomic.CMPXCHG, 0x40, 0x51, 0xa1),
);
const anyInstruction: fc.Arbitrary<Instruction> = fc
  .record({
    opcode: fc.integer({ min: 0, max: 255 }),
    dst: fc.integer({ min: 0, max: 10 }),
    src: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 10 })),
    offset: fc.oneof(fc.constantFrom(0, 1, 8, 16, 32), int(16)),
    imm: fc.oneof(fc.constant(0), imm),
    high: fc.oneof(fc.constant(0), int(32)),
  })
  .map(({ high, ...rest }) => ({ ...rest, immHigh: rest.opcode === LDDW ? high : 0 }))
  .filter((i) => describeInstruction(i) !== null);

test("every instruction that the disassembler names comes back as it was, from both syntaxes", () => {
  let named = 0;
  fc.assert(
    fc.property(anyInstruction, (instruction) => {
      const bytes = hex(bytesOf(instruction));
      for (const describe of [describeInstruction, describeMnemonic]) {
        const text = describe(instruction)!;
        assert.equal(hex(codeOf(text)), bytes, text);
        named++;
      }
    }),
    { numRuns: 3_000 },
  );
  assert.ok(named >= 6_000, `${named} texts`);
});

test("a whole listing is read, line numbers included", () => {
  const code = codeOf(COUNTER);
  const unlinked = disassemble(code).join("\n");
  assert.equal(hex(codeOf(unlinked)), hex(code));
});

const COUNTER = `
.license Dual BSD/GPL
.map counts array 4 8 2
main:                       # the entry
  *(u32 *)(r10 - 4) = 1     ; the key
  mov r2, r10
  add r2, -4
  lddw r1, counts
  call map_lookup_elem
  if r0 == 0 goto out
  mov r1, 5                 // both syntaxes
  call local twice
  r6 = r0
out: w0 = 2
  exit
twice:
  r0 = r1
  r0 += r1
  exit
`;

test("labels, maps, helpers and functions have names, and the program runs", () => {
  const object = assembleText(COUNTER);
  const [program] = object.programs;
  assert.equal(object.license, "Dual BSD/GPL");
  assert.deepEqual(
    program!.functions.map(({ name }) => name),
    ["main", "twice"],
  );
  verifyProgram(object, program!);
  for (const engine of ["interp", "wasm"] as const) {
    assert.equal(XdpInstance.open(object, { engine }).run(new Uint8Array(64)).verdict, 2);
  }
});

test("every mistake is told with its place and what was expected", () => {
  const text = `  r1 = r11
  frobnicate r1
  if r1 == w2 goto +1
here: goto nowhere
here: exit
  r1 = 0x1ffffffff
  r1 = flows ll
.map flows hasch 4 8 16
  r0 = *(u8 *)(r1 + 40000)
  w1 = (s32)w2
  r0 = atomic_fetch_add((u64 *)(r1 + 0), r2)`;
  assert.throws(
    () => assembleText(text, "p.s"),
    (error: unknown) => {
      assert.ok(error instanceof PlacedError);
      const lines = error.message.split("\n");
      assert.deepEqual(lines.slice(0, 6), [
        "p.s:1:3: there is no register r11: expected 0 to 10",
        "p.s:2:3: expected an instruction such as r1 += 2 or add r1, 2; got frobnicate r1",
        "p.s:3:3: expected r registers throughout, got w2",
        "p.s:5:1: the label here is in line 4, too",
        "p.s:6:3: expected a constant of 32 bits, got 0x1ffffffff",
        "p.s:7:3: there is no map flows before this line; there are: none",
      ]);
      assert.match(
        lines[6]!,
        /^p\.s:8:1: expected \.license TEXT, or \.map .* a type of hash, array/,
      );
      assert.deepEqual(lines.slice(7), [
        "p.s:9:3: expected an offset from -32768 to 32767, got + 40000",
        "p.s:10:3: (s32) is for r registers",
        "p.s:11:3: expected r0 again, got r2",
        "p.s:4:7: there is no label nowhere",
      ]);
      return true;
    },
  );
});
