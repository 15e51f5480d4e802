/**
 * Belady's bound: knows which traces the packets to come take, gives up the one that is needed last, and
 * does not take one that would be needed later still. No policy hits more often with a capacity in entries;
 * with one in bits it is a good policy and no bound, as traces differ in size.
 *
 * L. A. Belady, A study of replacement algorithms for a virtual-storage computer, 1966.
 */
import type { CachePolicy } from "./cache-policy.js";
import { TraceOrder } from "./trace-order.js";

const NEVER = 0x7fff_ffff;

export class BeladyPolicy implements CachePolicy {
  readonly name = "belady";
  /** For each packet: the next one of the same trace. */
  private readonly nextSame: Int32Array;
  /** Of each trace that is in: when it is needed next. */
  private readonly neededAt: Int32Array;
  private readonly held = new TraceOrder();
  /** Packets so far. */
  private now = 0;

  /** `packets`: the trace of each packet that will come, in order. */
  constructor(packets: ArrayLike<number>) {
    this.nextSame = new Int32Array(packets.length);
    let most = 0;
    for (let at = 0; at < packets.length; at++) most = Math.max(most, packets[at]!);
    this.neededAt = new Int32Array(most + 1).fill(NEVER);
    for (let at = packets.length - 1; at >= 0; at--) {
      this.nextSame[at] = this.neededAt[packets[at]!]!;
      this.neededAt[packets[at]!] = at;
    }
  }

  /** Hot path. */
  hit(id: number): void {
    this.neededAt[id] = this.nextSame[this.now++]!;
  }

  admits(id: number, isFull: boolean): boolean {
    this.neededAt[id] = this.nextSame[this.now++]!;
    return !isFull || this.neededAt[id]! < this.neededAt[this.victim()]!;
  }

  inserted(id: number): void {
    this.held.addFront(id);
  }

  victim(): number {
    const { held, neededAt } = this;
    let last = held.back;
    for (let id = last; id >= 0; id = held.nextToFront(id)) {
      if (neededAt[id]! > neededAt[last]!) last = id;
    }
    return last;
  }

  removed(id: number): void {
    this.held.remove(id);
  }
}
