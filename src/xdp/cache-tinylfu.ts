/**
 * LRU behind TinyLFU, an admission policy against thrashing: a trace comes in only when it was seen more
 * often lately than the one that would go, hits and misses alike counted in a sketch. A flood of rare paths
 * then displaces nothing that is used.
 *
 * A share of the places is a window: every trace that misses enters it at once, and must beat the oldest of
 * the rest when it leaves it. So bursts of a new path are met, too (W-TinyLFU).
 *
 * G. Einziger, R. Friedman, B. Manes, TinyLFU: A Highly Efficient Cache Admission Policy, ACM TOS 2017.
 */
import type { CachePolicy } from "./cache-policy.js";
import { FrequencySketch } from "./frequency-sketch.js";
import { PlaceList } from "./place-list.js";

/** Of the places, the window's: one in this many, rounded up. */
const WINDOW_SHARE = 8;
/** Counters of the sketch and packets between its halvings, per place. */
const COUNTERS_PER_PLACE = 16;
const SAMPLES_PER_PLACE = 256;

export class TinyLfuPolicy implements CachePolicy {
  readonly name = "tinylfu";
  private readonly window: PlaceList;
  private readonly main: PlaceList;
  private readonly windowPlaces: number;
  private inWindow = 0;
  private readonly traceAt: Int32Array;
  private readonly sketch: FrequencySketch;

  constructor(places: number, windowPlaces = Math.ceil(places / WINDOW_SHARE)) {
    this.window = new PlaceList(places);
    this.main = new PlaceList(places);
    this.windowPlaces = Math.max(1, Math.min(windowPlaces, places));
    this.traceAt = new Int32Array(places);
    const width = 1 << Math.ceil(Math.log2(places * COUNTERS_PER_PLACE));
    this.sketch = new FrequencySketch(width, places * SAMPLES_PER_PLACE);
  }

  /** Hot path. */
  hit(place: number): void {
    this.sketch.add(this.traceAt[place]!);
    if (this.window.has(place)) this.window.toFront(place);
    else this.main.toFront(place);
  }

  miss(trace: number): void {
    this.sketch.add(trace);
  }

  /** Always: into the window. What leaves that one may be worth more than what is in the rest, or not. */
  admits(): boolean {
    return true;
  }

  victim(): number {
    const eldest = this.main.back;
    if (this.inWindow < this.windowPlaces && eldest >= 0) return eldest;
    const candidate = this.window.back;
    if (eldest < 0) return candidate;
    const { sketch, traceAt } = this;
    if (sketch.count(traceAt[candidate]!) <= sketch.count(traceAt[eldest]!)) return candidate;
    this.window.remove(candidate);
    this.inWindow--;
    this.main.addFront(candidate);
    return eldest;
  }

  add(place: number, trace: number): void {
    this.traceAt[place] = trace;
    // While there is room, what leaves the window stays.
    if (this.inWindow === this.windowPlaces) {
      const eldest = this.window.back;
      this.window.remove(eldest);
      this.main.addFront(eldest);
      this.inWindow--;
    }
    this.window.addFront(place);
    this.inWindow++;
  }

  remove(place: number): void {
    if (!this.window.has(place)) {
      this.main.remove(place);
      return;
    }
    this.window.remove(place);
    this.inWindow--;
  }
}
