/**
 * BTF, the type information of eBPF objects and of the kernel (Documentation/bpf/btf.rst): section
 * `.BTF` and `/sys/kernel/btf/vmlinux`.
 *
 *  0       2    3     4            8          12          16          20          24
 * +-------+----+-----+------------+-----------+-----------+-----------+-----------+
 * | magic |ver |flags| header len | types off | types len | strs off  | strs len  |
 * +-------+----+-----+------------+-----------+-----------+-----------+-----------+
 *
 * A type is { name offset, info (vlen, kind, flag), size or type } and what its kind adds. Types refer
 * to each other by number, in any order, loops included (a list's node points to itself): every walk
 * here counts its steps. The bytes are not trusted.
 */
import { badObject } from "./ebpf-error.js";
import { readName } from "./elf.js";

/** `BTF_KIND_*` */
export const BtfKind = {
  VOID: 0,
  INT: 1,
  PTR: 2,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  FWD: 7,
  TYPEDEF: 8,
  VOLATILE: 9,
  CONST: 10,
  RESTRICT: 11,
  FUNC: 12,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  FLOAT: 16,
  DECL_TAG: 17,
  TYPE_TAG: 18,
  ENUM64: 19,
} as const;

export interface BtfMember {
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  /** 0: not a bit field. */
  readonly bitSize: number;
}

export interface BtfVariable {
  readonly type: number;
  readonly at: number;
  readonly sizeBytes: number;
}

export interface BtfEnumerator {
  readonly name: string;
  readonly value: bigint;
}

export interface BtfType {
  readonly id: number;
  readonly kind: number;
  readonly name: string;
  /** Of INT, ENUM, STRUCT, UNION, DATASEC, FLOAT. */
  readonly sizeBytes: number;
  /** What PTR, TYPEDEF, modifiers, FUNC, VAR refer to; an ARRAY's element; a FUNC_PROTO's result. */
  readonly type: number;
  /** Of an ARRAY. */
  readonly elements: number;
  /** Of STRUCT and UNION; parameters of a FUNC_PROTO, whose places are 0. */
  readonly members: readonly BtfMember[];
  readonly variables: readonly BtfVariable[];
  readonly enumerators: readonly BtfEnumerator[];
  /** Of INT and ENUM. */
  readonly isSigned: boolean;
}

const MAGIC = 0xeb9f;
const TYPE_HEADER_BYTES = 12;
/** The most hops from a type to what it is in the end; the kernel allows 32. */
const MAX_DEPTH = 32;
const POINTER_BYTES = 8;

/** Bytes after the header of a type, by kind: fixed, and for each of `vlen`. */
const EXTRA: readonly (readonly [fixed: number, each: number])[] = [
  [0, 0],
  [4, 0],
  [0, 0],
  [12, 0],
  [0, 12],
  [0, 12],
  [0, 8],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 8],
  [4, 0],
  [0, 12],
  [0, 0],
  [4, 0],
  [0, 0],
  [0, 12],
];

export const VOID: BtfType = {
  id: 0,
  kind: BtfKind.VOID,
  name: "void",
  sizeBytes: 0,
  type: 0,
  elements: 0,
  members: [],
  variables: [],
  enumerators: [],
  isSigned: false,
};

export class Btf {
  /** By number; 0 is void. */
  readonly types: readonly BtfType[];
  private readonly strings: Uint8Array;
  private named: Map<string, BtfType[]> | null = null;

  constructor(types: readonly BtfType[], strings: Uint8Array = Uint8Array.of(0)) {
    this.types = types;
    this.strings = strings;
  }

  /** Throws `EbpfError` ENOEXEC. */
  static parse(bytes: Uint8Array): Btf {
    const { types, strings } = splitBtf(bytes);
    return new Btf(readTypes(types, strings), strings);
  }

  /** The same with other types in the places of some. */
  with(change: (type: BtfType) => BtfType): Btf {
    return new Btf(this.types.map(change), this.strings);
  }

  /** A type by its number; ENOEXEC when there is none. */
  at(id: number): BtfType {
    const type = this.types[id];
    if (type === undefined)
      throw badObject(`BTF: there is no type ${id} (${this.types.length} types)`);
    return type;
  }

  /** Text of the string section, which `.BTF.ext` uses too. */
  text(at: number): string {
    return readName(this.strings, at, "a BTF string");
  }

  /** The type behind typedefs and modifiers. */
  resolve(id: number): BtfType {
    let type = this.at(id);
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      if (!isModifier(type.kind)) return type;
      type = this.at(type.type);
    }
    throw badObject(`BTF: type ${id} is a loop of typedefs`);
  }

  sizeOf(id: number): number {
    let count = 1;
    let next = id;
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const type = this.resolve(next);
      if (type.kind === BtfKind.PTR) return count * POINTER_BYTES;
      if (type.kind !== BtfKind.ARRAY) return count * type.sizeBytes;
      count *= type.elements;
      next = type.type;
    }
    throw badObject(`BTF: type ${id} is a loop of arrays`);
  }

  /** All types of a name and kind. */
  find(name: string, kind: number): readonly BtfType[] {
    this.named ??= group(this.types);
    return this.named.get(name)?.filter((type) => type.kind === kind) ?? [];
  }
}

function group(types: readonly BtfType[]): Map<string, BtfType[]> {
  const named = new Map<string, BtfType[]>();
  for (const type of types) {
    const same = named.get(type.name);
    if (same === undefined) named.set(type.name, [type]);
    else same.push(type);
  }
  return named;
}

export function isModifier(kind: number): boolean {
  return (
    kind === BtfKind.TYPEDEF ||
    kind === BtfKind.VOLATILE ||
    kind === BtfKind.CONST ||
    kind === BtfKind.RESTRICT ||
    kind === BtfKind.TYPE_TAG
  );
}

function splitBtf(bytes: Uint8Array): { types: Uint8Array; strings: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 24 || view.getUint16(0, true) !== MAGIC) {
    throw badObject(".BTF has no header of little-endian BTF");
  }
  const base = view.getUint32(4, true);
  const part = (at: number, what: string): Uint8Array => {
    const from = base + view.getUint32(at, true);
    const lengthBytes = view.getUint32(at + 4, true);
    if (from + lengthBytes > bytes.length)
      throw badObject(`.BTF: its ${what} end after the section`);
    return bytes.subarray(from, from + lengthBytes);
  };
  return { types: part(8, "types"), strings: part(16, "strings") };
}

function readTypes(bytes: Uint8Array, strings: Uint8Array): BtfType[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const types: BtfType[] = [VOID];
  for (let at = 0; at < bytes.length; ) {
    if (at + TYPE_HEADER_BYTES > bytes.length)
      throw badObject(`.BTF: type ${types.length} is cut short`);
    const info = view.getUint32(at + 4, true);
    const kind = (info >>> 24) & 31;
    const count = info & 0xffff;
    const extra = EXTRA[kind];
    if (extra === undefined || kind === 0) {
      throw badObject(`.BTF: type ${types.length} is of kind ${kind}, which is unknown`);
    }
    const end = at + TYPE_HEADER_BYTES + extra[0] + extra[1] * count;
    if (end > bytes.length) throw badObject(`.BTF: type ${types.length} is cut short`);
    const name = readName(strings, view.getUint32(at, true), `BTF type ${types.length}`);
    const header = { id: types.length, kind, name, count, isFlagged: info >>> 31 === 1 };
    types.push(readType(view, at, header, strings));
    at = end;
  }
  return types;
}

interface TypeHeader {
  readonly id: number;
  readonly kind: number;
  readonly name: string;
  readonly count: number;
  readonly isFlagged: boolean;
}

function readType(
  view: DataView,
  at: number,
  { id, kind, name, count, isFlagged }: TypeHeader,
  strings: Uint8Array,
): BtfType {
  const sizeOrType = view.getUint32(at + 8, true);
  const extra = at + TYPE_HEADER_BYTES;
  const plain = { ...VOID, id, kind, name, type: sizeOrType };
  const sized = { ...VOID, id, kind, name, sizeBytes: sizeOrType };
  const each = <T>(bytes: number, read: (at: number) => T): T[] =>
    Array.from({ length: count }, (_, i) => read(extra + i * bytes));
  const nameAt = (from: number): string =>
    readName(strings, view.getUint32(from, true), `a part of BTF type ${id}`);
  switch (kind) {
    case BtfKind.INT:
      return { ...sized, isSigned: ((view.getUint32(extra, true) >>> 24) & 1) !== 0 };
    case BtfKind.ARRAY:
      return {
        ...plain,
        type: view.getUint32(extra, true),
        elements: view.getUint32(extra + 8, true),
      };
    case BtfKind.STRUCT:
    case BtfKind.UNION:
      return {
        ...sized,
        members: each(12, (from) => {
          const place = view.getUint32(from + 8, true);
          return {
            name: nameAt(from),
            type: view.getUint32(from + 4, true),
            bitOffset: isFlagged ? place & 0xff_ffff : place,
            bitSize: isFlagged ? place >>> 24 : 0,
          };
        }),
      };
    case BtfKind.ENUM:
      return {
        ...sized,
        isSigned: isFlagged,
        enumerators: each(8, (from) => ({
          name: nameAt(from),
          value: BigInt(isFlagged ? view.getInt32(from + 4, true) : view.getUint32(from + 4, true)),
        })),
      };
    case BtfKind.ENUM64:
      return {
        ...sized,
        isSigned: isFlagged,
        enumerators: each(12, (from) => ({
          name: nameAt(from),
          value:
            (BigInt(view.getUint32(from + 8, true)) << 32n) |
            BigInt(view.getUint32(from + 4, true)),
        })),
      };
    case BtfKind.FUNC_PROTO:
      return {
        ...plain,
        members: each(8, (from) => ({
          name: nameAt(from),
          type: view.getUint32(from + 4, true),
          bitOffset: 0,
          bitSize: 0,
        })),
      };
    case BtfKind.DATASEC:
      return {
        ...sized,
        variables: each(12, (from) => ({
          type: view.getUint32(from, true),
          at: view.getUint32(from + 4, true),
          sizeBytes: view.getUint32(from + 8, true),
        })),
      };
    case BtfKind.FLOAT:
      return sized;
    default:
      return plain;
  }
}
