/**
 * Writes segments of the selected connection and hands them to the host: header, options, checksum
 * request. What to send is output.ts's business.
 *
 * The transport header stands where the slot's headroom ends. The checksum field gets the folded
 * pseudo-header sum, and the frame is marked CHECKSUM_PARTIAL: the device or its driver completes it.
 */
import { put16 } from "../base/bytes.js";
import { fold } from "../base/checksum.js";
import * as tcp from "../wire/tcp.js";
import * as options from "../wire/tcp-options.js";
import type { TcpCore } from "./core.js";
import { ackSent } from "./delayed-ack.js";
import { sackBlocks } from "./reassembly.js";
import { SegmentFlags } from "./segment-flags.js";
import { before, diff, type Seq } from "./seq.js";
import { TcbFlags, TcbOptions } from "./tcb.js";
import { tsNow } from "./timestamps.js";
import { rcvShift, synWindowField, windowField } from "./window.js";

/** IP protocol number, part of the pseudo-header. */
const PROTOCOL = 6;
const blocks = new Int32Array(8);

/** Where the transport header goes in a slot. */
export const headerAt = (t: TcpCore, slot: number): number =>
  t.slots.limit(slot) - t.slots.roomBytes(slot);

/** Hot path. Bytes of options that every segment of the connection carries. */
export const fixedOptionBytes = (agreed: number): number =>
  (agreed & TcbOptions.TIMESTAMPS) !== 0 ? options.TIMESTAMPS_BYTES : 0;

/** Hot path. Bytes of options of the next segment, SACK blocks included. */
export function optionBytes(t: TcpCore): number {
  const c = t.c;
  const fixed = fixedOptionBytes(c.options);
  if (c.oooHead < 0 && !c.has(TcbFlags.DSACK)) return fixed;
  const n = countBlocks(t, fixed);
  return n === 0 ? fixed : fixed + options.sackBytes(n);
}

function countBlocks(t: TcpCore, fixed: number): number {
  if ((t.c.options & TcbOptions.SACK) === 0) return 0;
  return sackBlocks(t, blocks, fixed === 0 ? 4 : 3);
}

/**
 * Hot path. Writes the header of a segment with these flags at sequence number `seq` into the slot
 * and returns the offset of the payload, which the caller fills in before {@link sendSegment}.
 */
export function writeHeader(t: TcpCore, slot: number, seq: Seq, flags: number): number {
  return writeHeaderAt(t, headerAt(t, slot), seq, flags);
}

/** Hot path. As {@link writeHeader}, at an offset. */
export function writeHeaderAt(t: TcpCore, at: number, seq: Seq, flags: number): number {
  const c = t.c;
  const b = t.slots.bytes;
  const agreed = c.options;
  let p = at + tcp.HEADER_BYTES;
  if ((agreed & TcbOptions.TIMESTAMPS) !== 0) {
    p = options.putTimestamps(b, p, tsNow(t), c.tsRecent);
  }
  if (c.oooHead >= 0 || c.has(TcbFlags.DSACK)) {
    const n = countBlocks(t, p - at - tcp.HEADER_BYTES);
    if (n > 0) p = options.putSack(b, p, blocks, n);
    if (c.has(TcbFlags.DSACK)) {
      t.counts[t.k.dsacksSent]! += 1;
      c.dsacksSent = (c.dsacksSent + 1) | 0;
    }
  }
  if (c.has(TcbFlags.ECE)) flags |= tcp.ECE;
  // Measured: five words 10 ns less than the bytes that tcp.writePorts and its like store.
  const { view } = t.slots;
  view.setInt32(at, c.ports);
  view.setInt32(at + 4, seq);
  view.setInt32(at + 8, c.rcvNxt);
  view.setInt32(at + 12, ((p - at) << 26) | (flags << 16) | windowField(t));
  view.setInt32(at + 16, 0); // checksum and urgent pointer
  if (c.has(TcbFlags.SND_URGENT)) writeUrgent(t, at, seq);
  return p;
}

/** RFC 6093 §2.1 as built everywhere: the pointer names the byte after the urgent one. */
function writeUrgent(t: TcpCore, at: number, seq: Seq): void {
  const c = t.c;
  const b = t.slots.bytes;
  if (!before(seq, c.sndUp)) return;
  const distance = diff(c.sndUp, seq);
  tcp.setUrgentPointer(b, at, distance > 0xffff ? 0xffff : distance);
  b[at + 13] = tcp.flags(b, at) | tcp.URG;
}

/**
 * Hot path. Completes a segment of the selected connection whose payload ends at `end`, and sends
 * it; takes the slot. Payload of more than `mss` bytes is marked for segmentation.
 */
export function sendSegment(t: TcpCore, slot: number, at: number, end: number, mss: number): void {
  const c = t.c;
  const s = t.slots;
  const dataBytes = end - at - tcp.headerBytes(s.bytes, at);
  let flags: number = SegmentFlags.CHECKSUM_PARTIAL;
  if (dataBytes > mss) {
    flags |= c.local2 === MAPPED ? SegmentFlags.GSO_TCP4 : SegmentFlags.GSO_TCP6;
    if ((tcp.flags(s.bytes, at) & tcp.CWR) !== 0) flags |= SegmentFlags.GSO_ECN;
    s.gsoBytes[slot] = mss;
  } else {
    s.gsoBytes[slot] = 0;
  }
  // RFC 3168 §6.1.5: retransmissions are not ECN-capable.
  const isNew = dataBytes > 0 && tcp.seq(s.bytes, at) === c.sndNxt;
  if (isNew && (c.options & TcbOptions.ECN) !== 0) flags |= SegmentFlags.ECT;
  seal(t, slot, at, end, c.pseudoSum, flags);
  t.counts[t.k.outSegs]! += 1;
  c.segsOut = (c.segsOut + 1) | 0;
  t.host.transmit(c, slot);
}

const MAPPED = 0x0000ffff;

/** Hot path. Frame bounds, checksum request and flags of a finished segment. */
export function seal(
  t: TcpCore,
  slot: number,
  at: number,
  end: number,
  pseudoSum: number,
  flags: number,
): void {
  const s = t.slots;
  s.at[slot] = at;
  s.end[slot] = end;
  s.l4At[slot] = at;
  s.csumStart[slot] = at;
  s.csumOffset[slot] = tcp.CHECKSUM_AT;
  s.flags[slot] = flags;
  put16(s.bytes, at + tcp.CHECKSUM_AT, fold(pseudoSum + PROTOCOL + (end - at)));
}

/** Hot path. Sends an ACK without data now. False when the pool is empty. */
export function sendAck(t: TcpCore): boolean {
  return sendBare(t, t.c.sndNxt, tcp.ACK);
}

/** Sends a segment without data. False when the pool is empty. */
export function sendBare(t: TcpCore, seq: Seq, flags: number): boolean {
  const slot = t.slots.take();
  if (slot < 0) {
    t.counts[t.k.noSlot]! += 1;
    return false;
  }
  const end = writeHeader(t, slot, seq, flags);
  sendSegment(t, slot, headerAt(t, slot), end, 0);
  if ((flags & tcp.ACK) !== 0) ackSent(t);
  return true;
}

/** Sends RST for the selected connection (RFC 9293 §3.10.5). */
export function sendReset(t: TcpCore): void {
  t.counts[t.k.outRsts]! += 1;
  sendBare(t, t.c.sndNxt, tcp.RST | tcp.ACK);
}

/**
 * Sends the SYN or SYN-ACK of the selected row, with what it offers: MSS, and of SACK, timestamps
 * and window scale what `c.options` says (our wishes on a SYN, the agreement on a SYN-ACK). The
 * order is Linux's, so that we look like what middleboxes know.
 */
export function sendSyn(t: TcpCore, flags: number, tsVal: number): boolean {
  const c = t.c;
  const slot = t.slots.take();
  if (slot < 0) {
    t.counts[t.k.noSlot]! += 1;
    return false;
  }
  const b = t.slots.bytes;
  const at = headerAt(t, slot);
  const end = writeSynOptions(b, at + tcp.HEADER_BYTES, c.options, c, tsVal);
  tcp.writePorts(b, at, c.localPort, c.remotePort);
  tcp.writeNumbers(b, at, c.iss, (flags & tcp.ACK) !== 0 ? c.rcvNxt : 0);
  const window = synWindowField(t);
  tcp.writeControl(b, at, end - at, flags, window);
  c.rcvAdv = ((c.rcvNxt + window) | 0) as Seq;
  sendSegment(t, slot, at, end, 0);
  if ((flags & tcp.ACK) !== 0) ackSent(t);
  return true;
}

/** What a SYN's options are made from: a row, or the scratch of a SYN cookie. */
export interface SynOffer {
  readonly ownMss: number;
  readonly scales: number;
  readonly tsRecent: number;
}

/** Writes the options of a SYN or SYN-ACK; returns the offset after them. */
export function writeSynOptions(
  b: Uint8Array,
  p: number,
  offered: number,
  offer: SynOffer,
  tsVal: number,
): number {
  p = options.putMss(b, p, offer.ownMss & 0xffff);
  const sack = (offered & TcbOptions.SACK) !== 0;
  if ((offered & TcbOptions.TIMESTAMPS) !== 0) {
    p = sack
      ? options.putSackPermittedAndTimestamps(b, p, tsVal, offer.tsRecent)
      : options.putTimestamps(b, p, tsVal, offer.tsRecent);
  } else if (sack) {
    p = options.putSackPermitted(b, p);
  }
  if ((offered & TcbOptions.SCALING) !== 0) {
    p = options.putWindowScale(b, p, rcvShift(offer.scales));
  }
  return p;
}
