/**
 * Section `.BTF.ext` (Documentation/bpf/btf.rst): for each section of code, the source line of
 * instructions and the relocations of CO-RE.
 *
 * Header: magic, version, flags, header length, then {offset, length} of functions, lines and
 * relocations. Each part: record size, then for each section {name, count, records}.
 */
import type { Btf } from "./btf.js";
import { badObject } from "./ebpf-error.js";

/** Where an instruction comes from. */
export interface SourceLine {
  /** Byte offset of the first instruction of the line, in its section. */
  readonly at: number;
  readonly file: string;
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

/** A request to adapt an instruction to the kernel's types (`struct bpf_core_relo`). */
export interface CoreRelocation {
  /** Byte offset of the instruction in its section. */
  readonly at: number;
  readonly type: number;
  /** Numbers of members and elements, `0:1:2`. */
  readonly access: string;
  /** `enum bpf_core_relo_kind` */
  readonly kind: number;
}

/** Which type a function has. */
export interface FunctionInfo {
  readonly at: number;
  readonly type: number;
}

export interface BtfExt {
  /** By the name of the section. */
  readonly functions: ReadonlyMap<string, readonly FunctionInfo[]>;
  readonly lines: ReadonlyMap<string, readonly SourceLine[]>;
  readonly relocations: ReadonlyMap<string, readonly CoreRelocation[]>;
}

const MAGIC = 0xeb9f;
const FUNCTION_BYTES = 8;
const LINE_BYTES = 16;
const RELOCATION_BYTES = 16;

/** Throws `EbpfError` ENOEXEC. */
export function parseBtfExt(bytes: Uint8Array, btf: Btf): BtfExt {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 24 || view.getUint16(0, true) !== MAGIC) {
    throw badObject(".BTF.ext has no header");
  }
  const headerBytes = view.getUint32(4, true);
  const part = (at: number): Part | null => {
    if (at + 8 > headerBytes || at + 8 > bytes.length) return null;
    const from = headerBytes + view.getUint32(at, true);
    const end = from + view.getUint32(at + 4, true);
    if (end > bytes.length) throw badObject(".BTF.ext: a part of it ends after the section");
    return from === end ? null : { view, from, end, btf };
  };
  return {
    functions: readPart(part(8), FUNCTION_BYTES, (at) => ({
      at: view.getUint32(at, true),
      type: view.getUint32(at + 4, true),
    })),
    lines: readPart(part(16), LINE_BYTES, (at) => {
      const place = view.getUint32(at + 12, true);
      return {
        at: view.getUint32(at, true),
        file: btf.text(view.getUint32(at + 4, true)),
        text: btf.text(view.getUint32(at + 8, true)).trim(),
        line: place >>> 10,
        column: place & 0x3ff,
      };
    }),
    relocations: readPart(part(24), RELOCATION_BYTES, (at) => ({
      at: view.getUint32(at, true),
      type: view.getUint32(at + 4, true),
      access: btf.text(view.getUint32(at + 8, true)),
      kind: view.getUint32(at + 12, true),
    })),
  };
}

interface Part {
  readonly view: DataView;
  readonly from: number;
  readonly end: number;
  readonly btf: Btf;
}

function readPart<T>(
  part: Part | null,
  leastBytes: number,
  read: (at: number) => T,
): Map<string, T[]> {
  const found = new Map<string, T[]>();
  if (part === null) return found;
  const { view, from, end, btf } = part;
  const recordBytes = from + 4 <= end ? view.getUint32(from, true) : 0;
  if (recordBytes < leastBytes) {
    throw badObject(`.BTF.ext: records of ${recordBytes} bytes, expected at least ${leastBytes}`);
  }
  for (let at = from + 4; at < end; ) {
    if (at + 8 > end) throw badObject(".BTF.ext: a part of it is cut short");
    const section = btf.text(view.getUint32(at, true));
    const count = view.getUint32(at + 4, true);
    at += 8;
    if (count * recordBytes > end - at) {
      throw badObject(`.BTF.ext: ${count} records of section ${section} end after their part`);
    }
    const records = found.get(section) ?? [];
    for (let i = 0; i < count; i++, at += recordBytes) records.push(read(at));
    found.set(section, records);
  }
  return found;
}
