/**
 * Places of the trace cache in an order: a doubly linked list in two typed arrays, so that a place moves to
 * the front, or leaves, without a search. Nothing is allocated after construction.
 */
const NONE = -1;

export class PlaceList {
  /** Towards the front and towards the back; the last entry is the list's own. */
  private readonly before: Int32Array;
  private readonly after: Int32Array;
  private readonly ends: number;

  /** For places 0 up to `places`. */
  constructor(places: number) {
    this.before = new Int32Array(places + 1).fill(NONE);
    this.after = new Int32Array(places + 1).fill(NONE);
    this.ends = places;
    this.before[places] = places;
    this.after[places] = places;
  }

  /** The place at the back, -1 when there is none. */
  get back(): number {
    const place = this.before[this.ends]!;
    return place === this.ends ? NONE : place;
  }

  has(place: number): boolean {
    return this.after[place] !== NONE;
  }

  /** Hot path. Puts a place that is not in the list at the front. */
  addFront(place: number): void {
    const { before, after, ends } = this;
    const next = after[ends]!;
    before[place] = ends;
    after[place] = next;
    before[next] = place;
    after[ends] = place;
  }

  /** Hot path. Moves a place of the list to the front. */
  toFront(place: number): void {
    if (this.after[this.ends] === place) return;
    this.remove(place);
    this.addFront(place);
  }

  /** Hot path. Takes a place of the list out. */
  remove(place: number): void {
    const { before, after } = this;
    after[before[place]!] = after[place]!;
    before[after[place]!] = before[place]!;
    before[place] = NONE;
    after[place] = NONE;
  }
}
