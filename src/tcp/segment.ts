/**
 * The segment that is being processed, read once from its bytes: SEG.SEQ and so on of RFC 9293
 * §3.3.1. One object is reused. What a later step must not see is taken off here (trimming).
 */
import * as tcp from "../wire/tcp.js";
import { parse, TcpOptions } from "../wire/tcp-options.js";
import type { SegmentInfo } from "./segment-info.js";
import { advance, type Seq, seqOf } from "./seq.js";
import type { Slots } from "./slots.js";

export class Segment {
  /** The slot that holds it, or -1 once somebody else owns it. */
  slot = -1;
  info: SegmentInfo | null = null;
  seq: Seq = seqOf(0);
  ack: Seq = seqOf(0);
  flags = 0;
  /** As on the wire. */
  window = 0;
  /** Where the payload begins and how long it is. */
  dataAt = 0;
  dataBytes = 0;
  /** SEG.SEQ + SEG.LEN: SYN and FIN count. */
  end: Seq = seqOf(0);
  /** ECN bits of the IP header. */
  ecn = 0;
  readonly options: TcpOptions = new TcpOptions();

  /** Hot path. Precondition: `tcp.check` passed on `l4At[slot]` to `end[slot]`. */
  read(slots: Slots, slot: number, info: SegmentInfo): void {
    const { view } = slots;
    const at = slots.l4At[slot]!;
    const control = view.getInt32(at + 12); // data offset, flags, window
    const headerBytes = (control >>> 28) << 2;
    const flags = (control >>> 16) & 0xff;
    this.slot = slot;
    this.info = info;
    this.seq = seqOf(view.getInt32(at + 4));
    this.ack = seqOf(view.getInt32(at + 8));
    this.flags = flags;
    this.window = control & 0xffff;
    this.dataAt = at + headerBytes;
    this.dataBytes = slots.end[slot]! - this.dataAt;
    // SYN is bit 1 and FIN bit 0.
    this.end = advance(this.seq, this.dataBytes + ((flags >>> 1) & 1) + (flags & 1));
    this.ecn = info.tos & 3;
    if (headerBytes === tcp.HEADER_BYTES) this.options.clear();
    else parse(slots.bytes, at, this.options);
  }

  /** Hot path. Whether any of these flags is set. */
  is(mask: number): boolean {
    return (this.flags & mask) !== 0;
  }
}
