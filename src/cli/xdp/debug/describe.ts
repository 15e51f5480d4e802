/** Places, registers, memory and maps of a packet that is being stepped through, for people and as JSON. */
import type { SourceLine } from "../../../ebpf/btf-ext.js";
import { decodeValue, type Readable } from "../../../ebpf/btf-value.js";
import type { DecodedProgram } from "../../../ebpf/decode.js";
import { disassemble } from "../../../ebpf/disasm.js";
import { INSTRUCTION_BYTES } from "../../../ebpf/isa.js";
import type { LinearMap } from "../../../ebpf/linear-map.js";
import { STACK_BYTES } from "../../../ebpf/runtime.js";
import { sourceLine } from "../../../ebpf/source-place.js";
import type { RegisterType } from "./register-types.js";
import type { Stepper } from "./stepper.js";

export interface Register {
  readonly name: string;
  readonly type: RegisterType;
  /** What it is in words: `packet+14`, `flows[10.0.0.1]+0`, `66 (0x42)`. */
  readonly text: string;
  /** All 64 bits, unsigned; empty: it was never written. */
  readonly value: string;
}

const texts = new WeakMap<DecodedProgram, ReadonlyMap<number, string>>();

/** An instruction in LLVM's syntax, without its number. */
export function instructionText(program: DecodedProgram, word: number): string {
  let known = texts.get(program);
  if (known === undefined) {
    const lines = disassemble(program.program.code).map((line) => {
      const at = line.indexOf(":");
      return [Number(line.slice(0, at)), line.slice(at + 2)] as const;
    });
    known = new Map(lines);
    texts.set(program, known);
  }
  return known.get(word) ?? "";
}

/** The line of a word; what the compiler put between lines belongs to the one before. */
export function lineOf(program: DecodedProgram, word: number): SourceLine | null {
  const lines = program.program.lines.filter(({ line }) => line > 0);
  return sourceLine({ lines }, word);
}

export const shortFile = (line: SourceLine): string => line.file.split("/").at(-1)!;

/** `firewall.c:27: if (…)`, or nothing. */
export function lineText(program: DecodedProgram, word: number): string {
  const line = lineOf(program, word);
  return line === null ? "" : `${shortFile(line)}:${line.line}: ${line.text}`;
}

export function functionName(program: DecodedProgram, word: number): string {
  const at = word * INSTRUCTION_BYTES;
  return program.program.functions.findLast((one) => one.at <= at)?.name ?? program.name;
}

/** r0 to r10. */
export function registersOf(stepper: Stepper): Register[] {
  return stepper.types.map((type, n) => describeRegister(stepper, n, type));
}

function describeRegister(stepper: Stepper, n: number, type: RegisterType): Register {
  const { registers } = stepper.instance.runtime;
  const low = registers[2 * n]! >>> 0;
  const value = (BigInt(registers[2 * n + 1]! >>> 0) << 32n) | BigInt(low);
  const name = `r${n}`;
  if (type === "unset") return { name, type, text: "not set", value: "" };
  return { name, type, text: describeValue(stepper, type, low, value), value: String(value) };
}

function describeValue(stepper: Stepper, type: RegisterType, at: number, value: bigint): string {
  const { runtime } = stepper.instance;
  switch (type) {
    case "context":
      return plus("ctx", at - runtime.contextAt);
    case "stack":
      return plus("fp", at - runtime.registers[20]!);
    case "packet":
      return plus("packet", at - runtime.dataAt);
    case "packet end":
      return plus("packet end", at - runtime.dataEnd);
    case "metadata":
      return plus("metadata", at - runtime.dataMeta);
    case "map":
      return `map ${runtime.mapByAddress.get(at)?.name ?? at}`;
    case "map value": {
      if (value === 0n) return "NULL";
      const found = entryAt(stepper, at);
      if (found === null) return `map value at ${at}`;
      return plus(`${found.map.name}[${JSON.stringify(found.key)}]`, found.offset);
    }
    case "record":
      return value === 0n ? "NULL" : `record at ${at}`;
    default:
      return number(value);
  }
}

const plus = (name: string, offset: number): string =>
  offset === 0 ? name : `${name}${offset < 0 ? "-" : "+"}${Math.abs(offset)}`;

function number(value: bigint): string {
  const signed = BigInt.asIntN(64, value);
  const plain = signed < 0n && signed > -(1n << 31n) ? String(signed) : String(value);
  return value < 10n ? plain : `${plain} (0x${value.toString(16)})`;
}

interface MapPlace {
  readonly map: LinearMap;
  readonly key: Readable;
  readonly value: Readable;
  readonly offset: number;
}

/** The entry that an address is in. */
export function entryAt(stepper: Stepper, at: number): MapPlace | null {
  const { runtime, object } = stepper.instance;
  for (const map of runtime.maps) {
    if (!map.covers(at, 1)) continue;
    const { keyType, valueType } = map.definition;
    let found: MapPlace | null = null;
    map.forEach((keyAt, valueAt) => {
      if (at < valueAt || at >= valueAt + map.valueBytes) return;
      const part = (from: number, length: number): Uint8Array =>
        runtime.bytes.slice(from, from + length);
      found = {
        map,
        key: decodeValue(object.btf, keyType, part(keyAt, map.keyBytes)),
        value: decodeValue(object.btf, valueType, part(valueAt, map.valueBytes)),
        offset: at - valueAt,
      };
    });
    return found;
  }
  return null;
}

/** Bytes that a pointer leads to, at most so many; none for what is no pointer to bytes. */
export function bytesAt(stepper: Stepper, register: number, most: number): Uint8Array {
  const { runtime } = stepper.instance;
  const at = runtime.registers[2 * register]!;
  const ends: Partial<Record<RegisterType, number>> = {
    packet: runtime.dataEnd,
    metadata: runtime.dataAt,
    stack: runtime.registers[20]!,
  };
  const type = stepper.types[register]!;
  const place = type === "map value" && at !== 0 ? entryAt(stepper, at) : null;
  const end = place === null ? ends[type] : at - place.offset + place.map.valueBytes;
  return end === undefined ? new Uint8Array(0) : runtime.bytes.slice(at, Math.min(end, at + most));
}

export function packetBytes(stepper: Stepper): Uint8Array {
  const { runtime } = stepper.instance;
  return runtime.bytes.slice(runtime.dataAt, runtime.dataEnd);
}

/** The bytes of the running function's frame, r10 - 512 up to r10. */
export function frameBytes(stepper: Stepper): Uint8Array {
  const { runtime } = stepper.instance;
  const top = runtime.registers[20]!;
  return runtime.bytes.slice(top - STACK_BYTES, top);
}

const PER_LINE = 16;

/** Sixteen bytes a line, with their offsets. */
export function hexLines(bytes: Uint8Array, from = 0): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += PER_LINE) {
    const part = [...bytes.subarray(at, at + PER_LINE)].map((b) => b.toString(16).padStart(2, "0"));
    const offset = (from + at).toString(16).padStart(4, "0");
    lines.push(`  ${offset}  ${part.slice(0, 8).join(" ")}  ${part.slice(8).join(" ")}`.trimEnd());
  }
  return lines;
}
