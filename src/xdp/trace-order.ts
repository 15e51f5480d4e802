/**
 * Traces in an order: a doubly linked list over their numbers, so that one moves to the front, or leaves,
 * without a search. The arrays grow when a larger number comes in, and never on a hit.
 */
const NONE = -1;
const FIRST_IDS = 64;

export class TraceOrder {
  count = 0;
  /** The first and the last; -1: there is none. */
  private first = NONE;
  private last = NONE;
  /** Towards the front; -1: it is the first, or not in. */
  private before = new Int32Array(FIRST_IDS).fill(NONE);
  private after = new Int32Array(FIRST_IDS).fill(NONE);
  private isIn = new Uint8Array(FIRST_IDS);

  /** The one at the back, -1 when there is none. */
  get back(): number {
    return this.last;
  }

  /** Hot path. */
  has(id: number): boolean {
    return id < this.isIn.length && this.isIn[id] === 1;
  }

  /** The one that is next towards the front, -1 when there is none. */
  nextToFront(id: number): number {
    return this.before[id]!;
  }

  /** Puts one that is not in at the front. */
  addFront(id: number): void {
    if (id >= this.isIn.length) this.grow(id);
    this.isIn[id] = 1;
    this.count++;
    this.link(id);
  }

  /** Hot path. Moves one that is in to the front. */
  toFront(id: number): void {
    if (this.first === id) return;
    this.unlink(id);
    this.link(id);
  }

  /** Takes one out; nothing happens when it is not in. */
  remove(id: number): void {
    if (!this.has(id)) return;
    this.isIn[id] = 0;
    this.count--;
    this.unlink(id);
  }

  private link(id: number): void {
    this.before[id] = NONE;
    this.after[id] = this.first;
    if (this.first === NONE) this.last = id;
    else this.before[this.first] = id;
    this.first = id;
  }

  private unlink(id: number): void {
    const before = this.before[id]!;
    const after = this.after[id]!;
    if (before === NONE) this.first = after;
    else this.after[before] = after;
    if (after === NONE) this.last = before;
    else this.before[after] = before;
  }

  private grow(id: number): void {
    const size = 2 * Math.max(id + 1, this.isIn.length);
    const links = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const larger = new Int32Array(size).fill(NONE);
      larger.set(old);
      return larger;
    };
    const isIn = new Uint8Array(size);
    isIn.set(this.isIn);
    this.isIn = isIn;
    this.before = links(this.before);
    this.after = links(this.after);
  }
}
