/**
 * Joins received TCP segments of one batch that continue each other (generic receive offload), so
 * that the stack above runs once for many segments.
 *
 * The rules are Linux's: same link header, addresses, ports, TOS, TTL, acknowledgement number,
 * window and options (timestamps included); flags ACK and PSH only; in sequence; a segment with PSH,
 * or shorter than the first, is the last. A segment joins only when its checksum is right or vouched
 * for. The result looks as one that came over virtio: GSO flags, `gsoBytes`, unmade checksum.
 *
 * The order within a flow is kept: a segment that may not be joined closes its flow's group. Nothing
 * waits for the next batch.
 */
import * as bytes from "../base/bytes.js";
import { fold } from "../base/checksum.js";
import { ArenaChecksum } from "../ring/arena-checksum.js";
import type { Batch } from "../ring/batch.js";
import { FrameFlags, GSO_MASK, HEADROOM_BYTES, NO_SLOT, type Pool } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as ethernet from "../wire/ethernet.js";
import * as ipProtocol from "../wire/ip-protocol.js";
import * as ipv4 from "../wire/ipv4.js";
import * as ipv6 from "../wire/ipv6.js";
import * as pseudoHeader from "../wire/pseudo-header.js";
import * as tcp from "../wire/tcp.js";

/** Flows that are followed at a time; a further one closes the oldest. */
const GROUPS = 8;
/** What an IPv4 total length can say. */
const MAX_IP_BYTES = 65_535;

/** What a received frame is to the coalescer. */
const Kind = {
  /** No TCP: it does not matter to any group. */
  OTHER: 0,
  /** TCP that cannot be looked into (fragments, options, extension headers): closes all groups. */
  OPAQUE: 1,
  /** A TCP segment that may not be joined: closes its flow's group. */
  SINGLE: 2,
  JOINABLE: 3,
} as const;

export class Coalescer {
  private readonly pool: Pool;
  private readonly checksum: ArenaChecksum;
  /** Groups in work: index in the batch of the first segment, or -1. */
  private readonly groupAt = new Int32Array(GROUPS).fill(-1);
  private readonly groupNextSeq = new Int32Array(GROUPS);
  private readonly groupJoined = new Int32Array(GROUPS);
  private oldest = 0;
  // The frame that was inspected last.
  private isV6 = false;
  private l3At = 0;
  private l4At = 0;
  private payloadAt = 0;
  private end = 0;

  constructor(pool: Pool) {
    this.pool = pool;
    this.checksum = new ArenaChecksum(pool.memory.arena);
  }

  /** Hot path. Joins what can be joined from index `from` on; returns how many frames were used up. */
  coalesce(batch: Batch, from: number): number {
    let kept = from;
    for (let i = from; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      const kind = this.inspect(slot);
      if (kind === Kind.OPAQUE) this.closeAll(batch);
      if (kind >= Kind.SINGLE) {
        const group = this.groupOfFlow(batch);
        if (group >= 0 && kind === Kind.JOINABLE && this.join(batch, group, slot)) continue;
        if (group >= 0) this.closeGroup(batch, group);
        if (kind === Kind.JOINABLE) this.open(batch, kept, slot);
      }
      batch.slots[kept] = slot;
      kept++;
    }
    this.closeAll(batch);
    const joined = batch.n - kept;
    batch.n = kept;
    return joined;
  }

  private inspect(slot: number): number {
    const pool = this.pool;
    const b = pool.bytes;
    const at = pool.at[slot]!;
    this.end = pool.end[slot]!;
    if (ethernet.check(b, at, this.end) !== Drop.NONE || ethernet.tagsOut > 0) return Kind.OTHER;
    this.l3At = ethernet.payloadAtOut;
    this.isV6 = ethernet.etherTypeOut === ethernet.TYPE_IPV6;
    if (!this.isV6 && ethernet.etherTypeOut !== ethernet.TYPE_IPV4) return Kind.OTHER;
    const kind = this.isV6 ? this.inspect6() : this.inspect4();
    if (kind !== Kind.JOINABLE) return kind;
    if (tcp.check(b, this.l4At, this.end) !== Drop.NONE) return Kind.OPAQUE;
    this.payloadAt = tcp.payloadAt(b, this.l4At);
    const flags = tcp.flags(b, this.l4At);
    if ((flags & ~tcp.PSH) !== tcp.ACK || this.payloadAt === this.end) return Kind.SINGLE;
    if ((pool.flags[slot]! & GSO_MASK) !== 0) return Kind.SINGLE;
    return this.isIntact(slot) ? Kind.JOINABLE : Kind.SINGLE;
  }

  private inspect4(): number {
    const b = this.pool.bytes;
    const at = this.l3At;
    if (ipv4.check(b, at, this.end) !== Drop.NONE) return Kind.OTHER;
    if (ipv4.protocol(b, at) !== ipProtocol.TCP) return Kind.OTHER;
    if (ipv4.hasOptions(b, at) || ipv4.isFragment(b, at)) return Kind.OPAQUE;
    if (!ipv4.checksumIsValid(b, at)) return Kind.OPAQUE;
    this.end = ipv4.endOf(b, at); // short frames are padded
    this.l4At = at + ipv4.HEADER_BYTES;
    return Kind.JOINABLE;
  }

  private inspect6(): number {
    const b = this.pool.bytes;
    const at = this.l3At;
    if (ipv6.check(b, at, this.end) !== Drop.NONE) return Kind.OTHER;
    const next = ipv6.nextHeader(b, at);
    if (next === ipProtocol.UDP || next === ipProtocol.ICMPV6) return Kind.OTHER;
    if (next !== ipProtocol.TCP) return Kind.OPAQUE;
    this.end = ipv6.endOf(b, at);
    this.l4At = at + ipv6.HEADER_BYTES;
    return Kind.JOINABLE;
  }

  private isIntact(slot: number): boolean {
    const known = FrameFlags.CHECKSUM_VALID | FrameFlags.CHECKSUM_PARTIAL;
    if ((this.pool.flags[slot]! & known) !== 0) return true;
    const n = this.end - this.l4At;
    return fold(this.checksum.sum(this.l4At, n, this.pseudo(this.l3At, n))) === 0xffff;
  }

  private pseudo(l3At: number, n: number): number {
    return this.isV6
      ? pseudoHeader.sum6(this.pool.bytes, l3At, ipProtocol.TCP, n)
      : pseudoHeader.sum4(this.pool.bytes, l3At, ipProtocol.TCP, n);
  }

  /** Distance from the inspected frame's headers to the same place in another frame of its flow. */
  private shift(slot: number): number {
    return this.pool.at[slot]! - (this.l3At - ethernet.HEADER_BYTES);
  }

  /** The open group of the inspected segment's flow, or -1. */
  private groupOfFlow(batch: Batch): number {
    const b = this.pool.bytes;
    for (let g = 0; g < GROUPS; g++) {
      const index = this.groupAt[g]!;
      if (index < 0) continue;
      const d = this.shift(batch.slots[index]!);
      if (ethernet.type(b, this.l3At - ethernet.HEADER_BYTES + d) !== this.etherType()) continue;
      const from = this.isV6 ? this.l3At + ipv6.SRC : this.l3At + ipv4.SRC;
      // Addresses and ports lie side by side, as there are no IP options.
      if (bytes.equal(b, from, b, from + d, this.l4At + 4 - from)) return g;
    }
    return -1;
  }

  private etherType(): number {
    return this.isV6 ? ethernet.TYPE_IPV6 : ethernet.TYPE_IPV4;
  }

  /** Appends the inspected segment to a group. False, with nothing changed, when it does not fit. */
  private join(batch: Batch, group: number, slot: number): boolean {
    const pool = this.pool;
    const b = pool.bytes;
    const index = this.groupAt[group]!;
    const first = batch.slots[index]!;
    const n = this.end - this.payloadAt;
    if (tcp.seq(b, this.l4At) !== this.groupNextSeq[group]!) return false;
    if (n > pool.gsoBytes[first]! || !this.continues(first)) return false;
    const ipBytes = pool.end[first]! - pool.at[first]! - ethernet.HEADER_BYTES;
    if (ipBytes + n > MAX_IP_BYTES) return false;
    const whole = this.groupJoined[group]! > 0 ? first : this.widen(first);
    if (whole === NO_SLOT) return false;
    batch.slots[index] = whole;
    bytes.copyWithin(b, pool.end[whole]!, this.payloadAt, n);
    pool.end[whole] = pool.end[whole]! + n;
    this.groupNextSeq[group] = this.groupNextSeq[group]! + n;
    this.groupJoined[group] = this.groupJoined[group]! + 1;
    const isPushed = (tcp.flags(b, this.l4At) & tcp.PSH) !== 0;
    const flagsAt = pool.at[whole]! + (this.l4At - this.l3At) + ethernet.HEADER_BYTES + TCP_FLAGS;
    if (isPushed) b[flagsAt]! |= tcp.PSH;
    const isLast = isPushed || n < pool.gsoBytes[whole]!;
    pool.give(slot);
    if (isLast) this.closeGroup(batch, group);
    return true;
  }

  /** Whether every header field that must agree does, between the inspected segment and `first`. */
  private continues(first: number): boolean {
    const b = this.pool.bytes;
    const d = this.shift(first);
    const same = (at: number, n: number): boolean => bytes.equal(b, at, b, at + d, n);
    const ip = this.isV6
      ? same(this.l3At, 4) && same(this.l3At + 6, 2) // class and label; next header, hop limit
      : same(this.l3At, 2) && same(this.l3At + 6, 4); // TOS; fragment flags, TTL, protocol
    if (!ip || !same(this.l3At - ethernet.HEADER_BYTES, ethernet.HEADER_BYTES)) return false;
    const t = this.l4At;
    return same(t + 8, 5) && same(t + 14, 2) && same(t + 20, this.payloadAt - t - 20);
  }

  /** The frame in a slot with room to grow; the old slot is given back. NO_SLOT when there is none. */
  private widen(first: number): number {
    const pool = this.pool;
    if (pool.isBig(first) && pool.limit(first) - pool.at[first]! > MAX_IP_BYTES + 64) return first;
    const big = pool.takeBig();
    if (big === NO_SLOT) return NO_SLOT;
    const at = pool.base(big) + HEADROOM_BYTES;
    const n = pool.end[first]! - pool.at[first]!;
    bytes.copyWithin(pool.bytes, at, pool.at[first]!, n);
    pool.at[big] = at;
    pool.end[big] = at + n;
    pool.flags[big] = pool.flags[first]!;
    pool.gsoBytes[big] = pool.gsoBytes[first]!;
    pool.ifIndex[big] = pool.ifIndex[first]!;
    pool.rxTimeUs[big] = pool.rxTimeUs[first]!;
    pool.give(first);
    return big;
  }

  /** Starts a group with the inspected segment, which will lie at `index` of the batch. */
  private open(batch: Batch, index: number, slot: number): void {
    const pool = this.pool;
    const b = pool.bytes;
    if ((tcp.flags(b, this.l4At) & tcp.PSH) !== 0) return;
    let g = this.groupAt.indexOf(-1);
    if (g < 0) {
      g = this.oldest;
      this.oldest = (this.oldest + 1) % GROUPS;
      this.closeGroup(batch, g);
    }
    this.groupAt[g] = index;
    this.groupNextSeq[g] = tcp.seq(b, this.l4At) + (this.end - this.payloadAt);
    this.groupJoined[g] = 0;
    pool.gsoBytes[slot] = this.end - this.payloadAt;
    pool.end[slot] = this.end; // padding would lie between the segments
  }

  /** Ends a group: makes the headers of what was joined true. */
  private closeGroup(batch: Batch, group: number): void {
    const index = this.groupAt[group]!;
    this.groupAt[group] = -1;
    if (this.groupJoined[group] === 0) return;
    const pool = this.pool;
    const b = pool.bytes;
    const slot = batch.slots[index]!;
    const end = pool.end[slot]!;
    const l3At = pool.at[slot]! + ethernet.HEADER_BYTES;
    const v6 = ethernet.type(b, pool.at[slot]!) === ethernet.TYPE_IPV6;
    const l4At = l3At + (v6 ? ipv6.HEADER_BYTES : ipv4.HEADER_BYTES);
    if (v6) {
      ipv6.setPayloadLength(b, l3At, end - l4At);
    } else {
      ipv4.setTotalLength(b, l3At, end - l3At);
      ipv4.fillChecksum(b, l3At);
    }
    const sum = v6 ? pseudoHeader.sum6 : pseudoHeader.sum4;
    tcp.setChecksum(b, l4At, fold(sum(b, l3At, ipProtocol.TCP, end - l4At)));
    pool.csumStart[slot] = l4At;
    pool.csumOffset[slot] = tcp.CHECKSUM_AT;
    pool.flags[slot] =
      (pool.flags[slot]! & ~FrameFlags.CHECKSUM_VALID) |
      FrameFlags.CHECKSUM_PARTIAL |
      (v6 ? FrameFlags.GSO_TCP6 : FrameFlags.GSO_TCP4);
  }

  private closeAll(batch: Batch): void {
    for (let g = 0; g < GROUPS; g++) if (this.groupAt[g]! >= 0) this.closeGroup(batch, g);
  }
}

const TCP_FLAGS = 13;
