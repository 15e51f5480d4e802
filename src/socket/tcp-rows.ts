/**
 * What the socket layer knows of each TCP row: columns indexed by row number, beside the engine's
 * own. They grow with the rows.
 */
import { grown } from "../base/growth.js";
import type { Home } from "../ip/home.js";

/** Bits of `flags`. */
export const RowFlags = {
  /** SO_REUSEADDR. */
  REUSE_ADDRESS: 1 << 0,
  /** SO_REUSEPORT. */
  REUSE_PORT: 1 << 1,
  /** IPV6_V6ONLY. */
  V6ONLY: 1 << 2,
  /** An AF_INET6 socket: `::` is its wildcard, and it may be dual-stack. */
  FAMILY6: 1 << 3,
  /** The row holds a local port: it is in the port's list. */
  HAS_PORT: 1 << 4,
  /** The port came from `connect`, so that it may be shared by connections to other peers. */
  SHARED_PORT: 1 << 5,
  /** The port came from the listener. */
  LISTENERS_PORT: 1 << 8,
  /** The row is in the port's list of listeners. */
  LISTENS: 1 << 6,
  /** `connect` or `bind` fixed the address; a `bind` to the wildcard did not. */
  ADDRESS_FIXED: 1 << 7,
  /** A socket of the kernel's beside the row's holds its port there (`ip/claims.ts`). */
  KERNEL_HOLDS: 1 << 9,
  /** `bind` named the port: it outlives a disconnection. */
  PORT_FIXED: 1 << 10,
} as const;

/** What a connection inherits from its listener. */
const INHERITED = RowFlags.REUSE_ADDRESS | RowFlags.REUSE_PORT | RowFlags.V6ONLY | RowFlags.FAMILY6;

export const NONE = -1;

/** Places of the settings in the `ip4` and `ip6` columns. */
export const TOS_SHIFT = 8;
export const PMTU_SHIFT = 16;
export const MIN_TTL_SHIFT = 24;

export class TcpRows {
  /** {@link RowFlags}. */
  flags: Int32Array;
  /** Local port that the row holds, when HAS_PORT. */
  port: Int32Array;
  /** Neighbours in the list of the rows that hold the same port. */
  portNext: Int32Array;
  portPrev: Int32Array;
  /** Next listener of the same port. */
  listenNext: Int32Array;
  /** Interface that the socket is bound to (SO_BINDTODEVICE), or 0. */
  ifIndex: Int32Array;
  /** User that owns the socket; SO_REUSEPORT groups do not cross users. */
  owner: Int32Array;
  /** What the row's wildcard means; null, or absent: every address of the host. */
  readonly homes: (Home | null)[] = [];
  /** Whether any row was ever given a home. */
  hasHomes = false;
  /**
   * IP_TTL in bits 0 to 7 (0: default), IP_TOS in 8 to 15, IP_MTU_DISCOVER plus 1 in 16 to 18
   * (0: default), IP_MINTTL in 24 to 31.
   */
  ip4: Int32Array;
  /** The same for IPv6: IPV6_UNICAST_HOPS, IPV6_TCLASS, IPV6_MTU_DISCOVER, IPV6_MINHOPCOUNT. */
  ip6: Int32Array;
  /** Whether any row was ever given an IP setting: output looks at it before it looks at a row's. */
  hasIpSettings = false;
  /** Whether any row was ever given a least TTL: input looks at it before it looks at a row's. */
  hasMinTtl = false;
  private capacity: number;

  constructor(capacity = 64) {
    this.capacity = capacity;
    this.flags = new Int32Array(capacity);
    this.port = new Int32Array(capacity);
    this.portNext = new Int32Array(capacity);
    this.portPrev = new Int32Array(capacity);
    this.listenNext = new Int32Array(capacity);
    this.ifIndex = new Int32Array(capacity);
    this.owner = new Int32Array(capacity);
    this.ip4 = new Int32Array(capacity);
    this.ip6 = new Int32Array(capacity);
  }

  /** Makes room for `row`; amortised. */
  ensure(row: number): void {
    if (row < this.capacity) return;
    const capacity = grown(this.capacity, row + 1);
    const widen = (from: Int32Array): Int32Array => {
      const to = new Int32Array(capacity);
      to.set(from);
      return to;
    };
    this.flags = widen(this.flags);
    this.port = widen(this.port);
    this.portNext = widen(this.portNext);
    this.portPrev = widen(this.portPrev);
    this.listenNext = widen(this.listenNext);
    this.ifIndex = widen(this.ifIndex);
    this.owner = widen(this.owner);
    this.ip4 = widen(this.ip4);
    this.ip6 = widen(this.ip6);
    this.capacity = capacity;
  }

  /** The column `ip4`, to be written. */
  changeIp4(): Int32Array {
    this.hasIpSettings = true;
    return this.ip4;
  }

  /** The column `ip6`, to be written. */
  changeIp6(): Int32Array {
    this.hasIpSettings = true;
    return this.ip6;
  }

  /** A fresh row with every setting at its default. */
  clear(row: number): void {
    this.ensure(row);
    this.flags[row] = 0;
    this.port[row] = 0;
    this.portNext[row] = NONE;
    this.portPrev[row] = NONE;
    this.listenNext[row] = NONE;
    this.ifIndex[row] = 0;
    this.owner[row] = 0;
    if (this.hasHomes) this.setHome(row, null);
    this.ip4[row] = 0;
    this.ip6[row] = 0;
  }

  /** A connection starts with what its listener has set. */
  inherit(row: number, listener: number): void {
    this.clear(row);
    this.flags[row] = this.flags[listener]! & INHERITED;
    this.ifIndex[row] = this.ifIndex[listener]!;
    this.owner[row] = this.owner[listener]!;
    this.ip4[row] = this.ip4[listener]!;
    this.ip6[row] = this.ip6[listener]!;
  }

  /** A row that replaces another's of the same socket starts with what the user has set. */
  succeed(row: number, before: number): void {
    this.inherit(row, before);
    const kept = RowFlags.ADDRESS_FIXED | RowFlags.PORT_FIXED | RowFlags.KERNEL_HOLDS;
    this.flags[row]! |= this.flags[before]! & kept;
    if (this.hasHomes) this.setHome(row, this.homeOf(before));
  }

  /** Gives a row a home; before it is bound. */
  setHome(row: number, home: Home | null): void {
    if (home !== null) this.hasHomes = true;
    while (this.homes.length <= row) this.homes.push(null);
    this.homes[row] = home;
  }

  homeOf(row: number): Home | null {
    return this.hasHomes ? (this.homes[row] ?? null) : null;
  }

  /** Hot path. Whether the row takes only what has a least TTL (IP_MINTTL, IPV6_MINHOPCOUNT). */
  asksForTtl(row: number): boolean {
    return this.hasMinTtl && (this.ip4[row]! | this.ip6[row]!) >>> MIN_TTL_SHIFT !== 0;
  }

  has(row: number, mask: number): boolean {
    return (this.flags[row]! & mask) !== 0;
  }

  set(row: number, mask: number, on: boolean): void {
    if (on) this.flags[row]! |= mask;
    else this.flags[row]! &= ~mask;
  }
}
