/**
 * What became of the messages 1, 2, 3 … of one sender: how many came, came twice, came late, or
 * never. Remembers the last 65,536; one that is later than that counts as a duplicate.
 */
const WINDOW = 65_536;

export class SequenceWindow {
  received = 0;
  duplicated = 0;
  outOfOrder = 0;
  /** Highest sequence number so far. */
  highest = 0;
  /** Those before the first one that came are nobody's loss: the reader may have begun late. */
  private first = 0;
  private readonly seen = new Uint8Array(WINDOW);

  /** Hot path. Messages from the first to the highest that have not come. */
  get lost(): number {
    return this.first === 0 ? 0 : this.highest - this.first + 1 - this.received;
  }

  /** Hot path. A message came; false when it had come before. */
  see(sequence: number): boolean {
    const { seen } = this;
    if (this.first === 0) this.first = sequence;
    if (sequence > this.highest) {
      const skipped = Math.min(sequence - this.highest - 1, WINDOW);
      for (let i = 1; i <= skipped; i++) seen[(sequence - i) % WINDOW] = 0;
      this.highest = sequence;
    } else if (sequence <= this.highest - WINDOW || seen[sequence % WINDOW] === 1) {
      this.duplicated++;
      return false;
    } else {
      this.outOfOrder++;
      if (sequence < this.first) this.first = sequence;
    }
    seen[sequence % WINDOW] = 1;
    this.received++;
    return true;
  }
}
