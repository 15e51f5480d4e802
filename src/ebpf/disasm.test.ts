import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../base/random.js";
import { Assembler } from "./asm.js";
import { describeInstruction, disassemble } from "./disasm.js";
import { INSTRUCTION_VECTORS } from "./instruction-vectors-fixture.js";
import { INSTRUCTION_BYTES, isWide, readInstruction, writeInstruction } from "./isa.js";
import { R1 } from "./registers.js";

test("instructions read as LLVM writes them; helpers have their names", () => {
  for (const { text, code } of INSTRUCTION_VECTORS) {
    const named = text.replace(/^call 1$/, "call bpf_map_lookup_elem#1");
    const expected = named.replace(/^call 51$/, "call bpf_redirect_map#51");
    assert.deepEqual(disassemble(code), [`0: ${expected}`]);
  }
});

test("a program is listed by words, a wide constant counting two", () => {
  const a = new Assembler();
  a.loadConstant(R1, 5n);
  a.loadMap(R1, "flows");
  a.loadMapValue(R1, "data", 16);
  a.callLocal("end");
  a.callBtf(77);
  a.call(9999);
  a.label("end");
  a.exit();
  assert.deepEqual(disassemble(a.assemble().code), [
    "0: r1 = 5 ll",
    "2: r1 = map_fd 0 ll",
    "4: r1 = map_value 0 + 16 ll",
    "6: call pc+2",
    "7: call kernel-function#77",
    "8: call 9999",
    "9: exit",
  ]);
});

test("what is no instruction is shown by its bytes", () => {
  const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));
  assert.deepEqual(disassemble(bytes("ff00000000000000")), ["0: unknown ff00000000000000"]);
  assert.deepEqual(disassemble(bytes("bfb1000000000000")), ["0: unknown bfb1000000000000"], "r11");
  assert.deepEqual(disassemble(bytes("1801000001000000")), ["0: unknown 1801000001000000"], "half");
  assert.deepEqual(disassemble(bytes("95000000")), [], "less than a word");
});

test("any words are described without an exception, and encode to what they were", () => {
  const random = new Random(20_261_121);
  const code = new Uint8Array(2 * INSTRUCTION_BYTES);
  const view = new DataView(code.buffer);
  const again = new DataView(new ArrayBuffer(code.length));
  let known = 0;
  for (let i = 0; i < 200_000; i++) {
    for (let at = 0; at < INSTRUCTION_BYTES; at++) code[at] = random.int32();
    if (random.chance(0.5)) view.setInt32(4, 0);
    if (random.chance(0.5)) view.setInt16(2, 0);
    const instruction = readInstruction(view, 0);
    if (describeInstruction(instruction) !== null) known++;
    const lengthBytes = writeInstruction(again, 0, instruction);
    assert.equal(lengthBytes, isWide(instruction) ? 16 : 8);
    assert.equal(again.getBigUint64(0), view.getBigUint64(0));
  }
  assert.ok(known > 10_000, `${known} known`);
});
