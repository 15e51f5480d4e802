/**
 * Belady's bound: knows which traces the packets to come take, gives up the one that is needed last, and
 * does not take one that would be needed later still. No policy hits more often with a capacity in entries;
 * with one in bits it is a good policy and no bound, as traces differ in size.
 *
 * L. A. Belady, A study of replacement algorithms for a virtual-storage computer, 1966.
 */
import type { CachePolicy } from "./cache-policy.js";

const NEVER = 0x7fff_ffff;
const EMPTY = -1;

export class BeladyPolicy implements CachePolicy {
  readonly name = "belady";
  /** For each packet: the next one of the same trace. */
  private readonly nextSame: Int32Array;
  /** Of each place: when it is needed next; EMPTY: no trace is there. */
  private readonly neededAt: Int32Array;
  /** Packets so far. */
  private now = 0;

  /** `packets`: the trace of each packet that will come, in order. */
  constructor(places: number, packets: ArrayLike<number>) {
    this.neededAt = new Int32Array(places).fill(EMPTY);
    this.nextSame = new Int32Array(packets.length);
    const last = new Map<number, number>();
    for (let at = packets.length - 1; at >= 0; at--) {
      this.nextSame[at] = last.get(packets[at]!) ?? NEVER;
      last.set(packets[at]!, at);
    }
  }

  /** Hot path. */
  hit(place: number): void {
    this.neededAt[place] = this.nextSame[this.now++]!;
  }

  miss(): void {
    this.now++;
  }

  admits(): boolean {
    return this.nextSame[this.now - 1]! < this.neededAt[this.victim()]!;
  }

  victim(): number {
    const { neededAt } = this;
    let last = -1;
    for (let place = 0; place < neededAt.length; place++) {
      if (neededAt[place] === EMPTY) continue;
      if (last < 0 || neededAt[place]! > neededAt[last]!) last = place;
    }
    return last;
  }

  add(place: number): void {
    this.neededAt[place] = this.nextSame[this.now - 1]!;
  }

  remove(place: number): void {
    this.neededAt[place] = EMPTY;
  }
}
