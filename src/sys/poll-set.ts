/**
 * Several descriptors watched as one: the set's own descriptor polls readable while one of them is.
 * For devices with many descriptors, as a host watches one.
 */
import { EBADF, ENOENT } from "../base/errno.js";
import { addon } from "./addon.js";
import { check } from "./check.js";
import { closeFd } from "./fd.js";

/** What {@link PollSet.take} says of a member; the numbers are epoll_ctl(2)'s. */
export const PollBits = { IN: 1, ERR: 8, HUP: 16, RDHUP: 0x2000 } as const;

export class PollSet {
  /** Readable while a member is. */
  readonly fd: number;
  private isClosed = false;

  constructor() {
    this.fd = check(addon().pollSetCreate(), "epoll_create1");
  }

  /** Watches a descriptor for reading and hang-up. */
  add(fd: number): void {
    check(addon().pollSetAdd(this.fd, fd, 0), "epoll_ctl");
  }

  /**
   * Watches a descriptor that others make readable and nobody reads: it counts as readable once
   * for each time that it was made so, until {@link take} has told.
   */
  addEdge(fd: number): void {
    check(addon().pollSetAdd(this.fd, fd, 1), "epoll_ctl");
  }

  /** Stops watching; before the descriptor is closed. One that has left by itself is no error. */
  remove(fd: number): void {
    const result = addon().pollSetRemove(this.fd, fd);
    if (result !== -ENOENT && result !== -EBADF) check(result, "epoll_ctl");
  }

  /**
   * Up to `n` (64 at most) members that are readable or have hung up, without waiting: in `out`
   * the descriptor and the `PollBits` of each. How many.
   */
  take(out: Int32Array, n: number): number {
    return check(addon().pollSetTake(this.fd, out, n), "epoll_wait");
  }

  /** The members stay open. Idempotent. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    closeFd(this.fd);
  }
}
