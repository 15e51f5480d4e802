/** Messages of the control socket (layout.h's `mr_*`): read with checks, and written. */
import type { IpAddress } from "../base/ip-address.js";
import {
  HELLO_BYTES,
  HelloAt,
  HelloFlag,
  Kind,
  OPEN_BYTES,
  OPENED_BYTES,
  OPTION_BYTES,
  OpenAt,
  OpenedAt,
  OptionAt,
  PROFILE_CHARS,
  PROGRAM_CHARS,
  REASON_CHARS,
  RULES_CHARS,
  SOCKETS,
  WELCOME_BYTES,
  WelcomeAt,
} from "../ring/engine-layout.js";
import { Family } from "../socket/linux-options.js";
import { SharedAddress } from "./shared-address.js";

export interface Hello {
  readonly version: number;
  readonly pid: number;
  /** It asks for loopback addresses. */
  readonly loopback: boolean;
  /** It cannot read its rules: those of who let it in, if they are of that file. */
  readonly rulesOfStarter: boolean;
  readonly program: string;
  readonly applicationId: string;
  readonly address: string;
  readonly rules: string;
  readonly profile: string;
  readonly spinUs: number;
}

/** An address in a message, or null when there is none. */
export interface MessageAddress {
  readonly address: IpAddress;
  readonly port: number;
  readonly scope: number;
}

export interface OpenRequest {
  readonly local: number;
  /** `Kind` */
  readonly kind: number;
  readonly family: number;
  /** `OpenedFor`. */
  readonly at: number;
  readonly fd: number;
  /** {@link Companion}. */
  readonly companion: number;
  readonly own: MessageAddress | null;
  readonly peer: MessageAddress | null;
  readonly inode: number;
  readonly endInode: number;
  readonly reason: string;
  readonly options: readonly OptionRecord[];
}

/** The kernel socket that comes along with an OPEN. */
export const Companion = {
  NONE: 0,
  /** It hears the kernel's interfaces for the socket. */
  HEARS: 1,
  /** It holds the port in the kernel. */
  HOLDS: 2,
  /** None, and no end either: the program has no room for it, and asks what would have been decided. */
  NOTHING_COMES: 3,
} as const;

/** Results of an OPEN that is not accelerated; an error of the program's is negative. */
export const NotOpened = {
  STAYS: 1,
  /** It would be accelerated if there were room for it. */
  NO_ROOM: 2,
  /** So it would, and leads to the network among this machine's programs, of which the kernel knows nothing. */
  NO_ROOM_NOR_WAY: 3,
} as const;

/** A setsockopt of before; `at` is the value's place in the message. */
export interface OptionRecord {
  readonly level: number;
  readonly option: number;
  readonly at: number;
  readonly bytes: number;
}

/** Null: the message is too short. */
export function readHello(view: DataView, n: number): Hello | null {
  if (n < HELLO_BYTES) return null;
  const flags = view.getUint32(HelloAt.flags, true);
  return {
    version: view.getUint32(HelloAt.version, true),
    pid: view.getInt32(HelloAt.pid, true),
    loopback: (flags & HelloFlag.LOOPBACK) !== 0,
    rulesOfStarter: (flags & HelloFlag.RULES_OF_STARTER) !== 0,
    program: readText(view, HelloAt.program, PROGRAM_CHARS),
    applicationId: readText(view, HelloAt.applicationId, PROGRAM_CHARS),
    address: readText(view, HelloAt.address, PROGRAM_CHARS),
    rules: readText(view, HelloAt.rules, RULES_CHARS),
    profile: readText(view, HelloAt.profile, PROFILE_CHARS),
    spinUs: view.getUint32(HelloAt.spinUs, true),
  };
}

/** Null: the message makes no sense. */
export function readOpen(view: DataView, n: number): OpenRequest | null {
  if (n < OPEN_BYTES) return null;
  const local = view.getUint32(OpenAt.local, true);
  const kind = view.getUint16(OpenAt.kind, true);
  const family = view.getUint16(OpenAt.family, true);
  const optionsBytes = view.getUint32(OpenAt.optionsBytes, true);
  if (kind !== Kind.TCP && kind !== Kind.UDP) return null;
  if (family !== Family.INET && family !== Family.INET6) return null;
  if (optionsBytes > n - OPEN_BYTES) return null;
  const options = readOptions(view, OPEN_BYTES, OPEN_BYTES + optionsBytes);
  if (options === null) return null;
  return {
    local,
    kind,
    family,
    at: view.getUint32(OpenAt.at, true),
    fd: view.getInt32(OpenAt.fd, true),
    companion: view.getUint32(OpenAt.hasCompanion, true),
    own: readMessageAddress(view, OpenAt.own),
    peer: readMessageAddress(view, OpenAt.peer),
    inode: readInode(view, OpenAt.inode),
    endInode: readInode(view, OpenAt.endInode),
    reason: readText(view, OpenAt.reason, REASON_CHARS),
    options,
  };
}

/** 64 bits, as a number: `getBigUint64` makes two objects. */
const readInode = (view: DataView, at: number): number =>
  view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);

/** Whether an entry's number is one. */
export const isEntry = (local: number): boolean => local >= 0 && local < SOCKETS;

function readOptions(view: DataView, from: number, end: number): OptionRecord[] | null {
  const records: OptionRecord[] = [];
  let at = from;
  while (at < end) {
    if (end - at < OPTION_BYTES) return null;
    const bytes = view.getUint32(at + OptionAt.bytes, true);
    if (bytes > end - at - OPTION_BYTES) return null;
    records.push({
      level: view.getInt32(at + OptionAt.level, true),
      option: view.getInt32(at + OptionAt.option, true),
      at: at + OPTION_BYTES,
      bytes,
    });
    at += OPTION_BYTES + ((bytes + 3) & ~3);
  }
  return records;
}

function readMessageAddress(view: DataView, at: number): MessageAddress | null {
  const read = new SharedAddress();
  read.read(view, at);
  if (read.family === 0) return null;
  return { address: read.address, port: read.port, scope: read.scope };
}

const SPACE = 0x20;
const DELETE = 0x7f;
const QUESTION = 0x3f;

/** Text that ends at its first zero byte, without control characters. */
function readText(view: DataView, at: number, chars: number): string {
  if (view.getUint8(at) === 0) return ""; // as nearly always where it is a reason
  const bytes: number[] = [];
  for (let i = 0; i < chars; i++) {
    const c = view.getUint8(at + i);
    if (c === 0) break;
    bytes.push(c < SPACE || c === DELETE ? QUESTION : c);
  }
  return Buffer.from(bytes).toString("utf8");
}

function writeReason(bytes: Uint8Array, at: number, reason: string): void {
  const text = Buffer.from(reason);
  bytes.fill(0, at, at + REASON_CHARS);
  bytes.set(text.subarray(0, REASON_CHARS - 1), at);
}

/** The answer to HELLO. */
export function welcome(type: number, result: number, session: number, reason: string): Uint8Array {
  const bytes = new Uint8Array(WELCOME_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(WelcomeAt.type, type, true);
  view.setInt32(WelcomeAt.result, result, true);
  view.setUint32(WelcomeAt.sessionId, session, true);
  writeReason(bytes, WelcomeAt.reason, reason);
  return bytes;
}

export interface Opened {
  readonly type: number;
  readonly result: number;
  readonly local: number;
  readonly regionId: number;
  readonly regionBytes: number;
  readonly headerAt: number;
  readonly generation: number;
  readonly hasRegion: boolean;
  readonly hasCompanion: boolean;
  readonly reason: string;
}

/** The answer to OPEN, ATTACH and REGION. */
export function opened(o: Opened): Uint8Array {
  const bytes = new Uint8Array(OPENED_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(OpenedAt.type, o.type, true);
  view.setInt32(OpenedAt.result, o.result, true);
  view.setUint32(OpenedAt.local, o.local, true);
  view.setUint32(OpenedAt.regionId, o.regionId, true);
  view.setUint32(OpenedAt.regionBytes, o.regionBytes, true);
  view.setUint32(OpenedAt.headerAt, o.headerAt, true);
  view.setUint32(OpenedAt.generation, o.generation, true);
  view.setUint32(OpenedAt.hasRegion, o.hasRegion ? 1 : 0, true);
  view.setUint32(OpenedAt.hasCompanion, o.hasCompanion ? 1 : 0, true);
  writeReason(bytes, OpenedAt.reason, o.reason);
  return bytes;
}
