/**
 * Types and source lines for the kernel, which then has the source in its verifier's log and functions by their
 * names in its listings (Documentation/bpf/btf.rst, bpf_prog_load). Not the object's own types, which the
 * kernel of the day may not know all of, but the least that lines and names hang on: one number, one
 * prototype, a function each. All are static to the kernel: what they are given is checked at each call. Of maps it
 * is where their values have a spin lock.
 */
import { BtfKind } from "./btf.js";
import { INSTRUCTION_BYTES } from "./isa.js";
import type { LinkedProgram } from "./link.js";

export interface KernelBtf {
  /** For BPF_BTF_LOAD. */
  readonly types: Uint8Array;
  /** `struct bpf_func_info`s: 8 bytes each. */
  readonly functions: Uint8Array;
  /** `struct bpf_line_info`s: 16 bytes each; empty when there are none, or not for each function. */
  readonly lines: Uint8Array;
}

/** Types of a map's keys and values. */
export interface KernelMapTypes {
  /** For BPF_BTF_LOAD. */
  readonly types: Uint8Array;
  readonly keyType: number;
  readonly valueType: number;
}

const HEADER_BYTES = 24;
const MAGIC = 0xeb9f;
const INT = 1;
const PROTOTYPE = 2;
const FIRST_FUNCTION = 3;
const SIGNED_32 = (1 << 24) | 32;
const MAX_COLUMN = 0x3ff;
const MAX_LINE = 2 ** 22 - 1;

export function kernelBtf(program: LinkedProgram): KernelBtf {
  const strings = new Strings();
  const functions = [...program.functions].sort((a, b) => a.at - b.at);
  const types = [
    ...[strings.at("int"), BtfKind.INT << 24, 4, SIGNED_32],
    ...[0, BtfKind.FUNC_PROTO << 24, INT],
    ...functions.flatMap(({ name }) => [
      strings.at(identifier(name)),
      BtfKind.FUNC << 24,
      PROTOTYPE,
    ]),
  ];
  const infos = functions.flatMap(({ at }, n) => [at / INSTRUCTION_BYTES, FIRST_FUNCTION + n]);
  const lines = linesOf(program, functions, strings);
  return { types: blob(types, strings.bytes()), functions: words(infos), lines: words(lines) };
}

/** Of a map whose values have a lock at byte `lockAt`; of the rest of them, and of keys of several words, only the size. */
export function kernelMapTypes(
  keyBytes: number,
  valueBytes: number,
  lockAt: number,
): KernelMapTypes {
  const strings = new Strings();
  const [one, struct] = [1, BtfKind.STRUCT << 24];
  const types = [
    ...[strings.at("int"), BtfKind.INT << 24, 4, 32], // 1: what locks have, and keys of arrays are
    ...[strings.at("bpf_spin_lock"), struct | one, 4, strings.at("val"), 1, 0],
    ...[strings.at("value"), struct | one, valueBytes, strings.at("lock"), 2, 8 * lockAt],
    ...[strings.at("key"), struct, keyBytes],
  ];
  return { types: blob(types, strings.bytes()), keyType: keyBytes === 4 ? 1 : 4, valueType: 3 };
}

/** Every function begins with a line, or there are none. */
function linesOf(
  { lines }: LinkedProgram,
  functions: LinkedProgram["functions"],
  strings: Strings,
): number[] {
  const byPlace = new Map(lines.map((line) => [line.at, line]));
  if (!functions.every(({ at }) => byPlace.has(at))) return [];
  return [...byPlace.values()]
    .sort((a, b) => a.at - b.at)
    .flatMap(({ at, file, text, line, column }) => [
      at / INSTRUCTION_BYTES,
      strings.at(file),
      strings.at(text),
      (Math.min(line, MAX_LINE) << 10) | Math.min(column, MAX_COLUMN),
    ]);
}

/** The kernel takes C's names only. */
function identifier(name: string): string {
  const plain = name.replaceAll(/[^A-Za-z0-9_]/g, "_").slice(0, 100);
  return /^[A-Za-z_]/.test(plain) ? plain : `_${plain}`;
}

const words = (numbers: readonly number[]): Uint8Array =>
  new Uint8Array(Uint32Array.from(numbers).buffer);

function blob(types: readonly number[], strings: Uint8Array): Uint8Array {
  const typeBytes = words(types);
  const out = new Uint8Array(HEADER_BYTES + typeBytes.length + strings.length);
  const view = new DataView(out.buffer);
  view.setUint16(0, MAGIC, true);
  view.setUint8(2, 1);
  const rest = [HEADER_BYTES, 0, typeBytes.length, typeBytes.length, strings.length];
  for (const [n, value] of rest.entries()) view.setUint32(4 + 4 * n, value, true);
  out.set(typeBytes, HEADER_BYTES);
  out.set(strings, HEADER_BYTES + typeBytes.length);
  return out;
}

/** Texts that end with a zero byte, each once; the first is empty. */
class Strings {
  private readonly places = new Map<string, number>([["", 0]]);
  private readonly parts: Uint8Array[] = [new Uint8Array(1)];
  private length = 1;

  at(text: string): number {
    const known = this.places.get(text);
    if (known !== undefined) return known;
    const place = this.length;
    const bytes = Buffer.from(`${text.replaceAll("\0", "")}\0`);
    this.parts.push(bytes);
    this.length += bytes.length;
    this.places.set(text, place);
    return place;
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.parts);
  }
}
