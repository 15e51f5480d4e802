/**
 * What both sides of a handshake share: the row's fields before the SYN, the options agreed on
 * (RFC 9293 §3.7.1, RFC 7323 §2, RFC 2018 §2, RFC 3168 §6.1.1), and the step to ESTABLISHED.
 */
import { NEVER } from "../base/time.js";
import { sumAddresses } from "../wire/pseudo-header.js";
import * as tcp from "../wire/tcp.js";
import type { TcpCore } from "./core.js";
import { initialSeq } from "./isn.js";
import { startKeepalive } from "./keepalive.js";
import { PeerOption } from "./recovery.js";
import { Retry, setRetries } from "./retries.js";
import type { Segment } from "./segment.js";
import { fixedOptionBytes } from "./segment-writer.js";
import { advance, after } from "./seq.js";
import { State } from "./state.js";
import { TcbFlags, TcbOptions } from "./tcb.js";
import { nowSeconds, offsetFor } from "./timestamps.js";
import { scaleFor, sndShift, startAutotuning } from "./window.js";

/** MSS of a peer that announces none: RFC 9293 §3.7.1 (MUST-15). */
const DEFAULT_MSS_V4 = 536;
const DEFAULT_MSS_V6 = 1_220;
/** rcvMss before anything was measured, as Linux's TCP_MSS_DEFAULT. */
const FIRST_RCV_MSS = 536;

/** Loads the selected row's addresses into `t.local` and `t.remote`. */
export function loadAddresses(t: TcpCore): void {
  const { i, addressAt } = t.c;
  t.local.set(i[addressAt]!, i[addressAt + 1]!, i[addressAt + 2]!, i[addressAt + 3]!);
  t.remote.set(i[addressAt + 4]!, i[addressAt + 5]!, i[addressAt + 6]!, i[addressAt + 7]!);
}

/** Sets the row's addresses from `t.local` and `t.remote`. */
export function storeAddresses(t: TcpCore): void {
  const { i, addressAt: at } = t.c;
  const { local, remote } = t;
  i[at] = local.w0;
  i[at + 1] = local.w1;
  i[at + 2] = local.w2;
  i[at + 3] = local.w3;
  i[at + 4] = remote.w0;
  i[at + 5] = remote.w1;
  i[at + 6] = remote.w2;
  i[at + 7] = remote.w3;
}

/** The MSS to announce on a path that carries segments of `limitBytes` (RFC 6691). */
export function announcedMss(t: TcpCore, limitBytes: number): number {
  const user = t.c.ownMss >>> 16;
  const mss = Math.max(limitBytes - tcp.HEADER_BYTES, t.settings.minAdvMss);
  const capped = user !== 0 && user < mss ? user : mss;
  return Math.min(capped, 0xffff);
}

/**
 * Everything that the first SYN or SYN-ACK of the selected row needs. Precondition: its addresses
 * and ports are set. False when there is no route.
 */
export function prepareHandshake(t: TcpCore): boolean {
  const c = t.c;
  loadAddresses(t);
  const limit = t.host.segmentLimitBytes(c);
  if (limit <= 0) return false;
  const s = t.settings;
  c.ownMss = (c.ownMss & ~0xffff) | announcedMss(t, limit);
  c.pseudoSum = sumAddresses(t.local, t.remote);
  c.tsOffset = offsetFor(t, t.local, t.remote);
  c.iss = initialSeq(t);
  // In the place of a connection in TIME-WAIT: past its numbers, by as much as Linux.
  if (t.hasLastSndNxt && !after(c.iss, t.lastSndNxt)) c.iss = advance(t.lastSndNxt, 0x10001);
  c.sndUna = c.iss;
  c.sndNxt = c.iss;
  c.sndUp = c.iss;
  c.sndSml = c.iss;
  c.sndMss = DEFAULT_MSS_V4;
  c.rcvMss = FIRST_RCV_MSS;
  c.options |=
    (s.timestamps ? TcbOptions.TIMESTAMPS : 0) |
    (s.sack ? TcbOptions.SACK : 0) |
    (s.windowScaling ? TcbOptions.SCALING : 0);
  c.scales = ownScale(t) << 8;
  const algorithm = c.algorithm;
  t.recovery.init(c, t.nowUs);
  t.recovery.setAlgorithm(c, algorithm);
  c.flags |= TcbFlags.RECOVERING;
  return true;
}

/** The window scale that the selected row, connection or listener, announces. */
export function ownScale(t: TcpCore): number {
  const c = t.c;
  const largest = c.has(TcbFlags.RCVBUF_LOCKED) ? c.rcvBufBytes : t.settings.rmemMaxBytes;
  const clamp = c.windowClampBytes;
  return scaleFor(clamp !== 0 && clamp < largest ? clamp : largest);
}

/** Our SYN or SYN-ACK goes out for the first time: it takes a sequence number. */
export function synSent(t: TcpCore): void {
  const c = t.c;
  c.sndNxt = advance(c.iss, 1);
  t.recovery.sent(c, c.iss, c.sndNxt, t.nowUs);
}

/** Takes over the sequence number and options of the peer's SYN. */
export function acceptSyn(t: TcpCore, s: Segment): void {
  const c = t.c;
  const o = s.options;
  c.irs = s.seq;
  c.rcvNxt = advance(s.seq, 1);
  c.rcvAcked = c.rcvNxt;
  c.rcvAdv = c.rcvNxt;
  c.rcvUp = s.seq;
  c.peerMss = o.mssBytes > 0 ? o.mssBytes : t.local.isV4 ? DEFAULT_MSS_V4 : DEFAULT_MSS_V6;
  let agreed = c.options;
  if (!o.hasTimestamps) agreed &= ~TcbOptions.TIMESTAMPS;
  if (!o.sackPermitted) agreed &= ~TcbOptions.SACK;
  if (o.windowScale < 0) agreed &= ~TcbOptions.SCALING;
  c.options = agreed;
  if ((agreed & TcbOptions.SCALING) !== 0) c.scales = (c.scales & ~0xff) | o.windowScale;
  else c.scales = 0;
  if ((agreed & TcbOptions.TIMESTAMPS) !== 0) {
    c.tsRecent = o.tsVal;
    c.tsRecentSeconds = nowSeconds(t);
  }
  c.sndWnd = s.window; // never scaled on a SYN
  c.sndMaxWnd = s.window;
  c.sndWl1 = s.seq;
  c.sndWl2 = s.ack;
}

/** Payload bytes of a full segment: the peer's MSS, the path's and the user's limit. */
export function computeSndMss(t: TcpCore): number {
  const c = t.c;
  const limit = t.host.segmentLimitBytes(c);
  let mss = c.peerMss;
  if (limit > 0 && limit - tcp.HEADER_BYTES < mss) mss = limit - tcp.HEADER_BYTES;
  const user = c.ownMss >>> 16;
  if (user !== 0 && user < mss) mss = user;
  if (mss < t.settings.minSndMss) mss = t.settings.minSndMss;
  return mss - fixedOptionBytes(c.options);
}

/** The handshake is done: the selected row can carry data. `sndUna` is past the SYN. */
export function becomeEstablished(t: TcpCore): void {
  const c = t.c;
  c.state = State.ESTABLISHED;
  c.sndMss = computeSndMss(t);
  c.rcvMss = Math.max(Math.min(c.ownMss & 0xffff, FIRST_RCV_MSS), 88);
  c.sndSml = c.sndUna;
  c.sndUp = c.sndUna;
  setRetries(c, Retry.TIMEOUTS, 0);
  c.error = 0;
  c.softError = 0;
  c.lastRcvUs = t.nowUs;
  c.stateAtUs = NEVER;
  const o = c.options;
  t.recovery.established(
    c,
    ((o & TcbOptions.SACK) !== 0 ? PeerOption.SACK : 0) |
      ((o & TcbOptions.TIMESTAMPS) !== 0 ? PeerOption.TIMESTAMPS : 0) |
      ((o & TcbOptions.ECN) !== 0 ? PeerOption.ECN : 0),
    t.nowUs,
  );
  startAutotuning(t);
  startKeepalive(t);
}

/** Hot path. The window field of a segment after the handshake, in bytes. */
export const scaledWindow = (t: TcpCore, field: number): number => field << sndShift(t.c.scales);

/** tcp_ecn of the selected row: 0 off, 1 ask, 2 accept. */
export const ecnMode = (options: number): number => (options >>> TcbOptions.ECN_MODE_SHIFT) & 3;

/** Whether the SYN asks for ECN and we take part (RFC 3168 §6.1.1). */
export function acceptEcn(t: TcpCore, s: Segment): boolean {
  const both = tcp.ECE | tcp.CWR;
  if ((s.flags & both) !== both || ecnMode(t.c.options) === 0) return false;
  t.c.options |= TcbOptions.ECN;
  return true;
}
