/**
 * Named counters in one typed array: the hot path pays one indexed add, and a reader (the command
 * line, a metrics endpoint, another thread) sees the whole block without asking the owner.
 *
 * A component declares its counters once, each with a sentence; the sentences are the manual.
 * One writer per block. Values are exact to 2^53: 19 years of packets at 14.88 Mpps.
 */
export class Counters<Name extends string> {
  readonly component: string;
  readonly names: readonly Name[];
  /** What each counter counts, in a sentence; same order as `names`. */
  readonly meanings: readonly string[];
  readonly values: Float64Array;

  /** `values` may lie in memory that readers map; it must be zeroed and hold one number a name. */
  constructor(component: string, declared: Readonly<Record<Name, string>>, values?: Float64Array) {
    this.component = component;
    this.names = Object.keys(declared) as Name[];
    this.meanings = Object.values(declared);
    this.values = values ?? new Float64Array(this.names.length);
    if (this.values.length < this.names.length) {
      throw new RangeError(
        `counters of ${component}: expected room for ${this.names.length} values, got ${this.values.length}`,
      );
    }
  }

  /** Index of a counter in `values`. Resolve it once, when the component is built. */
  index(name: Name): number {
    const i = this.names.indexOf(name);
    if (i < 0) throw new RangeError(`counters of ${this.component}: there is no ${name}`);
    return i;
  }

  /** Hot path. Adds `by` to the counter at `index`. */
  add(index: number, by: number): void {
    this.values[index]! += by;
  }

  /** Value of one counter; for tests and views. */
  get(name: Name): number {
    return this.values[this.index(name)]!;
  }

  /** All values by name; for tests and views. */
  snapshot(): Record<Name, number> {
    const out = {} as Record<Name, number>;
    for (let i = 0; i < this.names.length; i++) out[this.names[i]!] = this.values[i]!;
    return out;
  }
}
