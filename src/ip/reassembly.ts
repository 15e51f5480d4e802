/**
 * Reassembly of fragmented datagrams, both families (RFC 791 §3.2, RFC 8200 §4.5).
 *
 * A datagram is built in place in a big slot: the payload behind the headroom, the first fragment's
 * headers before it. The parts that have come are kept as a sorted list, so that
 *  - an exact copy of a part is ignored, any other overlap ends the datagram (RFC 5722, RFC 8200);
 *  - a part of a length that no sender makes, or past 65,535 bytes, is refused.
 * Bounded: {@link MAX_DATAGRAMS} in all and half of the pool's big slots, {@link MAX_PER_SOURCE} and
 * half of that per source, {@link MAX_PARTS} each; the oldest goes. After 30 s (IPv4) or 60 s (IPv6) the sender hears "time exceeded" if its first
 * fragment had come. Congestion marks are joined as RFC 3168 §5.3 says.
 */
import { copyWithin } from "../base/bytes.js";
import { NEVER, US_PER_S } from "../base/time.js";
import { FrameFlags, HEADROOM_BYTES, NO_SLOT } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as icmp4 from "../wire/icmpv4.js";
import * as icmp6 from "../wire/icmpv6.js";
import * as ipv4 from "../wire/ipv4.js";
import * as ipv6 from "../wire/ipv6.js";
import * as extensions from "../wire/ipv6-extensions.js";
import * as fragment6 from "../wire/ipv6-fragment.js";
import type { Interface } from "./interface.js";
import type { Ip } from "./ip.js";

export const MAX_DATAGRAMS = 64;
export const MAX_PER_SOURCE = 16;
export const MAX_PARTS = 256;
export const TIMEOUT4_US = 30 * US_PER_S;
export const TIMEOUT6_US = 60 * US_PER_S;
const MAX_BYTES = 65_535;
/** Headers of a first fragment that fit before the payload, with room for the link header. */
const MAX_HEADER_BYTES = HEADROOM_BYTES - 16;
const KEPT_FLAGS: number =
  FrameFlags.LINK_BROADCAST | FrameFlags.LINK_MULTICAST | FrameFlags.LOOPED;

class Datagram {
  readonly key: string;
  readonly source: string;
  readonly isV4: boolean;
  readonly slot: number;
  readonly expiresAtUs: number;
  /** Starts and ends of the parts, in pairs, in order. */
  readonly parts: number[] = [];
  receivedBytes = 0;
  /** Length of the whole payload, or -1 while the last part is missing. */
  totalBytes = -1;
  /** Of the first fragment's headers, 0 while it is missing. */
  headerBytes = 0;
  firstPartBytes = 0;
  /** Bit per ECN value seen. */
  ecnSeen = 0;

  constructor(key: string, source: string, isV4: boolean, slot: number, expiresAtUs: number) {
    this.key = key;
    this.source = source;
    this.isV4 = isV4;
    this.slot = slot;
    this.expiresAtUs = expiresAtUs;
  }
}

export class Reassembly {
  private readonly ip: Ip;
  private readonly datagrams = new Map<string, Datagram>();
  private readonly perSource = new Map<string, number>();
  private readonly maxDatagrams: number;
  private readonly maxPerSource: number;

  constructor(ip: Ip) {
    this.ip = ip;
    const { slots, smallSlots } = ip.pool.memory;
    this.maxDatagrams = Math.min(MAX_DATAGRAMS, Math.max(1, (slots - smallSlots) >> 1));
    this.maxPerSource = Math.min(MAX_PER_SOURCE, Math.max(1, this.maxDatagrams >> 1));
  }

  get size(): number {
    return this.datagrams.size;
  }

  /**
   * Takes an IPv4 fragment (addresses in `ip.info`). Returns a slot with the whole datagram, `l3At`
   * and `end` set, or NO_SLOT.
   */
  take4(_iface: Interface, slot: number, at: number): number {
    const { pool, info } = this.ip;
    const b = pool.bytes;
    const id = ipv4.id(b, at);
    const more = ipv4.moreFragments(b, at);
    const headerBytes = ipv4.headerBytes(b, at);
    const from = at + headerBytes;
    const offset = ipv4.fragmentOffsetBytes(b, at);
    const n = pool.end[slot]! - from;
    if (n === 0 || (more && (n & 7) !== 0)) return this.refuse(slot, Drop.IP4_BAD_FRAGMENT);
    if (offset + n + headerBytes > MAX_BYTES) return this.refuse(slot, Drop.FRAG_TOO_BIG);
    const key = `4${info.src.w3},${info.dst.w3},${id},${ipv4.protocol(b, at)}`;
    const d = this.datagramOf(key, `${info.src.w3}`, true, TIMEOUT4_US);
    if (d === null) return this.refuse(slot, Drop.FRAG_LIMIT);
    d.ecnSeen |= 1 << ipv4.ecn(b, at);
    const reason = this.addPart(d, slot, from, offset, n, more);
    if (reason !== Drop.NONE) return this.giveUp(d, slot, reason);
    if (offset === 0 && d.headerBytes === 0) this.keepHeaders(d, at, headerBytes, n);
    return this.finishPart(d, slot);
  }

  /** As {@link take4} for IPv6: `ipv6-extensions.walk` has stopped at the fragment header. */
  take6(_iface: Interface, slot: number, at: number): number {
    const { pool, info } = this.ip;
    const b = pool.bytes;
    const fragmentAt = extensions.payloadAtOut;
    const nextHeaderAt = extensions.nextHeaderAtOut;
    const more = fragment6.moreFragments(b, fragmentAt);
    const from = fragmentAt + fragment6.HEADER_BYTES;
    const offset = fragment6.offsetBytes(b, fragmentAt);
    const n = pool.end[slot]! - from;
    const headerBytes = fragmentAt - at;
    if (more && (n & 7) !== 0) return this.problem6(slot, 4);
    if (offset + n + headerBytes - ipv6.HEADER_BYTES > MAX_BYTES) {
      return this.problem6(slot, fragmentAt + 2 - at);
    }
    if (n === 0 || (offset === 0 && headerBytes > MAX_HEADER_BYTES)) {
      return this.refuse(slot, Drop.IP6_BAD_FRAGMENT);
    }
    const isFirst = offset === 0;
    if (
      isFirst &&
      !extensions.isChainWhole(b, fragment6.nextHeader(b, fragmentAt), from, from + n)
    ) {
      return this.problem6(slot, 0, icmp6.INCOMPLETE_HEADER_CHAIN);
    }
    const source = info.src.toString();
    const key = `6${source},${info.dst.toString()},${fragment6.id(b, fragmentAt)}`;
    const d = this.datagramOf(key, source, false, TIMEOUT6_US);
    if (d === null) return this.refuse(slot, Drop.FRAG_LIMIT);
    d.ecnSeen |= 1 << ipv6.ecn(b, at);
    const reason = this.addPart(d, slot, from, offset, n, more);
    if (reason !== Drop.NONE) return this.giveUp(d, slot, reason);
    if (isFirst && d.headerBytes === 0) {
      b[nextHeaderAt] = fragment6.nextHeader(b, fragmentAt);
      this.keepHeaders(d, at, headerBytes, n);
    }
    return this.finishPart(d, slot);
  }

  private refuse(slot: number, reason: Drop): number {
    this.ip.drop(slot, reason);
    return NO_SLOT;
  }

  /** RFC 8200 §4.5: the sender is told of impossible lengths. */
  private problem6(slot: number, pointer: number, code: number = icmp6.BAD_HEADER_FIELD): number {
    this.ip.icmp6.sendError(slot, icmp6.PARAMETER_PROBLEM, code, pointer, false);
    return this.refuse(slot, Drop.IP6_BAD_FRAGMENT);
  }

  private datagramOf(
    key: string,
    source: string,
    isV4: boolean,
    timeoutUs: number,
  ): Datagram | null {
    const known = this.datagrams.get(key);
    if (known !== undefined) return known;
    if ((this.perSource.get(source) ?? 0) >= this.maxPerSource) this.evict(source);
    else if (this.datagrams.size >= this.maxDatagrams) this.evict(null);
    let slot = this.ip.pool.takeBig();
    if (slot === NO_SLOT && this.evict(null)) slot = this.ip.pool.takeBig();
    if (slot === NO_SLOT) return null;
    const d = new Datagram(key, source, isV4, slot, this.ip.nowUs + timeoutUs);
    this.ip.pool.flags[slot] = 0;
    this.datagrams.set(key, d);
    this.ip.deadline.lower(d.expiresAtUs);
    this.perSource.set(source, (this.perSource.get(source) ?? 0) + 1);
    return d;
  }

  /** Gives up the oldest datagram, of one source if given. */
  private evict(source: string | null): boolean {
    for (const d of this.datagrams.values()) {
      if (source !== null && d.source !== source) continue;
      this.forget(d);
      this.ip.drop(d.slot, Drop.FRAG_LIMIT);
      return true;
    }
    return false;
  }

  private forget(d: Datagram): void {
    this.datagrams.delete(d.key);
    const left = (this.perSource.get(d.source) ?? 1) - 1;
    if (left === 0) this.perSource.delete(d.source);
    else this.perSource.set(d.source, left);
  }

  /** Puts a part in its place; DUP is NONE with nothing changed. */
  private addPart(
    d: Datagram,
    slot: number,
    from: number,
    offset: number,
    n: number,
    more: boolean,
  ): Drop {
    const end = offset + n;
    const { parts } = d;
    let i = 0;
    while (i < parts.length && parts[i]! < offset) i += 2;
    if (parts[i] === offset && parts[i + 1] === end) return Drop.NONE;
    if ((i > 0 && parts[i - 1]! > offset) || (i < parts.length && parts[i]! < end)) {
      return Drop.FRAG_OVERLAP;
    }
    if (!more) {
      const isLast = i === parts.length;
      if (!isLast || (d.totalBytes >= 0 && d.totalBytes !== end)) return Drop.FRAG_INCONSISTENT;
      d.totalBytes = end;
    } else if (d.totalBytes >= 0 && end > d.totalBytes) return Drop.FRAG_INCONSISTENT;
    if (parts.length >= 2 * MAX_PARTS) return Drop.FRAG_TOO_MANY;
    parts.splice(i, 0, offset, end);
    d.receivedBytes += n;
    const { pool } = this.ip;
    copyWithin(pool.bytes, pool.base(d.slot) + HEADROOM_BYTES + offset, from, n);
    pool.flags[d.slot] = pool.flags[d.slot]! | (pool.flags[slot]! & KEPT_FLAGS);
    return Drop.NONE;
  }

  /** The first fragment's headers become the datagram's. */
  private keepHeaders(d: Datagram, at: number, headerBytes: number, n: number): void {
    const { pool } = this.ip;
    const to = pool.base(d.slot) + HEADROOM_BYTES - headerBytes;
    copyWithin(pool.bytes, to, at, headerBytes);
    pool.at[d.slot] = to;
    pool.l3At[d.slot] = to;
    d.headerBytes = headerBytes;
    d.firstPartBytes = n;
  }

  /** The whole datagram when this part was the last to come. Gives the part's slot back. */
  private finishPart(d: Datagram, slot: number): number {
    const { pool } = this.ip;
    pool.rxTimeUs[d.slot] = pool.rxTimeUs[slot]!;
    pool.give(slot);
    if (d.headerBytes === 0 || d.totalBytes !== d.receivedBytes) return NO_SLOT;
    this.forget(d);
    const at = pool.l3At[d.slot]!;
    const total = d.headerBytes + d.totalBytes;
    if (total - (d.isV4 ? 0 : ipv6.HEADER_BYTES) > MAX_BYTES) {
      return this.refuse(d.slot, Drop.FRAG_TOO_BIG);
    }
    if ((d.ecnSeen & 0b1001) === 0b1001) return this.refuse(d.slot, Drop.FRAG_INCONSISTENT);
    pool.end[d.slot] = at + total;
    this.finishHeader(d, at, total);
    this.ip.count("reassembled");
    return d.slot;
  }

  private finishHeader(d: Datagram, at: number, totalBytes: number): void {
    const b = this.ip.bytes;
    const isMarked = (d.ecnSeen & 0b1000) !== 0;
    if (d.isV4) {
      ipv4.setTotalLength(b, at, totalBytes);
      ipv4.setDontFragment(b, at, false);
      ipv4.fillChecksum(b, at);
      if (isMarked) ipv4.markCongestion(b, at);
    } else {
      ipv6.setPayloadLength(b, at, totalBytes - ipv6.HEADER_BYTES);
      if (isMarked) ipv6.markCongestion(b, at);
    }
  }

  private giveUp(d: Datagram, slot: number, reason: Drop): number {
    this.forget(d);
    this.ip.pool.give(d.slot);
    return this.refuse(slot, reason);
  }

  nextDeadlineUs(): number {
    let soonest = NEVER;
    for (const d of this.datagrams.values()) soonest = Math.min(soonest, d.expiresAtUs);
    return soonest;
  }

  runTimers(nowUs: number): void {
    if (this.datagrams.size === 0) return;
    for (const d of [...this.datagrams.values()]) {
      if (d.expiresAtUs > nowUs) continue;
      this.forget(d);
      if (d.headerBytes > 0) this.reportTimeout(d);
      this.ip.drop(d.slot, Drop.FRAG_TIMEOUT);
    }
  }

  private reportTimeout(d: Datagram): void {
    const { pool } = this.ip;
    pool.end[d.slot] = pool.l3At[d.slot]! + d.headerBytes + d.firstPartBytes;
    if (d.isV4) {
      this.ip.icmp4.sendError(d.slot, icmp4.TIME_EXCEEDED, icmp4.REASSEMBLY_TIME_EXCEEDED, 0);
    } else {
      const code = icmp6.REASSEMBLY_TIME_EXCEEDED;
      this.ip.icmp6.sendError(d.slot, icmp6.TIME_EXCEEDED, code, 0, false);
    }
  }

  /** Gives everything back. */
  close(): void {
    for (const d of this.datagrams.values()) this.ip.pool.give(d.slot);
    this.datagrams.clear();
    this.perSource.clear();
  }
}
