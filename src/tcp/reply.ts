/**
 * Segments that belong to no row: the RST of RFC 9293 §3.10.7.1, and whatever TIME-WAIT and SYN
 * cookies answer with.
 */

import { sumAddresses } from "../wire/pseudo-header.js";
import * as tcp from "../wire/tcp.js";
import type { TcpCore } from "./core.js";
import { SegmentFlags } from "./segment-flags.js";
import { headerAt, seal } from "./segment-writer.js";

/**
 * Answers the current segment with RST: at its ACK number when it has one, else acknowledging it.
 * Never answers an RST.
 */
export function replyReset(t: TcpCore): void {
  const s = t.segment;
  const info = s.info!;
  if (s.is(tcp.RST) || info.local.isMulticast || info.remote.isMulticast) return;
  const slot = t.slots.take();
  if (slot < 0) {
    t.counts[t.k.noSlot]! += 1;
    return;
  }
  const b = t.slots.bytes;
  const in_ = t.slots.l4At[s.slot]!;
  const at = headerAt(t, slot);
  tcp.writePorts(b, at, tcp.dstPort(b, in_), tcp.srcPort(b, in_));
  if (s.is(tcp.ACK)) tcp.writeNumbers(b, at, s.ack, 0);
  else tcp.writeNumbers(b, at, 0, s.end);
  const flags = s.is(tcp.ACK) ? tcp.RST : tcp.RST | tcp.ACK;
  tcp.writeControl(b, at, tcp.HEADER_BYTES, flags, 0);
  t.counts[t.k.outRsts]! += 1;
  sendReply(t, slot, at, at + tcp.HEADER_BYTES);
}

/** Seals a segment and sends it back to where the current one came from; takes the slot. */
export function sendReply(t: TcpCore, slot: number, at: number, end: number): void {
  const info = t.segment.info!;
  t.slots.gsoBytes[slot] = 0;
  seal(t, slot, at, end, sumAddresses(info.local, info.remote), SegmentFlags.CHECKSUM_PARTIAL);
  t.counts[t.k.outSegs]! += 1;
  t.host.transmitUnbound(info.local, info.remote, info.ifIndex, slot, 0);
}
