/**
 * The engine's ends of the pairs whose other ends programs hold: an end hangs up when the last
 * program has let its own go, SIGKILL included. No data belong here.
 */
import { EAGAIN, EMSGSIZE } from "../base/errno.js";
import { NumberMap } from "../base/number-map.js";
import { closeFd } from "../sys/fd.js";
import { PollBits, PollSet } from "../sys/poll-set.js";
import { discardUnix, receiveWithFds, throwAway } from "../sys/unix-socket.js";

/** Hang-ups of a pass: each closes a socket, and others wait for it. The rest is there in the next one. */
const EVENTS = 16;
/** Messages of one end before others have their turn. */
const BURST = 16;
const HANG_UP = PollBits.HUP | PollBits.RDHUP | PollBits.ERR;

/** Who has an end: a socket, or nobody for a while (`ParkedEnd`). */
export interface EndOwner {
  /** -1: none. */
  endFd: number;
  /** Nobody holds the other end any more; this one is closed. */
  hangUp(): void;
  /**
   * Does what the program has said before it let its end go, which may give the end to another owner. False:
   * not all of that is there yet.
   */
  catchUp?(): boolean;
}

export class SocketEnds {
  private readonly set = new PollSet();
  private readonly byEnd = new NumberMap<EndOwner>();
  private readonly events = new Int32Array(2 * EVENTS);
  private readonly nothing = new Uint8Array(64);
  private readonly fds: number[] = [];
  /** Of the ends that {@link service} has been told of. */
  private readonly owners: (EndOwner | undefined)[] = [];
  private isServing = false;
  /** The last {@link service} has not seen all. */
  hasMore = false;

  /** Readable when {@link service} has something to do. */
  get fd(): number {
    return this.set.fd;
  }

  /** How many there are. */
  get size(): number {
    return this.byEnd.size;
  }

  /** Takes and watches the engine's end of a socket. Throws `NetError` when it cannot be watched. */
  watch(fd: number, served: EndOwner): void {
    this.byEnd.set(fd, served);
    this.set.add(fd);
  }

  /** A watched end is somebody else's from now on. */
  move(fd: number, to: EndOwner): void {
    this.byEnd.set(fd, to);
  }

  /** Closes it: the socket is gone. */
  close(fd: number): void {
    this.byEnd.delete(fd);
    this.set.remove(fd);
    discardUnix(fd);
  }

  /**
   * Looks for sockets that nobody holds any more; how many it found. All of what one look tells is done: the set tells
   * its members in turn, and those of a second look may always be others. Without `catchesUp` what would have to catch up
   * is left for later, and so is all while another look is under way.
   */
  service(catchesUp = true): number {
    if (this.isServing) return 0;
    this.isServing = true;
    try {
      return this.lookOnce(catchesUp);
    } finally {
      this.isServing = false;
    }
  }

  private lookOnce(catchesUp: boolean): number {
    const n = this.set.take(this.events, EVENTS);
    const owners = this.owners;
    owners.length = 0;
    for (let i = 0; i < n; i++) owners.push(this.byEnd.get(this.events[2 * i]!));
    // All of them first: catching up closes ends, gives them to others, and uses their numbers again.
    for (let i = 0; i < n; i++) {
      const owner = owners[i];
      if (owner?.catchUp === undefined) continue;
      if (!catchesUp || !owner.catchUp()) owners[i] = undefined;
    }
    let found = 0;
    for (let i = 0; i < n; i++) {
      const owner = owners[i];
      const fd = this.events[2 * i]!;
      if (owner === undefined || this.byEnd.get(fd) !== owner) continue; // the next time
      const isOver = (this.events[2 * i + 1]! & HANG_UP) !== 0;
      const isDrained = this.drain(fd);
      if (!isDrained && !isOver) continue;
      this.hangUp(fd, owner, isDrained);
      found++;
    }
    // Those that are told of and are not over are told of again.
    this.hasMore = n === EVENTS && found > 0;
    return found;
  }

  /** Whether anybody still holds the other end of a socket is looked at now. */
  look(served: EndOwner): void {
    const { endFd } = served;
    if (endFd >= 0 && this.drain(endFd)) this.hangUp(endFd, served, true);
  }

  private hangUp(fd: number, served: EndOwner, isDrained: boolean): void {
    this.byEnd.delete(fd);
    this.set.remove(fd);
    if (isDrained) closeFd(fd);
    else discardUnix(fd);
    served.endFd = -1;
    served.hangUp();
  }

  /** Throws away what a program writes; whether the end is over, all of it read. */
  private drain(fd: number): boolean {
    for (let i = 0; i < BURST; i++) {
      const n = receiveWithFds(fd, this.nothing, this.fds);
      if (n === -EAGAIN) return false;
      for (const left of this.fds) throwAway(left);
      this.fds.length = 0;
      if (n <= 0 && n !== -EMSGSIZE) return true; // an error: it is no end of a pair
    }
    return false;
  }

  /** Closes the set; its members are their sockets'. */
  closeSet(): void {
    this.set.close();
  }
}
