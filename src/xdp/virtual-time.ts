/**
 * Events in virtual time, in nanoseconds: whoever simulates schedules what happens when, and time jumps from
 * one event to the next. Events of one moment happen in the order in which they were scheduled, so the same
 * input gives the same run.
 */
interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class VirtualTime {
  /** Nanoseconds since the simulation began. */
  now = 0;
  /** A heap: each event comes before the two at twice its place. */
  private readonly heap: Event[] = [];
  private scheduled = 0;

  /** Runs something `delayNs` from now. */
  after(delayNs: number, run: () => void): void {
    this.push({ at: this.now + delayNs, order: this.scheduled++, run });
  }

  /** Runs events until none is left. */
  run(): void {
    for (let event = this.pop(); event !== undefined; event = this.pop()) {
      this.now = event.at;
      event.run();
    }
  }

  private push(event: Event): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!comesBefore(event, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = event;
  }

  private pop(): Event | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (heap.length === 0 || last === undefined) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && comesBefore(heap[below + 1]!, heap[below]!)) below++;
      if (!comesBefore(heap[below]!, last)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

function comesBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
