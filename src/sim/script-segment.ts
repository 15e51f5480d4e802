/**
 * Segments of test scripts as frames and back: Ethernet, IP and TCP, with relative sequence
 * numbers. Slow and plain; the data path has nothing to do with it.
 */
import type { IpAddress } from "../base/ip-address.js";
import * as ethernet from "../wire/ethernet.js";
import * as ipv4 from "../wire/ipv4.js";
import * as ipv6 from "../wire/ipv6.js";
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

/** Values of the two ECN bits (RFC 3168 §5), by their script words. */
const ECN_WORDS = ["noecn", "ect1", "ect0", "ce"] as const;

/** The number of a word `name=N`, or `otherwise`. */
export function wordValue(s: ScriptSegment, name: string, otherwise: number): number {
  const word = s.words.find((w) => w.startsWith(`${name}=`));
  return word === undefined ? otherwise : Number(word.slice(name.length + 1));
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
  const ecn = ECN_WORDS.findIndex((word) => segment.words.includes(word));
  const bytes = headerBytes + segment.length;
  const b = ipFrame(PROTOCOL_TCP, bytes, from, to, Math.max(ecn, 0));
  const end = b.length;
  const at = end - bytes;
  tcp.write(b, at, headerBytes, {
    srcPort: wordValue(segment, "sport", from.port),
    dstPort: wordValue(segment, "port", to.port),
    seq: from.iss + segment.seq,
    ack: segment.ack === null ? 0 : to.iss + segment.ack,
    flags: flagBits(segment.flags),
    window: segment.window ?? 0,
    urgentPointer: segment.urgent ?? 0,
  });
  b.set(optionBytes, at + tcp.HEADER_BYTES);
  const first = segment.flags.includes("S") ? segment.seq : segment.seq - 1; // SYN takes a number
  for (let i = 0; i < segment.length; i++) b[at + headerBytes + i] = patternByte(first + i);
  b[at + 12] = (wordValue(segment, "doff", headerBytes >> 2) << 4) & 0xf0;
  if (segment.words.includes("rsv")) b[at + 12]! |= 0x0e;
  tcp.fillChecksum(b, at, end, pseudoHeader.sum(from.address, to.address, PROTOCOL_TCP, bytes));
  if (segment.words.includes("badsum")) b[at + tcp.CHECKSUM_AT]! ^= 0x55;
  return b;
}

/** A frame with Ethernet and IP headers, of the ends' family, in front of `bytes` zero bytes. */
export function ipFrame(
  protocol: number,
  bytes: number,
  from: ScriptEnd,
  to: ScriptEnd,
  ecn = 0,
): Uint8Array {
  const isV4 = from.address.isV4;
  const ipAt = ethernet.HEADER_BYTES;
  const ipBytes = isV4 ? ipv4.HEADER_BYTES : ipv6.HEADER_BYTES;
  const b = new Uint8Array(ipAt + ipBytes + bytes);
  ethernet.write(b, 0, to.mac, from.mac, isV4 ? ethernet.TYPE_IPV4 : ethernet.TYPE_IPV6);
  if (isV4) {
    ipv4.write(b, ipAt, ipBytes + bytes, protocol, from.address.w3, to.address.w3);
    ipv4.setTos(b, ipAt, ecn);
    ipv4.fillChecksum(b, ipAt);
  } else {
    ipv6.write(b, ipAt, bytes, protocol, from.address, to.address);
    ipv6.setClassAndFlow(b, ipAt, ecn, 0);
  }
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
    else if (o.kind === "raw") out.push(...Buffer.from(o.hex, "hex"));
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

/** What a frame of the tested host says, in script terms; null when it is no TCP frame. */
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
  const ip = readIp(b);
  if (ip === null || ip.protocol !== PROTOCOL_TCP) return null;
  const { at, end } = ip;
  if (tcp.check(b, at, end) !== 0) return null;
  const payloadAt = tcp.payloadAt(b, at);
  const rawSeq = tcp.seq(b, at);
  const rawAck = tcp.ack(b, at);
  const list = readOptions(b, at, toIss);
  const ts = list.find((o) => o.kind === "TS");
  const hasAck = (tcp.flags(b, at) & tcp.ACK) !== 0;
  const hasUrgent = (tcp.flags(b, at) & tcp.URG) !== 0;
  return {
    words: [ECN_WORDS[ip.ecn]!],
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
    checksumIsValid: tcp.checksumIsValid(b, at, end, ip.pseudoSum),
  };
}

interface IpPart {
  readonly protocol: number;
  /** The transport header, and where the packet ends. */
  readonly at: number;
  readonly end: number;
  readonly ecn: number;
  readonly pseudoSum: number;
}

/** The IP header of a frame, either family, no extension headers; null when it has none. */
function readIp(b: Uint8Array): IpPart | null {
  const ipAt = ethernet.HEADER_BYTES;
  if (ethernet.type(b, 0) === ethernet.TYPE_IPV4 && ipv4.check(b, ipAt, b.length) === 0) {
    const [protocol, at, end] = [
      ipv4.protocol(b, ipAt),
      ipv4.payloadAt(b, ipAt),
      ipv4.endOf(b, ipAt),
    ];
    const pseudoSum = pseudoHeader.sum4(b, ipAt, protocol, end - at);
    return { protocol, at, end, ecn: ipv4.ecn(b, ipAt), pseudoSum };
  }
  if (ethernet.type(b, 0) === ethernet.TYPE_IPV6 && ipv6.check(b, ipAt, b.length) === 0) {
    const protocol = ipv6.nextHeader(b, ipAt);
    const [at, end] = [ipAt + ipv6.HEADER_BYTES, ipv6.endOf(b, ipAt)];
    const pseudoSum = pseudoHeader.sum6(b, ipAt, protocol, end - at);
    return { protocol, at, end, ecn: ipv6.ecn(b, ipAt), pseudoSum };
  }
  return null;
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
  const parts: string[] = [];
  const words = s.words.filter((word) => word !== "noecn");
  if (words.length > 0) parts.push(`[${words.join(" ")}]`);
  parts.push(`${s.flags === "" ? "-" : s.flags} ${s.seq}:${s.seq + s.length}(${s.length})`);
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
  return o.kind === "raw" ? `raw ${o.hex}` : o.kind;
}
