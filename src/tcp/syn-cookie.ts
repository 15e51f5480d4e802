/**
 * SYN cookies, RFC 4987 §3.6: while the SYN queue is full, the SYN-ACK's sequence number holds a
 * keyed hash of the 4-tuple, the minute and the peer's MSS, and nothing is kept. With timestamps,
 * the low six bits of TSval hold the options: window scale (4 bits, 15 for none), SACK, ECN.
 *
 *   cookie = hash(tuple, irs) with its low 8 bits replaced by (minute & 31) << 3 | MSS index,
 *            mixed so that the minute cannot be stripped: the hash covers both.
 *
 * A cookie is good for two minutes.
 */
import type { IpAddress } from "../base/ip-address.js";
import { Drop } from "../wire/drop.js";
import * as tcp from "../wire/tcp.js";
import type { TcpCore } from "./core.js";
import { announcedMss, ecnMode, ownScale } from "./handshake.js";
import { hashTuple } from "./isn.js";
import { sendReply } from "./reply.js";
import { headerAt, writeSynOptions } from "./segment-writer.js";
import { advance } from "./seq.js";
import { TcbOptions } from "./tcb.js";
import { offsetFor } from "./timestamps.js";
import { MAX_UNSCALED } from "./window.js";

/** The MSS that three bits can name: common ones, smallest first. */
const MSS_TABLE: readonly number[] = [536, 1_220, 1_300, 1_400, 1_440, 1_460, 4_312, 8_960];
const PURPOSE_COOKIE = 2;
const LIFE_MINUTES = 2;
const NO_SCALE = 15;
const OPTION_BITS = 0x3f;

const minuteOf = (t: TcpCore): number => Math.floor(t.nowUs / 60_000_000);

/** The sequence number that stands for this SYN (`irs`) and these bits. */
function cookieFor(
  t: TcpCore,
  local: IpAddress,
  remote: IpAddress,
  ports: number,
  irs: number,
  bits: number,
): number {
  const low = hashTuple(t, local, remote, ports, PURPOSE_COOKIE + (bits << 8)) + irs;
  return (low & ~0xff) | bits;
}

/** Answers the current segment, a SYN for the selected listener, with a cookie; drops it. */
export function sendCookie(t: TcpCore): void {
  const c = t.c;
  const s = t.segment;
  const info = s.info!;
  // The listener remembers when it last sent one: cookies are not accepted long after.
  c.tsRecentSeconds = Math.floor(t.nowUs / 1_000_000) | 0;
  const slot = t.slots.take();
  if (slot < 0) {
    t.counts[t.k.noSlot]! += 1;
    t.drop(Drop.TCP_SYN_QUEUE_FULL);
    return;
  }
  const b = t.slots.bytes;
  const header = t.slots.l4At[s.slot]!;
  const remotePort = tcp.srcPort(b, header);
  const localPort = tcp.dstPort(b, header);
  const peerMss = s.options.mssBytes > 0 ? s.options.mssBytes : MSS_TABLE[0]!;
  let index = 0;
  while (index < 7 && MSS_TABLE[index + 1]! <= peerMss) index++;
  const bits = ((minuteOf(t) & 31) << 3) | index;
  const ports = (localPort << 16) | remotePort;
  const seq = cookieFor(t, info.local, info.remote, ports, s.seq, bits);
  const offered = offeredOptions(t);
  offer.ownMss = announcedMss(t, PLAIN_LIMIT[info.local.isV4 ? 0 : 1]!);
  offer.scales = ownScale(t) << 8;
  offer.tsRecent = s.options.tsVal;
  const at = headerAt(t, slot);
  const ecn = (offered & TcbOptions.ECN) !== 0;
  const end = writeSynOptions(b, at + tcp.HEADER_BYTES, offered, offer, cookieTsVal(t, offered));
  tcp.writePorts(b, at, localPort, remotePort);
  tcp.writeNumbers(b, at, seq, advance(s.seq, 1));
  const window = Math.min(c.rcvBufBytes, MAX_UNSCALED);
  tcp.writeControl(b, at, end - at, tcp.SYN | tcp.ACK | (ecn ? tcp.ECE : 0), window);
  t.counts[t.k.synCookiesSent]! += 1;
  sendReply(t, slot, at, end);
  t.consume();
}

/** Without a row there is no path to ask: what an Ethernet carries, IP header taken off. */
const PLAIN_LIMIT: readonly number[] = [1_480, 1_460];
const offer = { ownMss: 0, scales: 0, tsRecent: 0 };

/** What the SYN offers and a cookie can keep: nothing without timestamps to keep it in. */
function offeredOptions(t: TcpCore): number {
  const s = t.segment;
  const o = s.options;
  if (!o.hasTimestamps || !t.settings.timestamps) return 0;
  const both = tcp.ECE | tcp.CWR;
  return (
    TcbOptions.TIMESTAMPS |
    (o.sackPermitted && t.settings.sack ? TcbOptions.SACK : 0) |
    (o.windowScale >= 0 && t.settings.windowScaling ? TcbOptions.SCALING : 0) |
    ((s.flags & both) === both && ecnMode(t.c.options) !== 0 ? TcbOptions.ECN : 0)
  );
}

/** TSval with the options in its low bits, not later than the clock says. */
function cookieTsVal(t: TcpCore, offered: number): number {
  const s = t.segment;
  const info = s.info!;
  const scale = (offered & TcbOptions.SCALING) !== 0 ? s.options.windowScale : NO_SCALE;
  const sack = (offered & TcbOptions.SACK) !== 0 ? 0x10 : 0;
  const ecn = (offered & TcbOptions.ECN) !== 0 ? 0x20 : 0;
  const now = (t.nowMs + offsetFor(t, info.local, info.remote)) | 0;
  const value = (now & ~OPTION_BITS) | scale | sack | ecn;
  return ((value - now) | 0) > 0 ? (value - OPTION_BITS - 1) | 0 : value;
}

/**
 * Whether the current segment, an ACK for the selected listener, completes a cookie. If so, puts
 * the options of the lost SYN into `t.segment.options`.
 */
export function checkCookie(t: TcpCore): boolean {
  const c = t.c;
  const s = t.segment;
  const info = s.info!;
  const nowSeconds = Math.floor(t.nowUs / 1_000_000) | 0;
  if (t.settings.synCookies === 0) return false;
  if (t.settings.synCookies !== 2 && nowSeconds - c.tsRecentSeconds > 120) return false;
  const b = t.slots.bytes;
  const header = t.slots.l4At[s.slot]!;
  const ports = (tcp.dstPort(b, header) << 16) | tcp.srcPort(b, header);
  const cookie = advance(s.ack, -1);
  const bits = cookie & 0xff;
  if (((minuteOf(t) - (bits >>> 3)) & 31) >= LIFE_MINUTES) return false;
  const irs = advance(s.seq, -1);
  if (cookieFor(t, info.local, info.remote, ports, irs, bits) !== cookie) return false;
  restoreOptions(t, MSS_TABLE[bits & 7]!);
  return true;
}

function restoreOptions(t: TcpCore, mssBytes: number): void {
  const o = t.segment.options;
  o.mssBytes = mssBytes;
  o.windowScale = -1;
  o.sackPermitted = false;
  if (!o.hasTimestamps) return;
  const kept = o.tsEcr & OPTION_BITS;
  if ((kept & 0xf) !== NO_SCALE) o.windowScale = Math.min(kept & 0xf, 14);
  o.sackPermitted = (kept & 0x10) !== 0;
  if ((kept & 0x20) !== 0) t.segment.flags |= tcp.ECE | tcp.CWR;
}
