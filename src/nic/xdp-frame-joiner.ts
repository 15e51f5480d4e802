/**
 * Puts a received frame together that is longer than a chunk, and so comes as several descriptors: in a
 * big slot, because a frame here is always contiguous.
 */
import { BIG_SLOT_BYTES, NO_SLOT, type Pool } from "../ring/pool.js";
import * as ethernet from "../wire/ethernet.js";
import * as protocols from "../wire/ip-protocol.js";
import * as ipv4 from "../wire/ipv4.js";
import * as ipv6 from "../wire/ipv6.js";
import type { DeviceTally } from "./device-tally.js";

/** Where the frame starts in its big slot, as far as in a small one. */
const JOINED_AT = 256;
/** Ethernet header and two VLAN tags. */
const LINK_BYTES = 22;

export class FrameJoiner {
  /** Pieces of a frame have come, and its end has not. */
  isBusy = false;
  private readonly pool: Pool;
  private readonly tally: DeviceTally;
  /** The longest frame of the link; longer ones are segments that were not split. */
  private readonly longestBytes: number;
  /** The big slot, or NO_SLOT: then the rest of the frame is thrown away. */
  private slot = NO_SLOT;
  private end = 0;

  constructor(pool: Pool, tally: DeviceTally, mtuBytes: number) {
    this.pool = pool;
    this.tally = tally;
    this.longestBytes = mtuBytes + LINK_BYTES;
  }

  /** Appends a piece. */
  append(at: number, lengthBytes: number): void {
    const { pool } = this;
    if (!this.isBusy) this.begin();
    const { slot } = this;
    if (slot === NO_SLOT) return;
    if (this.end + lengthBytes > pool.base(slot) + BIG_SLOT_BYTES) {
      this.tally.rxError();
      pool.give(slot);
      this.slot = NO_SLOT;
      return;
    }
    pool.bytes.copyWithin(this.end, at, at + lengthBytes);
    this.end += lengthBytes;
  }

  private begin(): void {
    this.isBusy = true;
    this.slot = this.pool.takeBig();
    if (this.slot === NO_SLOT) this.tally.rxNoSlot();
    else this.end = this.pool.base(this.slot) + JOINED_AT;
  }

  /** The whole frame's slot with `at` and `end`, the caller's now; NO_SLOT when it was lost and counted. */
  finish(): number {
    const { pool, slot, end } = this;
    this.isBusy = false;
    this.slot = NO_SLOT;
    if (slot === NO_SLOT) return NO_SLOT;
    const at = pool.base(slot) + JOINED_AT;
    pool.at[slot] = at;
    pool.end[slot] = end;
    if (end - at <= this.longestBytes || isTcp(pool, at)) return slot;
    // Several datagrams that their sender left to a device to split: nobody knows where.
    this.tally.rxError();
    pool.give(slot);
    return NO_SLOT;
  }

  /** Gives back what it holds: no more pieces come. */
  close(): void {
    if (this.slot !== NO_SLOT) this.pool.give(this.slot);
    this.slot = NO_SLOT;
    this.isBusy = false;
  }
}

/** Whether the frame at `at`, longer than a chunk, carries TCP behind its IP header. */
function isTcp(pool: Pool, at: number): boolean {
  const b = pool.bytes;
  const l3 = at + ethernet.HEADER_BYTES;
  if (ethernet.type(b, at) === ethernet.TYPE_IPV4) return ipv4.protocol(b, l3) === protocols.TCP;
  return ethernet.type(b, at) === ethernet.TYPE_IPV6 && b[l3 + ipv6.NEXT_HEADER] === protocols.TCP;
}
