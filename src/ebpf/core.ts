/**
 * CO-RE ("compile once, run everywhere"): instructions whose constants depend on the layout of types
 * are adapted to the types where the program will run, as libbpf does (relo_core.c, its documentation
 * `libbpf_overview`).
 *
 * The types of the other side come from BTF (`/sys/kernel/btf/vmlinux`) when the caller has it. Without
 * it `struct xdp_md` is what linux/bpf.h says, and every other type is taken as the object has it: packet
 * headers, which is what XDP programs read, never change.
 *
 * An instruction whose member does not exist becomes a call of {@link POISON}, as with libbpf: it may
 * stand where it is never reached.
 */
import { Btf, BtfKind, type BtfType, VOID } from "./btf.js";
import type { CoreRelocation } from "./btf-ext.js";
import { type Field, findField, parseAccess } from "./core-spec.js";
import { badObject } from "./ebpf-error.js";
import { Class, INSTRUCTION_BYTES, Jmp, LDDW, Mode, Size } from "./isa.js";

/** `enum bpf_core_relo_kind` */
const Kind = {
  FIELD_BYTE_OFFSET: 0,
  FIELD_BYTE_SIZE: 1,
  FIELD_EXISTS: 2,
  FIELD_SIGNED: 3,
  FIELD_LSHIFT_U64: 4,
  FIELD_RSHIFT_U64: 5,
  TYPE_ID_LOCAL: 6,
  TYPE_ID_TARGET: 7,
  TYPE_EXISTS: 8,
  TYPE_SIZE: 9,
  ENUMVAL_EXISTS: 10,
  ENUMVAL_VALUE: 11,
  TYPE_MATCHES: 12,
} as const;

/** The number of no helper, in calls that stand for members that are not there. */
export const POISON = 0x0bad2310;

/** What an instruction's constant becomes; null: there is no such thing. */
interface Resolved {
  readonly value: bigint;
  /** Of a member that is loaded or stored: its size there, and in the object; 0 when neither matters. */
  readonly sizeBytes: number;
  readonly localSizeBytes: number;
}

/** Adapts one instruction of `code`, which is a section's bytes. Throws `EbpfError` ENOEXEC. */
export function applyCore(
  code: DataView,
  relocation: CoreRelocation,
  local: Btf,
  target: Btf | null,
): void {
  if (relocation.at % INSTRUCTION_BYTES !== 0 || relocation.at >= code.byteLength) {
    throw badObject(
      `.BTF.ext: a CO-RE relocation of byte ${relocation.at}, where no instruction is`,
    );
  }
  const resolved = resolve(relocation, local, target);
  if (resolved === null) poison(code, relocation.at);
  else patch(code, relocation.at, resolved);
}

function resolve(relocation: CoreRelocation, local: Btf, target: Btf | null): Resolved | null {
  const { kind } = relocation;
  if (kind === Kind.TYPE_ID_LOCAL) return plain(relocation.type);
  if (kind > Kind.TYPE_MATCHES)
    throw badObject(`.BTF.ext: CO-RE relocation of unknown kind ${kind}`);
  const type = local.resolve(relocation.type);
  const found = candidates(type, local, target);
  if (kind <= Kind.FIELD_RSHIFT_U64) return resolveField(relocation, local, found);
  if (kind === Kind.ENUMVAL_EXISTS || kind === Kind.ENUMVAL_VALUE) {
    return resolveEnumerator(relocation, type, found);
  }
  const first = found.types[0];
  if (kind === Kind.TYPE_SIZE) return plain(first === undefined ? 0 : found.btf.sizeOf(first.id));
  if (kind === Kind.TYPE_ID_TARGET) return first === undefined ? null : plain(first.id);
  return plain(first === undefined ? 0 : 1);
}

const plain = (value: number | bigint): Resolved => ({
  value: BigInt(value),
  sizeBytes: 0,
  localSizeBytes: 0,
});

interface Candidates {
  readonly btf: Btf;
  readonly types: readonly BtfType[];
}

/** The types that may be meant: of the same kind and name, without `___flavour`. */
function candidates(type: BtfType, local: Btf, target: Btf | null): Candidates {
  const name = type.name.replace(/___.*$/s, "");
  const builtIn = BUILT_IN.find(name, type.kind);
  if (builtIn.length > 0) return { btf: BUILT_IN, types: builtIn };
  if (target !== null) return { btf: target, types: target.find(name, type.kind) };
  return { btf: local, types: [type] };
}

function resolveField(relocation: CoreRelocation, local: Btf, found: Candidates): Resolved | null {
  const spec = parseAccess(local, relocation.type, relocation.access);
  for (const type of found.types) {
    const field = findField(found.btf, type.id, spec.steps);
    if (field === null) continue;
    const value = fieldValue(relocation.kind, found.btf, field);
    const isPlace = relocation.kind === Kind.FIELD_BYTE_OFFSET && field.bitSize === 0;
    return {
      value,
      sizeBytes: isPlace ? scalarBytes(found.btf, field.type) : 0,
      localSizeBytes: isPlace ? scalarBytes(local, spec.type) : 0,
    };
  }
  return relocation.kind === Kind.FIELD_EXISTS ? plain(0) : null;
}

/** The size of a number or pointer; 0 of anything else, which is not loaded as one. */
function scalarBytes(btf: Btf, id: number): number {
  const { kind, sizeBytes } = btf.resolve(id);
  if (kind === BtfKind.PTR) return 8;
  return kind === BtfKind.INT || kind === BtfKind.ENUM || kind === BtfKind.ENUM64 ? sizeBytes : 0;
}

/** Bit fields are loaded whole, in the smallest number that covers them, then shifted. */
function fieldValue(kind: number, btf: Btf, field: Field): bigint {
  const { bitOffset, bitSize } = field;
  const ownBytes = btf.sizeOf(field.type);
  let bytes = ownBytes;
  let at = Math.floor(bitOffset / 8);
  if (bitSize > 0) {
    at = Math.floor(bitOffset / 8 / bytes) * bytes;
    while (bitOffset + bitSize - at * 8 > bytes * 8 && bytes < 8) {
      bytes *= 2;
      at = Math.floor(bitOffset / 8 / bytes) * bytes;
    }
  }
  switch (kind) {
    case Kind.FIELD_BYTE_OFFSET:
      return BigInt(at);
    case Kind.FIELD_BYTE_SIZE:
      return BigInt(bytes);
    case Kind.FIELD_EXISTS:
      return 1n;
    case Kind.FIELD_SIGNED:
      return btf.resolve(field.type).isSigned ? 1n : 0n;
    case Kind.FIELD_LSHIFT_U64:
      return BigInt(64 - (bitOffset + (bitSize || ownBytes * 8) - at * 8));
    default:
      return BigInt(64 - (bitSize || ownBytes * 8));
  }
}

function resolveEnumerator(
  relocation: CoreRelocation,
  type: BtfType,
  found: Candidates,
): Resolved | null {
  const wanted = type.enumerators[Number(relocation.access)];
  if (wanted === undefined) {
    throw badObject(`.BTF.ext: ${type.name} has no enumerator ${relocation.access}`);
  }
  const name = wanted.name.replace(/___.*$/s, "");
  for (const candidate of found.types) {
    const same = candidate.enumerators.find((enumerator) => enumerator.name === name);
    if (same === undefined) continue;
    return plain(relocation.kind === Kind.ENUMVAL_EXISTS ? 1 : same.value);
  }
  return relocation.kind === Kind.ENUMVAL_EXISTS ? plain(0) : null;
}

function poison(code: DataView, at: number): void {
  const words = code.getUint8(at) === LDDW ? 2 : 1;
  for (let i = 0; i < words && at + i * INSTRUCTION_BYTES < code.byteLength; i++) {
    const word = at + i * INSTRUCTION_BYTES;
    code.setUint32(word, Class.JMP | Jmp.CALL, true);
    code.setInt32(word + 4, POISON, true);
  }
}

const SIZES: ReadonlyMap<number, number> = new Map([
  [1, Size.B],
  [2, Size.H],
  [4, Size.W],
  [8, Size.DW],
]);

function patch(code: DataView, at: number, resolved: Resolved): void {
  const opcode = code.getUint8(at);
  const { value } = resolved;
  switch (opcode & 7) {
    case Class.ALU:
    case Class.ALU64:
      code.setInt32(at + 4, Number(BigInt.asIntN(32, value)), true);
      return;
    case Class.LDX:
    case Class.ST:
    case Class.STX:
      code.setInt16(at + 2, Number(value), true);
      if (resolved.sizeBytes !== resolved.localSizeBytes) resize(code, at, resolved);
      return;
    default:
      if (opcode !== LDDW || at + 2 * INSTRUCTION_BYTES > code.byteLength) {
        throw badObject(
          `.BTF.ext: a CO-RE relocation of an instruction that has no constant (${opcode})`,
        );
      }
      code.setInt32(at + 4, Number(BigInt.asIntN(32, value)), true);
      code.setInt32(at + INSTRUCTION_BYTES + 4, Number(BigInt.asIntN(32, value >> 32n)), true);
  }
}

/** A member of another size there is loaded in that size: what a pointer of vmlinux.h's xdp_md needs. */
function resize(code: DataView, at: number, { sizeBytes }: Resolved): void {
  const size = SIZES.get(sizeBytes);
  if (size === undefined) return;
  const opcode = code.getUint8(at);
  if ((opcode & 0xe0) !== Mode.MEM) return;
  code.setUint8(at, (opcode & ~0x18) | size);
}

/** `struct xdp_md` of linux/bpf.h: six words of 32 bits. */
const XDP_MD_MEMBERS = [
  "data",
  "data_end",
  "data_meta",
  "ingress_ifindex",
  "rx_queue_index",
  "egress_ifindex",
];

const BUILT_IN = new Btf([
  VOID,
  { ...VOID, id: 1, kind: BtfKind.INT, name: "unsigned int", sizeBytes: 4 },
  {
    ...VOID,
    id: 2,
    kind: BtfKind.STRUCT,
    name: "xdp_md",
    sizeBytes: XDP_MD_MEMBERS.length * 4,
    members: XDP_MD_MEMBERS.map((name, i) => ({ name, type: 1, bitOffset: i * 32, bitSize: 0 })),
  },
]);
