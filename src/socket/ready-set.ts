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

/** What a socket and its watch are touched at: the fields that are read furthest apart. */
interface Touchable {
  readonly row: number;
  readonly firstWatch: Watch | null;
}

/**
 * Hot path. Loads what {@link Watchable.markChanged} of the sockets with these numbers will need, and
 * their readers: their entries, then the sockets, then the watches, so that the misses of each kind
 * overlap. The result only keeps the loads from being left out.
 */
export function touchWatches(
  sockets: readonly (Touchable | null)[],
  ids: Int32Array,
  n: number,
): number {
  let touched = 0;
  for (let k = 0; k < n; k++) if (sockets[ids[k]!] !== null) touched ^= 1;
  for (let k = 0; k < n; k++) {
    const socket = sockets[ids[k]!];
    if (socket != null && socket.firstWatch !== null) touched ^= socket.row;
  }
  for (let k = 0; k < n; k++) {
    const watch = sockets[ids[k]!]?.firstWatch;
    if (watch != null && watch.nextQueued === null) touched ^= watch.bits;
  }
  return touched;
}

/** Bits of a watch above those of its interest. */
const WatchBits = {
  INTEREST: 0xffff,
  /** `WatchMode`. */
  MODE_SHIFT: 16,
  MODE: 3 << 16,
  /** In the set's queue. */
  QUEUED: 1 << 18,
  /** Not for ONCE after its report, nor after removal. */
  ARMED: 1 << 19,
} as const;

/**
 * One socket in one set. Its state is one word, because there is one for every connection: 64 bytes
 * instead of 88.
 */
class Watch {
  readonly set: ReadySet;
  readonly socket: Watchable;
  /** Interest and {@link WatchBits}. */
  bits: number;
  nextOfSocket: Watch | null = null;
  nextQueued: Watch | null = null;

  constructor(set: ReadySet, socket: Watchable, interest: number, mode: number) {
    this.set = set;
    this.socket = socket;
    this.bits = armedBits(interest, mode);
  }
}

const armedBits = (interest: number, mode: number): number =>
  (interest & WatchBits.INTEREST) | (mode << WatchBits.MODE_SHIFT) | WatchBits.ARMED;

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
    w.bits = (w.bits & WatchBits.QUEUED) | armedBits(interest, mode);
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
      w.bits &= ~WatchBits.ARMED; // if it is queued, `take` lets it go
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
    const { bits } = w;
    if ((bits & (WatchBits.QUEUED | WatchBits.ARMED)) !== WatchBits.ARMED) return;
    w.bits = bits | WatchBits.QUEUED;
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
      w.nextQueued = null; // or dead watches in V8's old space would keep later ones alive
      w.bits &= ~WatchBits.QUEUED;
      if ((w.bits & WatchBits.ARMED) !== 0) this.report(w, out);
      if (w === stopAt) break;
    }
    return out.n;
  }

  private report(w: Watch, out: ReadyEvents): void {
    const interest = w.bits & WatchBits.INTEREST;
    const bits = w.socket.readiness() & (interest | ALWAYS);
    if (bits === 0) return;
    out.sockets[out.n] = w.socket;
    out.bits[out.n] = bits;
    out.n = (out.n + 1) | 0;
    const mode = (w.bits & WatchBits.MODE) >>> WatchBits.MODE_SHIFT;
    if (mode === WatchMode.ONCE) w.bits &= ~WatchBits.ARMED;
    else if (mode === WatchMode.LEVEL) this.queue(w);
  }

  private find(socket: Watchable): Watch | null {
    for (let w = socket.firstWatch; w !== null; w = w.nextOfSocket) if (w.set === this) return w;
    return null;
  }
}
