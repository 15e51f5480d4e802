/** What a program may read and write through a pointer, and what it finds there. */
import type { MapDefinition } from "./map-definition.js";
import { MapFlag, MapType } from "./map-type.js";
import { touchesLock } from "./verify-lock.js";
import type { Frame, State } from "./verify-state.js";
import { Kind, markPrecise, number, plain, unknown, type Value } from "./verify-value.js";

export const STACK_BYTES = 512;
/** The kernel's bound on what is added to a packet pointer. */
const MAX_PACKET_OFFSET = 0xffff;

/** `struct xdp_md`: what each word is. */
const CONTEXT = [Kind.PACKET, Kind.PACKET_END, Kind.PACKET_META];
const EGRESS_AT = 20;
const CONTEXT_BYTES = 24;

/** What goes through a pointer. */
export interface Access {
  /** As people know it: `r3`. */
  readonly name: string;
  readonly pointer: Value;
  /** Added by the instruction. */
  readonly offset: number;
  readonly lengthBytes: number;
  readonly isWrite: boolean;
  /** Of an instruction: then stacks and contexts want it aligned. */
  readonly isInstruction: boolean;
}

/** Throws a text that says why it cannot be. */
export type Refuse = (reason: string) => never;

const plural = (n: number): string => (n === 1 ? "1 byte" : `${n} bytes`);

export function checkAccess(
  state: State,
  access: Access,
  refuse: Refuse,
  mayEgress: boolean,
): void {
  const { pointer, name } = access;
  if (pointer.kind === Kind.NOTHING) refuse(`${name} ${pointer.reason}`);
  if (pointer.mayBeNull) refuse(`${name} may be NULL here: compare it with 0 first`);
  switch (pointer.kind) {
    case Kind.PACKET:
    case Kind.PACKET_META:
      checkPacket(access, refuse);
      break;
    case Kind.STACK:
      checkStack(access, refuse, state);
      break;
    case Kind.VALUE:
      checkValue(access, refuse);
      break;
    case Kind.RECORD:
      checkInside(access, pointer.extra, "the record", refuse);
      break;
    case Kind.CONTEXT:
      checkContext(access, refuse, mayEgress);
      break;
    case Kind.NUMBER:
      refuse(`${name} ${pointer.reason || "is a number, not a pointer"}`);
      break;
    default:
      refuse(`${name} is ${describeKind(pointer)}, which cannot be ${verb(access)}`);
      break;
  }
}

const verb = (access: Access): string => (access.isWrite ? "written" : "read");

const DESCRIPTIONS: readonly string[] = [
  "nothing",
  "a number",
  "the context",
  "a pointer into the packet",
  "the end of the packet",
  "a pointer to the packet's metadata",
  "a pointer into the stack",
  "a map",
  "a pointer to a map's value",
  "a pointer to a record",
  "a function",
];

export function describeKind(value: Value): string {
  const what = DESCRIPTIONS[value.kind]!;
  return value.mayBeNull ? `${what} or NULL` : what;
}

function checkPacket(
  { pointer, name, offset, lengthBytes, isWrite }: Access,
  refuse: Refuse,
): void {
  const from = pointer.offset + offset;
  if (pointer.min < 0)
    refuse(`${name} may point in front of the packet: what is added to it may be negative`);
  if (pointer.max > MAX_PACKET_OFFSET) {
    refuse(`${name} may point far behind the packet: what is added to it has no bound below 65536`);
  }
  if (from < 0) refuse(`${name} points ${plural(-from)} in front of what is known of the packet`);
  if (from + lengthBytes <= pointer.range) return;
  const what = isWrite ? "written" : "read";
  refuse(
    `${plural(lengthBytes)} at ${name} ${signed(from)} ${lengthBytes === 1 ? "is" : "are"} ${what}, and only ` +
      `${plural(pointer.range)} of the packet ${pointer.range === 1 ? "is" : "are"} known to be there: ` +
      "compare with data_end first",
  );
}

const signed = (n: number): string => (n < 0 ? `- ${-n}` : `+ ${n}`);

function checkInside(access: Access, sizeBytes: number, what: string, refuse: Refuse): void {
  const { pointer, name, offset, lengthBytes } = access;
  const from = pointer.offset + pointer.min + offset;
  const end = pointer.offset + pointer.max + offset + lengthBytes;
  markPrecise(pointer);
  const isInside = from >= 0 && end <= sizeBytes;
  // The kernel takes the unknown part without its sign.
  if (isInside && (pointer.min >= 0 || pointer.isConstant)) return;
  if (!Number.isFinite(from) || !Number.isFinite(end)) {
    refuse(`${name} may point anywhere: what was added to it has no bounds`);
  }
  if (isInside) refuse(`${name} may be moved back: what is added to it may be negative`);
  refuse(`${name} reaches bytes ${from} to ${end - 1} of ${what}, which has ${sizeBytes}`);
}

function checkValue(access: Access, refuse: Refuse): void {
  const { pointer, isWrite } = access;
  const map = pointer.map!;
  if (isWrite && isReadOnly(map)) {
    refuse(`${map.name} is for reading only, and is written`);
  }
  if (!isWrite && (map.flags & MapFlag.WRONLY_PROG) !== 0) {
    refuse(`${map.name} is for writing only, and is read`);
  }
  checkInside(access, map.valueBytes, `a value of ${map.name}`, refuse);
  const from = pointer.offset + access.offset;
  if (touchesLock(map.lockAt, from + pointer.min, from + pointer.max + access.lengthBytes)) {
    refuse(
      `${access.name} reaches the lock in a value of ${map.name}, which is for bpf_spin_lock only`,
    );
  }
}

/** Values of maps of devices and sockets are what processes put there. */
export const isReadOnly = ({ type, flags }: MapDefinition): boolean =>
  (flags & MapFlag.RDONLY_PROG) !== 0 ||
  type === MapType.DEVMAP ||
  type === MapType.DEVMAP_HASH ||
  type === MapType.XSKMAP;

function checkStack(access: Access, refuse: Refuse, state: State): void {
  const { pointer, name, offset, lengthBytes, isInstruction } = access;
  if (pointer.extra >= state.frames.length)
    refuse(`${name} points to the stack of a function that has ended`);
  const from = pointer.offset + pointer.min + offset;
  const end = pointer.offset + pointer.max + offset + lengthBytes;
  if (!Number.isFinite(from) || !Number.isFinite(end)) {
    refuse(`${name} may point anywhere: what was added to it has no bounds`);
  }
  if (from < -STACK_BYTES || end > 0) {
    refuse(
      `${name} reaches bytes ${from} to ${end - 1} of the stack, which has -${STACK_BYTES} to -1`,
    );
  }
  const isAligned = !isInstruction || pointer.min !== pointer.max || from % lengthBytes === 0;
  if (!isAligned) refuse(`${plural(lengthBytes)} of the stack at ${from} are not aligned`);
}

function checkContext(access: Access, refuse: Refuse, mayEgress: boolean): void {
  const { pointer, name, offset, lengthBytes, isWrite } = access;
  const at = pointer.offset + offset;
  if (isWrite) refuse(`${name} is the context, which cannot be written`);
  const isWord = lengthBytes === 4 && at % 4 === 0 && at >= 0 && at < CONTEXT_BYTES;
  if (!isWord || pointer.min !== pointer.max) {
    refuse(
      `the context (struct xdp_md) is read in words of 4 bytes, and ${plural(lengthBytes)} at ${at} are none`,
    );
  }
  if (at === EGRESS_AT && !mayEgress) {
    refuse("egress_ifindex is there for programs in section xdp/devmap only");
  }
}

/**
 * What a load of `.rodata` finds, as the kernel's verifier knows it of frozen maps: features that such a constant
 * switches off are not looked at. null: it is none, or a number that is not exact here.
 */
function constantAt({ pointer, offset, lengthBytes }: Access, isSigned: boolean): number | null {
  const { map } = pointer;
  if (pointer.kind !== Kind.VALUE || map === null || !isConstant(map)) return null;
  const at = pointer.offset + pointer.min + offset;
  if (pointer.min !== pointer.max || at < 0 || at + lengthBytes > map.valueBytes) return null;
  const bytes = map.initial ?? new Uint8Array(map.valueBytes);
  let value = 0n;
  for (let n = lengthBytes; n > 0; n--) value = (value << 8n) | BigInt(bytes[at + n - 1]!);
  const isNegative = isSigned || lengthBytes === 8;
  const known = Number(isNegative ? BigInt.asIntN(8 * lengthBytes, value) : value);
  return Number.isSafeInteger(known) ? known : null;
}

/** A map that nobody writes once the program is verified; see `XdpInstance`. */
export const isConstant = (map: MapDefinition): boolean =>
  map.name.startsWith(".rodata") && (map.flags & MapFlag.RDONLY_PROG) !== 0;

/** What a load finds. Precondition: the access was checked. */
export function loaded(state: State, access: Access, isSigned: boolean): Value {
  const { pointer, offset, lengthBytes } = access;
  if (pointer.kind === Kind.CONTEXT) {
    const kind = CONTEXT[(pointer.offset + offset) / 4];
    return kind === undefined ? number(0, 2 ** 32 - 1) : plain(kind);
  }
  if (pointer.kind === Kind.STACK && lengthBytes === 8 && pointer.min === pointer.max) {
    const frame = state.frames[pointer.extra]!;
    const value = frame.slot(slotOf(pointer.offset + pointer.min + offset));
    if (value !== null) return value;
  }
  const constant = constantAt(access, isSigned);
  if (constant !== null) return number(constant, constant);
  if (lengthBytes === 8) return unknown();
  const limit = 2 ** (lengthBytes * 8);
  return isSigned ? number(-limit / 2, limit / 2 - 1) : number(0, limit - 1);
}

const slotOf = (offset: number): number => -offset / 8 - 1;

/** Notes what a store leaves on the stack; `value` null: bytes that say nothing. */
export function stored(state: State, access: Access, value: Value | null): void {
  const { pointer, offset, lengthBytes } = access;
  if (pointer.kind !== Kind.STACK) return;
  const frame = state.frames[pointer.extra]!;
  const from = pointer.offset + pointer.min + offset;
  const end = pointer.offset + pointer.max + offset + lengthBytes;
  if (lengthBytes === 8 && end - from === 8 && value !== null) {
    frame.store(slotOf(from), value);
    return;
  }
  forget(frame, from, end);
}

function forget(frame: Frame, from: number, end: number): void {
  for (let slot = slotOf(end - 1 - ((end - 1) & 7)); slot <= slotOf(from - (from & 7)); slot++) {
    frame.forget(slot);
  }
}
