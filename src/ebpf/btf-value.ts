/**
 * Keys and values of maps as people write them, by their types in BTF: numbers, enumerators by name,
 * structs as objects, arrays. `__be16` is a number, `__be32` an IPv4 address, bytes are hexadecimal.
 * Without a type, and where only a part has none, bytes are hexadecimal too: `0a000001`.
 */
import { type Btf, BtfKind, type BtfType, isModifier } from "./btf.js";
import { EbpfError } from "./ebpf-error.js";

export type Readable =
  | number
  | string
  | readonly Readable[]
  | { readonly [name: string]: Readable };

const MAX_DEPTH = 16;
const BE16 = "__be16";
const BE32 = "__be32";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** The bytes as what their type says; `type` 0 or `btf` null: as hexadecimal. */
export function decodeValue(btf: Btf | null, type: number, bytes: Uint8Array): Readable {
  if (btf === null || type === 0) return hex(bytes);
  return decode(btf, type, bytes, 0);
}

function decode(btf: Btf, id: number, bytes: Uint8Array, depth: number): Readable {
  const order = networkOrder(btf, id);
  if (order === BE16) return (bytes[0]! << 8) | bytes[1]!;
  if (order === BE32) return bytes.subarray(0, 4).join(".");
  const type = btf.resolve(id);
  if (depth > MAX_DEPTH) return hex(bytes);
  switch (type.kind) {
    case BtfKind.INT:
      return decodeNumber(type, bytes);
    case BtfKind.ENUM:
    case BtfKind.ENUM64: {
      const value = decodeNumber(type, bytes);
      return type.enumerators.find((one) => String(one.value) === String(value))?.name ?? value;
    }
    case BtfKind.ARRAY:
      return decodeArray(btf, type, bytes, depth);
    case BtfKind.STRUCT:
      return decodeStruct(btf, type, bytes, depth);
    case BtfKind.DATASEC:
      return Object.fromEntries(
        type.variables.map((one) => {
          const part = bytes.subarray(one.at, one.at + one.sizeBytes);
          const variable = btf.at(one.type);
          return [variable.name, decode(btf, variable.type, part, depth + 1)];
        }),
      );
    default:
      return hex(bytes);
  }
}

function decodeNumber({ sizeBytes, isSigned }: BtfType, bytes: Uint8Array): Readable {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (sizeBytes > bytes.length) return hex(bytes);
  if (sizeBytes === 1) return isSigned ? view.getInt8(0) : view.getUint8(0);
  if (sizeBytes === 2) return isSigned ? view.getInt16(0, true) : view.getUint16(0, true);
  if (sizeBytes === 4) return isSigned ? view.getInt32(0, true) : view.getUint32(0, true);
  if (sizeBytes !== 8) return hex(bytes);
  const value = isSigned ? view.getBigInt64(0, true) : view.getBigUint64(0, true);
  const isExact =
    value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER);
  return isExact ? Number(value) : String(value);
}

function decodeArray(btf: Btf, type: BtfType, bytes: Uint8Array, depth: number): Readable {
  const each = btf.sizeOf(type.type);
  if (each <= 1 || each * type.elements > bytes.length) return hex(bytes);
  return Array.from({ length: type.elements }, (_, n) =>
    decode(btf, type.type, bytes.subarray(n * each, (n + 1) * each), depth + 1),
  );
}

function decodeStruct(btf: Btf, type: BtfType, bytes: Uint8Array, depth: number): Readable {
  const found: Record<string, Readable> = {};
  for (const { name, type: id, bitOffset, bitSize } of type.members) {
    const at = bitOffset / 8;
    const size = btf.sizeOf(id);
    if (bitSize !== 0 || !Number.isInteger(at) || at + size > bytes.length) continue;
    found[name] = decode(btf, id, bytes.subarray(at, at + size), depth + 1);
  }
  return found;
}

/** `__be16` or `__be32` when a type is one by name, else nothing. */
function networkOrder(btf: Btf, id: number): string | null {
  let type = btf.at(id);
  for (let depth = 0; depth < MAX_DEPTH && isModifier(type.kind); depth++) {
    if (type.name === BE16 || type.name === BE32) return type.name;
    type = btf.at(type.type);
  }
  return null;
}

/** The other way; throws `EbpfError` EINVAL that says what was expected. */
export function encodeValue(
  btf: Btf | null,
  type: number,
  lengthBytes: number,
  readable: Readable,
): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  if (btf === null || type === 0) encodeUntyped(bytes, readable);
  else encode(btf, type, bytes, readable, "");
  return bytes;
}

function wrong(path: string, expected: string, got: Readable): never {
  const where = path === "" ? "" : `${path}: `;
  throw new EbpfError("EINVAL", `${where}expected ${expected}, got ${JSON.stringify(got)}`);
}

function encodeUntyped(bytes: Uint8Array, readable: Readable): void {
  if (typeof readable === "number") putWhole(bytes, readable, false, "");
  else if (!putHex(bytes, readable)) {
    wrong("", `a number or ${bytes.length} bytes of hexadecimal`, readable);
  }
}

/** Digits with or without colons and spaces, as many as there are bytes. */
function putHex(bytes: Uint8Array, readable: Readable): boolean {
  if (typeof readable !== "string") return false;
  const digits = readable.replaceAll(/[:\s]/g, "");
  if (digits.length !== bytes.length * 2 || !/^[0-9a-f]*$/i.test(digits)) return false;
  bytes.set(Buffer.from(digits, "hex"));
  return true;
}

/** A whole number that the bytes can hold, with or without a sign; of a signed type, no more than it has. */
function putWhole(
  bytes: Uint8Array,
  readable: number | string,
  isSigned: boolean,
  path: string,
): void {
  const values = 1n << BigInt(8 * bytes.length);
  const least = -(values / 2n);
  const most = (isSigned ? values / 2n : values) - 1n;
  if (typeof readable === "number" && !Number.isInteger(readable)) {
    wrong(path, "a whole number", readable);
  }
  if (typeof readable === "number" && !Number.isSafeInteger(readable)) {
    wrong(path, "a number beyond 2^53 as text, which is exact", readable);
  }
  const value = BigInt(readable);
  if (value < least || value > most) wrong(path, `${least} to ${most}`, readable);
  putNumber(bytes, value);
}

function putNumber(bytes: Uint8Array, value: bigint): void {
  let rest = value;
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
}

function encode(btf: Btf, id: number, bytes: Uint8Array, readable: Readable, path: string): void {
  const order = networkOrder(btf, id);
  if (order === BE32 && typeof readable === "string" && readable.includes(".")) {
    const parts = readable.split(".").map(Number);
    const isAddress =
      parts.length === 4 && parts.every((n) => n >= 0 && n < 256 && Number.isInteger(n));
    if (!isAddress) wrong(path, "an IPv4 address", readable);
    bytes.set(parts);
    return;
  }
  const type = btf.resolve(id);
  if (typeof readable === "number" || isDecimal(readable, type)) {
    if (isComposite(type.kind)) wrong(path, describe(type), readable);
    putWhole(bytes, readable, type.isSigned, path);
    if (order !== null) bytes.reverse();
    return;
  }
  if (typeof readable === "string") {
    const found = type.enumerators.find((one) => one.name === readable);
    if (found !== undefined) putNumber(bytes, found.value);
    else if (!putHex(bytes, readable)) wrong(path, describe(type), readable);
    return;
  }
  if (Array.isArray(readable)) encodeArray(btf, type, bytes, readable, path);
  else {
    // What was text may be anything.
    if (typeof readable !== "object" || readable === null) wrong(path, describe(type), readable);
    const parts = readable as { readonly [name: string]: Readable };
    if (type.kind === BtfKind.DATASEC) encodeVariables(btf, type, bytes, parts);
    else encodeStruct(btf, type, bytes, parts, path);
  }
}

const isComposite = (kind: number): boolean =>
  kind === BtfKind.STRUCT || kind === BtfKind.UNION || kind === BtfKind.ARRAY;

/** Numbers of 64 bits are text where JSON has no exact one. */
function isDecimal(readable: Readable, type: BtfType): readable is string {
  return type.kind === BtfKind.INT && typeof readable === "string" && /^-?\d+$/.test(readable);
}

function encodeArray(
  btf: Btf,
  type: BtfType,
  bytes: Uint8Array,
  readable: readonly Readable[],
  path: string,
): void {
  if (type.kind !== BtfKind.ARRAY || readable.length > type.elements) {
    wrong(path, describe(type), readable);
  }
  const each = btf.sizeOf(type.type);
  for (const [n, one] of readable.entries()) {
    encode(btf, type.type, bytes.subarray(n * each, (n + 1) * each), one, `${path}[${n}]`);
  }
}

/** Members that are not named stay 0. */
function encodeStruct(
  btf: Btf,
  type: BtfType,
  bytes: Uint8Array,
  readable: { readonly [name: string]: Readable },
  path: string,
): void {
  if (type.kind !== BtfKind.STRUCT && type.kind !== BtfKind.UNION) {
    wrong(path, describe(type), readable);
  }
  for (const [name, value] of Object.entries(readable)) {
    const member = type.members.find((one) => one.name === name && one.bitSize === 0);
    const at = (member?.bitOffset ?? 0) / 8;
    if (member === undefined) wrong(path, describe(type), readable);
    else encodePart(btf, member.type, at, bytes, value, `${path}.${name}`);
  }
}

function encodePart(
  btf: Btf,
  id: number,
  at: number,
  bytes: Uint8Array,
  readable: Readable,
  path: string,
): void {
  encode(btf, id, bytes.subarray(at, at + btf.sizeOf(id)), readable, path);
}

/** Variables by their names; those that are not named stay 0. */
function encodeVariables(
  btf: Btf,
  type: BtfType,
  bytes: Uint8Array,
  readable: { readonly [name: string]: Readable },
): void {
  for (const [name, value] of Object.entries(readable)) {
    const found = type.variables.find((one) => btf.at(one.type).name === name);
    if (found === undefined) wrong("", describe(type), readable);
    else encodePart(btf, btf.at(found.type).type, found.at, bytes, value, name);
  }
}

function describe(type: BtfType): string {
  if (type.kind === BtfKind.STRUCT || type.kind === BtfKind.UNION) {
    return `members ${type.members.map((member) => member.name).join(", ")}`;
  }
  if (type.kind === BtfKind.DATASEC) return "names of variables";
  if (type.kind === BtfKind.ARRAY) return `up to ${type.elements} elements`;
  return type.name === "" ? "bytes as hexadecimal" : type.name;
}
