/**
 * Segments of test scripts as frames and back: Ethernet, IPv4 and TCP, with relative sequence
 * numbers. Slow and plain; the data path has nothing to do with it.
 */
import type { IpAddress } from "../base/ip-address.js";
import * as ethernet from "../wire/ethernet.js";
import * as ipv4 from "../wire/ipv4.js";
import * as pseudoHeader from "../wire/pseudo-header.js";
import * as tcp from "../wire/tcp.js";
import * as options from "../wire/tcp-options.js";
import type { ScriptOption, ScriptSegment } from "./script.js";

export const PROTOCOL_TCP = 6;

/** One end of a scripted connection. */
export interface ScriptEnd {
  readonly mac: Uint8Array;
  readonly address: IpAddress;
  readonly port: number;
  /** Initial sequence number; script numbers count from it. */
  readonly iss: number;
}

/** Byte `offset` (0 for the first after SYN) of every stream: content is checked, not only length. */
export const patternByte = (offset: number): number => (offset * 7 + (offset >> 8)) & 0xff;

const FLAG_LETTERS: readonly (readonly [letter: string, bit: number])[] = [
  ["S", tcp.SYN],
  ["F", tcp.FIN],
  ["R", tcp.RST],
  ["P", tcp.PSH],
  ["U", tcp.URG],
  ["E", tcp.ECE],
  ["W", tcp.CWR],
  [".", tcp.ACK],
];

export function flagBits(letters: string): number {
  let bits = 0;
  for (const [letter, bit] of FLAG_LETTERS) if (letters.includes(letter)) bits |= bit;
  return bits;
}

export function flagLetters(bits: number): string {
  return FLAG_LETTERS.filter(([, bit]) => (bits & bit) !== 0)
    .map(([letter]) => letter)
    .join("");
}

/** The frame of a segment that `from` sends to `to`; `lastTs` stands for `ecr last`. */
export function buildFrame(
  segment: ScriptSegment,
  from: ScriptEnd,
  to: ScriptEnd,
  lastTs: number,
): Uint8Array {
  const optionBytes = buildOptions(segment.options ?? [], to.iss, lastTs);
  const headerBytes = tcp.HEADER_BYTES + optionBytes.length;
  const ipAt = ethernet.HEADER_BYTES;
  const at = ipAt + ipv4.HEADER_BYTES;
  const end = at + headerBytes + segment.length;
  const b = new Uint8Array(end);
  ethernet.write(b, 0, to.mac, from.mac, ethernet.TYPE_IPV4);
  ipv4.write(b, ipAt, end - ipAt, PROTOCOL_TCP, from.address.w3, to.address.w3);
  ipv4.fillChecksum(b, ipAt);
  tcp.write(b, at, headerBytes, {
    srcPort: from.port,
    dstPort: to.port,
    seq: from.iss + segment.seq,
    ack: segment.ack === null ? 0 : to.iss + segment.ack,
    flags: flagBits(segment.flags),
    window: segment.window ?? 0,
    urgentPointer: segment.urgent ?? 0,
  });
  b.set(optionBytes, at + tcp.HEADER_BYTES);
  for (let i = 0; i < segment.length; i++) {
    b[at + headerBytes + i] = patternByte(segment.seq - 1 + i);
  }
  tcp.fillChecksum(b, at, end, pseudoHeader.sum4(b, ipAt, PROTOCOL_TCP, end - at));
  return b;
}

/** Option bytes, padded with END to a multiple of four; SACK edges count from the host's ISS. */
function buildOptions(list: readonly ScriptOption[], hostIss: number, lastTs: number): Uint8Array {
  const out: number[] = [];
  const put32 = (v: number): void => {
    out.push((v >>> 24) & 255, (v >>> 16) & 255, (v >>> 8) & 255, v & 255);
  };
  for (const o of list) {
    if (o.kind === "mss") out.push(options.KIND_MSS, 4, o.value >> 8, o.value & 255);
    else if (o.kind === "wscale") out.push(options.KIND_WINDOW_SCALE, 3, o.value);
    else if (o.kind === "sackOK") out.push(options.KIND_SACK_PERMITTED, 2);
    else if (o.kind === "nop") out.push(options.KIND_NOP);
    else if (o.kind === "eol") out.push(options.KIND_END);
    else if (o.kind === "TS") {
      out.push(options.KIND_TIMESTAMPS, 10);
      put32(o.val ?? 0);
      put32(o.ecr ?? lastTs);
    } else {
      out.push(options.KIND_SACK, 2 + 8 * o.blocks.length);
      for (const [left, right] of o.blocks) {
        put32(hostIss + left);
        put32(hostIss + right);
      }
    }
  }
  while (out.length % 4 !== 0) out.push(options.KIND_END);
  return Uint8Array.from(out);
}

/** What a frame of the tested host says, in script terms; null when it is no IPv4 TCP frame. */
export interface SeenSegment extends ScriptSegment {
  readonly rawSeq: number;
  readonly rawAck: number;
  readonly srcPort: number;
  readonly dstPort: number;
  readonly tsVal: number | null;
  readonly payload: Uint8Array;
  readonly checksumIsValid: boolean;
}

/** Takes a frame apart; numbers are relative to `fromIss` and `toIss`. */
export function readFrame(b: Uint8Array, fromIss: number, toIss: number): SeenSegment | null {
  if (ethernet.type(b, 0) !== ethernet.TYPE_IPV4) return null;
  const ipAt = ethernet.HEADER_BYTES;
  if (ipv4.check(b, ipAt, b.length) !== 0 || ipv4.protocol(b, ipAt) !== PROTOCOL_TCP) return null;
  const at = ipv4.payloadAt(b, ipAt);
  const end = ipv4.endOf(b, ipAt);
  if (tcp.check(b, at, end) !== 0) return null;
  const payloadAt = tcp.payloadAt(b, at);
  const rawSeq = tcp.seq(b, at);
  const rawAck = tcp.ack(b, at);
  const list = readOptions(b, at, toIss);
  const ts = list.find((o) => o.kind === "TS");
  const hasAck = (tcp.flags(b, at) & tcp.ACK) !== 0;
  const hasUrgent = (tcp.flags(b, at) & tcp.URG) !== 0;
  return {
    flags: flagLetters(tcp.flags(b, at)),
    seq: (rawSeq - fromIss) >>> 0,
    length: end - payloadAt,
    ack: hasAck ? (rawAck - toIss) >>> 0 : null,
    window: tcp.window(b, at),
    urgent: hasUrgent ? tcp.urgentPointer(b, at) : null,
    options: list,
    rawSeq,
    rawAck,
    srcPort: tcp.srcPort(b, at),
    dstPort: tcp.dstPort(b, at),
    tsVal: ts === undefined ? null : ts.val,
    payload: b.slice(payloadAt, end),
    checksumIsValid: tcp.checksumIsValid(
      b,
      at,
      end,
      pseudoHeader.sum4(b, ipAt, PROTOCOL_TCP, end - at),
    ),
  };
}

function readOptions(b: Uint8Array, at: number, toIss: number): ScriptOption[] {
  const out: ScriptOption[] = [];
  const parsed = new options.TcpOptions();
  options.parse(b, at, parsed);
  if (parsed.mssBytes >= 0) out.push({ kind: "mss", value: parsed.mssBytes });
  if (parsed.sackPermitted) out.push({ kind: "sackOK" });
  if (parsed.hasTimestamps) {
    out.push({ kind: "TS", val: parsed.tsVal >>> 0, ecr: parsed.tsEcr >>> 0 });
  }
  if (parsed.windowScale >= 0) out.push({ kind: "wscale", value: parsed.windowScale });
  if (parsed.sackBlocks > 0) {
    const edge = (i: number): number => (parsed.sack[i]! - toIss) >>> 0;
    const blocks = Array.from(
      { length: parsed.sackBlocks },
      (_, i) => [edge(2 * i), edge(2 * i + 1)] as const,
    );
    out.push({ kind: "sack", blocks });
  }
  return out;
}

/** Script notation of a segment, for messages. */
export function formatSegment(s: ScriptSegment): string {
  const parts = [`${s.flags === "" ? "-" : s.flags} ${s.seq}:${s.seq + s.length}(${s.length})`];
  if (s.ack !== null) parts.push(`ack ${s.ack}`);
  if (s.window !== null) parts.push(`win ${s.window}`);
  if (s.urgent !== null) parts.push(`urg ${s.urgent}`);
  if (s.options !== null && s.options.length > 0)
    parts.push(`<${s.options.map(formatOption).join(",")}>`);
  return parts.join(" ");
}

export function formatOption(o: ScriptOption): string {
  if (o.kind === "mss" || o.kind === "wscale") return `${o.kind} ${o.value}`;
  if (o.kind === "TS") return `TS val ${o.val ?? "*"} ecr ${o.ecr ?? "*"}`;
  if (o.kind === "sack") return `sack ${o.blocks.map(([l, r]) => `${l}:${r}`).join(" ")}`;
  return o.kind;
}
