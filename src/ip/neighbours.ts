/**
 * The neighbour table and its state machine (RFC 4861 §7.3), one for ARP and ND.
 *
 * | from       | event                              | to         | action                        |
 * |------------|------------------------------------|------------|-------------------------------|
 * | FAILED     | packet to send                     | INCOMPLETE | queue it, solicit by multicast |
 * | INCOMPLETE | retransmission timer, probes left  | INCOMPLETE | solicit again                 |
 * | INCOMPLETE | retransmission timer, none left    | FAILED     | queued packets: EHOSTUNREACH  |
 * | INCOMPLETE | answer                             | REACHABLE  | send what waits               |
 * | INCOMPLETE | heard from otherwise               | STALE      | send what waits               |
 * | REACHABLE  | reachable time over                | STALE      | (noticed at the next packet)  |
 * | STALE      | packet to send                     | DELAY      | send it                       |
 * | DELAY      | 5 s without confirmation           | PROBE      | solicit by unicast            |
 * | PROBE      | timer, none left                   | FAILED     | paths are resolved again      |
 * | any known  | answer, or an upper layer confirms | REACHABLE  |                               |
 * | any known  | another hardware address heard     | STALE      |                               |
 * | any        | the link is lost                   | REMOVED    | queued packets are dropped    |
 *
 * Forbidden: leaving REMOVED (paths still hold the object; they must look up another).
 * Queued frames belong to their entry; they are linked through the pool's `next`.
 */
import type { IpAddress } from "../base/ip-address.js";
import { NEVER, US_PER_S } from "../base/time.js";
import { NO_SLOT } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as ethernet from "../wire/ethernet.js";
import type { Interface } from "./interface.js";
import type { Ip } from "./ip.js";
import { Neighbour, NeighbourState, REACHABLE_TIME_US, RETRANS_TIMER_US } from "./neighbour.js";

/** RFC 4861 §10: DELAY_FIRST_PROBE_TIME, the solicitation limits. */
export const DELAY_FIRST_PROBE_US = 5 * US_PER_S;
export const MAX_SOLICIT = 3;
/**
 * Frames and bytes that wait for one neighbour: the first segments of many connections at once fit,
 * and datagrams of 64 KiB in fragments. All queues together hold a quarter of the pool at most.
 */
export const QUEUE_FRAMES = 1024;
export const QUEUE_BYTES = 212_992;
export const MAX_NEIGHBOURS = 1024;
/** An entry that nobody used for so long may be forgotten (Linux's gc_stale_time). */
export const GC_STALE_US = 60 * US_PER_S;

/** How an address was heard of. */
export const Heard = {
  /** Its answer to a solicitation of ours. */
  ANSWER: 0,
  /** A packet of its own making that says its hardware address. */
  SPOKE: 1,
  /** As SPOKE, but only an entry that exists is changed. */
  MENTIONED: 2,
} as const;

export class NeighbourTable {
  private readonly ip: Ip;
  private readonly entries = new Map<string, Neighbour>();
  /**
   * Those that never answered, or no longer do, oldest first. They go first when the table is full:
   * strangers can make any number of them, and must not cost those in use their place.
   */
  private readonly unproven = new Set<Neighbour>();
  /** Entries with a running timer. */
  private active = new Set<Neighbour>();
  /** Slots of each size that wait in all queues. */
  private queuedSmall = 0;
  private queuedBig = 0;
  private soonestUs = NEVER;
  private gcAtUs = 0;

  constructor(ip: Ip) {
    this.ip = ip;
  }

  get size(): number {
    return this.entries.size;
  }

  [Symbol.iterator](): Iterator<Neighbour> {
    return this.entries.values();
  }

  find(iface: Interface, address: IpAddress): Neighbour | null {
    return this.entries.get(keyOf(iface, address)) ?? null;
  }

  /** The entry of an address, made when it is missing; null when the table is full. */
  lookup(iface: Interface, address: IpAddress): Neighbour | null {
    const known = this.find(iface, address);
    if (known !== null) return known;
    if (this.entries.size >= MAX_NEIGHBOURS && !this.makeRoom()) return null;
    const n = new Neighbour(iface, address.copy());
    n.state = NeighbourState.FAILED;
    n.usedAtUs = this.ip.nowUs;
    this.entries.set(keyOf(iface, address), n);
    this.unproven.add(n);
    if (iface.kernelIndex !== 0) this.ip.kernel!.learn(n);
    return n;
  }

  /** Adds an entry of the user's, which is never solicited. */
  addPermanent(iface: Interface, address: IpAddress, high: number, low: number): void {
    const n = this.lookup(iface, address);
    if (n === null) return;
    n.macHigh = high;
    n.macLow = low;
    n.state = NeighbourState.PERMANENT;
    n.timerAtUs = NEVER;
    this.prove(n);
    this.sendQueued(n);
  }

  /**
   * Hot path. Called for a frame whose neighbour is not plainly reachable. True: send it now. False:
   * the slot was taken. Precondition: not REMOVED.
   */
  use(n: Neighbour, slot: number): boolean {
    const nowUs = this.ip.nowUs;
    n.usedAtUs = nowUs;
    switch (n.state) {
      case NeighbourState.REACHABLE:
        if (nowUs < n.reachableUntilUs) return true;
        n.state = NeighbourState.DELAY;
        this.arm(n, nowUs + DELAY_FIRST_PROBE_US);
        return true;
      case NeighbourState.STALE:
        n.state = NeighbourState.DELAY;
        this.arm(n, nowUs + DELAY_FIRST_PROBE_US);
        if (n.iface.kernelIndex !== 0) this.ip.kernel!.use(n);
        return true;
      case NeighbourState.INCOMPLETE:
        this.enqueue(n, slot);
        return false;
      case NeighbourState.FAILED:
        n.state = NeighbourState.INCOMPLETE;
        n.probes = 0;
        this.enqueue(n, slot);
        this.solicit(n);
        return false;
      default:
        return true;
    }
  }

  /** Drops the oldest frames of a full queue, as RFC 4861 §7.2.2 asks. */
  private enqueue(n: Neighbour, slot: number): void {
    const { pool } = this.ip;
    const bytes = pool.end[slot]! - pool.at[slot]!;
    while (
      n.queuedFrames > 0 &&
      (n.queuedFrames >= QUEUE_FRAMES ||
        n.queuedBytes + bytes > QUEUE_BYTES ||
        !this.hasRoomFor(slot))
    ) {
      this.ip.drop(this.dequeue(n), Drop.NEIGHBOUR_QUEUE_FULL);
    }
    if (!this.hasRoomFor(slot)) {
      this.ip.drop(slot, Drop.NEIGHBOUR_QUEUE_FULL);
      return;
    }
    pool.next[slot] = NO_SLOT;
    if (n.queueLast === NO_SLOT) n.queueFirst = slot;
    else pool.next[n.queueLast] = slot;
    n.queueLast = slot;
    n.queuedFrames++;
    n.queuedBytes += bytes;
    this.countQueued(slot, 1);
  }

  private hasRoomFor(slot: number): boolean {
    const { pool } = this.ip;
    const { smallSlots, slots } = pool.memory;
    if (pool.isBig(slot)) return this.queuedBig < Math.max(1, (slots - smallSlots) >> 2);
    return this.queuedSmall < Math.max(1, smallSlots >> 2);
  }

  private countQueued(slot: number, n: number): void {
    if (this.ip.pool.isBig(slot)) this.queuedBig += n;
    else this.queuedSmall += n;
  }

  private dequeue(n: Neighbour): number {
    const { pool } = this.ip;
    const slot = n.queueFirst;
    n.queueFirst = pool.next[slot]!;
    if (n.queueFirst === NO_SLOT) n.queueLast = NO_SLOT;
    n.queuedFrames--;
    n.queuedBytes -= pool.end[slot]! - pool.at[slot]!;
    this.countQueued(slot, -1);
    return slot;
  }

  private solicit(n: Neighbour): void {
    n.probes++;
    this.arm(n, this.ip.nowUs + (n.address.isV4 ? RETRANS_TIMER_US : n.iface.retransTimerUs));
    if (n.iface.kernelIndex !== 0) this.ip.kernel!.use(n);
    else if (n.address.isV4) this.ip.arp.solicit(n);
    else this.ip.nd.solicit(n);
  }

  /** What was heard of a neighbour; returns its entry when there is one. */
  heard(
    iface: Interface,
    address: IpAddress,
    high: number,
    low: number,
    how: number,
  ): Neighbour | null {
    const n = how === Heard.SPOKE ? this.lookup(iface, address) : this.find(iface, address);
    if (n === null || n.state === NeighbourState.PERMANENT) return n;
    const hadAddress = n.state !== NeighbourState.INCOMPLETE && n.state !== NeighbourState.FAILED;
    const isSame = hadAddress && n.macHigh === high && n.macLow === low;
    n.macHigh = high;
    n.macLow = low;
    if (how === Heard.ANSWER) this.confirm(n);
    else if (!isSame) {
      n.state = NeighbourState.STALE;
      n.timerAtUs = NEVER;
    }
    this.sendQueued(n);
    return n;
  }

  /** Makes a known neighbour stale: it answered, but not to us (RFC 4861 §7.2.5). */
  doubt(n: Neighbour): void {
    if (n.state !== NeighbourState.REACHABLE) return;
    n.state = NeighbourState.STALE;
  }

  /** Shared interface: the kernel says the hardware address, and whether it has been confirmed. */
  kernelKnows(n: Neighbour, high: number, low: number, isSure: boolean): void {
    n.macHigh = high;
    n.macLow = low;
    if (!n.isProven) this.prove(n);
    n.probes = 0;
    if (isSure) n.state = NeighbourState.REACHABLE;
    // A stale one that was asked about a moment ago is not asked about again.
    else if (n.state !== NeighbourState.DELAY) n.state = NeighbourState.STALE;
    n.reachableUntilUs = isSure ? NEVER : 0; // it will tell
    if (n.state !== NeighbourState.DELAY) n.timerAtUs = NEVER;
    this.sendQueued(n);
  }

  /** Shared interface: the kernel has forgotten it, or (`hasFailed`) got no answer. */
  kernelLost(n: Neighbour, hasFailed: boolean): void {
    const waits = n.state === NeighbourState.INCOMPLETE;
    // The news may be older than our question: it stands when that has been repeated.
    if (waits && (!hasFailed || n.probes < 2)) return;
    if (n.state === NeighbourState.FAILED || n.state === NeighbourState.REMOVED) return;
    n.timerAtUs = NEVER;
    this.fail(n);
    if (hasFailed) this.ip.invalidatePaths(); // the kernel may go another way
  }

  /** Hot path. An upper layer or an answer says that the neighbour is there. */
  confirm(n: Neighbour): void {
    if (n.state >= NeighbourState.PERMANENT || n.iface.kernelIndex !== 0) return;
    if (!n.isProven) this.prove(n);
    n.state = NeighbourState.REACHABLE;
    n.usedAtUs = this.ip.nowUs;
    n.reachableUntilUs = this.ip.nowUs + reachableTimeUs(n);
    n.timerAtUs = NEVER;
    n.probes = 0;
  }

  private prove(n: Neighbour): void {
    n.isProven = true;
    this.unproven.delete(n);
  }

  /** Whether a neighbour's hardware address is known, be it confirmed or not. */
  hasAddress(n: Neighbour): boolean {
    return n.state !== NeighbourState.INCOMPLETE && n.state < NeighbourState.FAILED;
  }

  private sendQueued(n: Neighbour): void {
    const { pool } = this.ip;
    while (n.queueFirst !== NO_SLOT) {
      const slot = this.dequeue(n);
      ethernet.putAddress(pool.bytes, pool.at[slot]!, n.macHigh, n.macLow);
      n.iface.put(slot);
    }
  }

  private arm(n: Neighbour, atUs: number): void {
    this.active.add(n);
    n.timerAtUs = atUs;
    if (atUs < this.soonestUs) this.soonestUs = atUs;
    this.ip.deadline.lower(atUs);
  }

  nextDeadlineUs(): number {
    return this.soonestUs;
  }

  runTimers(nowUs: number): void {
    if (nowUs < this.soonestUs) return;
    const due = this.active;
    this.active = new Set();
    this.soonestUs = NEVER;
    for (const n of due) {
      if (n.timerAtUs === NEVER || n.state === NeighbourState.REMOVED) continue;
      if (n.timerAtUs > nowUs) this.arm(n, n.timerAtUs);
      else this.expire(n);
    }
  }

  private expire(n: Neighbour): void {
    n.timerAtUs = NEVER;
    if (n.state === NeighbourState.DELAY && n.iface.kernelIndex !== 0) {
      n.state = NeighbourState.STALE; // the next packet asks again
    } else if (n.state === NeighbourState.DELAY) {
      n.state = NeighbourState.PROBE;
      n.probes = 0;
      this.solicit(n);
    } else if (n.probes < MAX_SOLICIT) {
      this.solicit(n);
    } else {
      this.fail(n);
    }
  }

  private fail(n: Neighbour): void {
    const wasProbing = n.state === NeighbourState.PROBE;
    n.state = NeighbourState.FAILED;
    n.isProven = false;
    this.unproven.add(n);
    while (n.queueFirst !== NO_SLOT) {
      const slot = this.dequeue(n);
      this.ip.errors.neighbourFailed(slot);
      this.ip.drop(slot, Drop.NO_NEIGHBOUR);
    }
    if (wasProbing || this.ip.isGateway(n)) this.ip.invalidatePaths();
  }

  /** Forgets the oldest entry that is not proven; if all are, those that were not used for long. */
  private makeRoom(): boolean {
    for (const oldest of this.unproven) {
      this.removeEntry(oldest);
      return true;
    }
    const nowUs = this.ip.nowUs;
    if (nowUs < this.gcAtUs) return false;
    this.gcAtUs = nowUs + US_PER_S;
    for (const n of [...this.entries.values()]) {
      const isKept = n.state === NeighbourState.PERMANENT || nowUs < n.reachableUntilUs;
      if (!isKept && nowUs - n.usedAtUs > GC_STALE_US) this.removeEntry(n);
    }
    return this.entries.size < MAX_NEIGHBOURS;
  }

  remove(iface: Interface, address: IpAddress): boolean {
    const n = this.find(iface, address);
    if (n === null) return false;
    this.removeEntry(n);
    return true;
  }

  /** Forgets every neighbour on an interface, or on all of them (null). */
  removeAll(iface: Interface | null): void {
    for (const n of [...this.entries.values()]) {
      if (iface === null || n.iface === iface) this.removeEntry(n);
    }
  }

  /** Who is at the other end of the next link must be asked. What the user said of neighbours stays. */
  linkLost(iface: Interface): void {
    for (const n of [...this.entries.values()]) {
      const isLearned = n.state !== NeighbourState.PERMANENT;
      if (isLearned && n.iface === iface) this.removeEntry(n, Drop.LINK_DOWN);
    }
  }

  private removeEntry(n: Neighbour, reason: Drop = Drop.NEIGHBOUR_TABLE_FULL): void {
    this.entries.delete(keyOf(n.iface, n.address));
    this.unproven.delete(n);
    this.active.delete(n);
    n.state = NeighbourState.REMOVED;
    n.timerAtUs = NEVER;
    while (n.queueFirst !== NO_SLOT) this.ip.drop(this.dequeue(n), reason);
  }
}

const reachableTimeUs = (n: Neighbour): number =>
  n.address.isV4 ? REACHABLE_TIME_US : n.iface.reachableTimeUs;

const keyOf = (iface: Interface, a: IpAddress): string =>
  `${iface.index}:${a.w0},${a.w1},${a.w2},${a.w3}`;
