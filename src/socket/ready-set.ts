/**
 * Readiness of many sockets without asking each of them: what epoll(7) is to descriptors, polled.
 *
 * A socket whose readiness may have changed is queued in every set that watches it, once; `take`
 * asks the queued sockets for their bits and reports those that match. Nothing is called back.
 *
 * | state of a watch | becomes queued when                    | leaves the queue when            |
 * |------------------|----------------------------------------|----------------------------------|
 * | level            | its socket changes; still ready at take | `take` finds nothing of interest |
 * | edge             | its socket changes                      | `take` looked at it              |
 * | once             | its socket changes                      | reported; then off until `modify` |
 *
 * As with epoll, ERR and HUP are always of interest.
 */
import { EEXIST, ENOENT } from "../base/errno.js";
import { Readiness } from "../tcp/readiness.js";

/** How a watch reports: see the table above. */
export const WatchMode = { LEVEL: 0, EDGE: 1, ONCE: 2 } as const;

const ALWAYS = Readiness.ERR | Readiness.HUP;

/** What a set needs of a socket; every polled socket is one. */
export abstract class Watchable {
  /** First of the watches on this socket, linked through `nextOfSocket`. */
  firstWatch: Watch | null = null;

  /** Readiness bits as poll(2) gives them. */
  abstract readiness(): number;

  /** Hot path. The stack noticed that readiness may have changed. */
  markChanged(): void {
    for (let w = this.firstWatch; w !== null; w = w.nextOfSocket) w.set.queue(w);
  }

  /** Takes the socket out of every set, as closing a descriptor does. */
  protected forgetWatches(): void {
    while (this.firstWatch !== null) this.firstWatch.set.remove(this);
  }
}

/**
 * Hot path. Loads what {@link Watchable.markChanged} of the sockets with these numbers will need:
 * their entries, then the sockets, then the watches, so that the misses of each kind overlap. The
 * result only keeps the loads from being left out.
 */
export function touchWatches(
  sockets: readonly (Watchable | null)[],
  ids: Int32Array,
  n: number,
): number {
  let touched = 0;
  for (let k = 0; k < n; k++) if (sockets[ids[k]!] !== null) touched ^= 1;
  for (let k = 0; k < n; k++) if (sockets[ids[k]!]?.firstWatch !== null) touched ^= 1;
  for (let k = 0; k < n; k++) if (sockets[ids[k]!]?.firstWatch?.isArmed === true) touched ^= 1;
  return touched;
}

/** One socket in one set. */
class Watch {
  readonly set: ReadySet;
  readonly socket: Watchable;
  interest: number;
  mode: number;
  nextOfSocket: Watch | null = null;
  nextQueued: Watch | null = null;
  isQueued = false;
  /** False for ONCE after its report, and after removal. */
  isArmed = true;

  constructor(set: ReadySet, socket: Watchable, interest: number, mode: number) {
    this.set = set;
    this.socket = socket;
    this.interest = interest;
    this.mode = mode;
  }
}

/** Where `take` puts what it found; reused by the caller. */
export class ReadyEvents {
  readonly sockets: (Watchable | null)[];
  readonly bits: Int32Array;
  n = 0;

  constructor(capacity = 64) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(`ready events: expected a capacity of 1 or more, got ${capacity}`);
    }
    this.sockets = new Array<Watchable | null>(capacity).fill(null);
    this.bits = new Int32Array(capacity);
  }
}

export class ReadySet {
  private first: Watch | null = null;
  private last: Watch | null = null;
  /** Sockets in the set. */
  size = 0;

  /** Watches a socket for readiness bits; it is looked at by the next `take`. 0 or -EEXIST. */
  add(socket: Watchable, interest: number, mode: number = WatchMode.LEVEL): number {
    if (this.find(socket) !== null) return -EEXIST;
    const w = new Watch(this, socket, interest, mode);
    w.nextOfSocket = socket.firstWatch;
    socket.firstWatch = w;
    this.size++;
    this.queue(w);
    return 0;
  }

  /** Changes interest and mode, and arms the watch again; the next `take` looks at it. */
  modify(socket: Watchable, interest: number, mode: number = WatchMode.LEVEL): number {
    const w = this.find(socket);
    if (w === null) return -ENOENT;
    w.interest = interest;
    w.mode = mode;
    w.isArmed = true;
    this.queue(w);
    return 0;
  }

  /** Stops watching. 0 or -ENOENT. */
  remove(socket: Watchable): number {
    let before: Watch | null = null;
    for (let w = socket.firstWatch; w !== null; before = w, w = w.nextOfSocket) {
      if (w.set !== this) continue;
      if (before === null) socket.firstWatch = w.nextOfSocket;
      else before.nextOfSocket = w.nextOfSocket;
      w.isArmed = false; // if it is queued, `take` lets it go
      this.size--;
      return 0;
    }
    return -ENOENT;
  }

  /** Hot path. Whether any socket is queued; it may turn out not to be ready. */
  get hasCandidates(): boolean {
    return this.first !== null;
  }

  /** Hot path. Called by sockets: puts a watch at the end of the queue unless it is in it. */
  queue(w: Watch): void {
    if (w.isQueued || !w.isArmed) return;
    w.isQueued = true;
    w.nextQueued = null;
    if (this.last === null) this.first = w;
    else this.last.nextQueued = w;
    this.last = w;
  }

  /**
   * Hot path. Reports up to `out`'s capacity of ready sockets and returns how many. Level-mode
   * sockets that are still ready go to the end of the queue, so that none starves the others.
   */
  take(out: ReadyEvents): number {
    const stopAt = this.last;
    out.n = 0;
    while (this.first !== null && out.n < out.bits.length) {
      const w: Watch = this.first;
      this.first = w.nextQueued;
      if (this.first === null) this.last = null;
      w.isQueued = false;
      if (w.isArmed) this.report(w, out);
      if (w === stopAt) break;
    }
    return out.n;
  }

  private report(w: Watch, out: ReadyEvents): void {
    const bits = w.socket.readiness() & (w.interest | ALWAYS);
    if (bits === 0) return;
    out.sockets[out.n] = w.socket;
    out.bits[out.n] = bits;
    out.n = (out.n + 1) | 0;
    if (w.mode === WatchMode.ONCE) w.isArmed = false;
    else if (w.mode === WatchMode.LEVEL) this.queue(w);
  }

  private find(socket: Watchable): Watch | null {
    for (let w = socket.firstWatch; w !== null; w = w.nextOfSocket) if (w.set === this) return w;
    return null;
  }
}
