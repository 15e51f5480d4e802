/**
 * LRU behind TinyLFU, an admission policy against thrashing: a trace stays only when it was seen more often
 * lately than the one that would go, hits and misses alike counted in a sketch. A flood of rare paths then
 * displaces nothing that is used.
 *
 * A share of the entries is a window: every trace that misses enters it at once, and must beat the oldest of
 * the rest when it leaves it. So bursts of a new path are met, too (W-TinyLFU).
 *
 * G. Einziger, R. Friedman, B. Manes, TinyLFU: A Highly Efficient Cache Admission Policy, ACM TOS 2017.
 */
import type { CachePolicy } from "./cache-policy.js";
import { FrequencySketch } from "./frequency-sketch.js";
import { TraceOrder } from "./trace-order.js";

/** Of the entries, the window's: one in this many, rounded up. */
const WINDOW_SHARE = 8;
/** Counters of the sketch, and packets between its halvings, per entry. */
const COUNTERS_PER_ENTRY = 16;
const SAMPLES_PER_ENTRY = 256;

export class TinyLfuPolicy implements CachePolicy {
  readonly name = "tinylfu";
  private readonly window = new TraceOrder();
  private readonly main = new TraceOrder();
  private readonly windowEntries: number;
  private readonly sketch: FrequencySketch;

  constructor(entries: number, windowEntries = Math.ceil(entries / WINDOW_SHARE)) {
    this.windowEntries = Math.max(1, Math.min(windowEntries, entries));
    const width = 1 << Math.ceil(Math.log2(entries * COUNTERS_PER_ENTRY));
    this.sketch = new FrequencySketch(width, entries * SAMPLES_PER_ENTRY);
  }

  /** Hot path. */
  hit(id: number): void {
    this.sketch.add(id);
    if (this.window.has(id)) this.window.toFront(id);
    else this.main.toFront(id);
  }

  /** Always: into the window. What leaves that one may be worth more than what is in the rest, or not. */
  admits(id: number): boolean {
    this.sketch.add(id);
    return true;
  }

  inserted(id: number): void {
    // While there is room, what leaves the window stays.
    if (this.window.count === this.windowEntries) this.promote();
    this.window.addFront(id);
  }

  victim(): number {
    const candidate = this.window.back;
    const eldest = this.main.back;
    if (eldest < 0) return candidate;
    if (this.window.count < this.windowEntries) return eldest;
    if (this.sketch.count(candidate) <= this.sketch.count(eldest)) return candidate;
    this.promote();
    return eldest;
  }

  removed(id: number): void {
    this.window.remove(id);
    this.main.remove(id);
  }

  /** The oldest of the window joins the rest. */
  private promote(): void {
    const id = this.window.back;
    this.window.remove(id);
    this.main.addFront(id);
  }
}
