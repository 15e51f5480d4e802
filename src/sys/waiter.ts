/**
 * Sleeping in Node.js until a descriptor is readable: a thread of the addon watches the descriptors
 * and wakes the event loop. Costs nothing while it sleeps.
 *
 * | state    | who leaves it                            | to       |
 * |----------|------------------------------------------|----------|
 * | idle     | `arm`                                    | armed    |
 * | armed    | a readable descriptor (the callback runs)| idle     |
 * | armed    | `disarm`                                 | idle     |
 * | any      | `close`                                  | closed   |
 *
 * Only an armed waiter keeps the process alive, and only when it was armed to do so.
 */
import { EBADF, ENOENT } from "../base/errno.js";
import { addon, type WaiterHandle } from "./addon.js";
import { check, failure } from "./check.js";

export class FdWaiter {
  private readonly handle: WaiterHandle;
  private onReadable: (() => void) | null = null;
  private armNumber = 0;
  private isClosed = false;
  private isKeepingAlive = false;

  constructor() {
    const handle = addon().waiterOpen((armNumber) => this.wake(armNumber));
    if (typeof handle === "number") throw failure(handle, "epoll_create1");
    this.handle = handle;
  }

  /** Watches a descriptor for reading. Throws `NetError` EEXIST when it does so already. */
  add(fd: number): void {
    check(addon().waiterAdd(this.handle, fd), "epoll_ctl");
  }

  /**
   * Stops watching; before the descriptor is closed, as its number may soon be another's. One that
   * has left by itself (closed, or silenced because its device is gone) is no error.
   */
  remove(fd: number): void {
    const result = addon().waiterRemove(this.handle, fd);
    if (result !== -ENOENT && result !== -EBADF) check(result, "epoll_ctl");
  }

  /**
   * Calls back once when a descriptor is readable, from the event loop and never from within `arm`,
   * also when one is readable already. Arming again replaces the callback. With `keepsAlive` false
   * the process may end while it waits.
   */
  arm(onReadable: () => void, keepsAlive = true): void {
    this.keepAlive(keepsAlive);
    this.onReadable = onReadable;
    this.armNumber = (this.armNumber + 1) & 0x3fffffff;
    check(addon().waiterArm(this.handle, this.armNumber), "waiter");
  }

  /** The callback will not be called. */
  disarm(): void {
    if (this.onReadable === null) return;
    this.onReadable = null;
    this.keepAlive(false);
    addon().waiterDisarm(this.handle);
  }

  /** Ends the thread. The watched descriptors stay open. Idempotent. */
  close(): void {
    if (this.isClosed) return;
    this.disarm();
    this.isClosed = true;
    addon().waiterClose(this.handle);
  }

  /** A wake that was on its way when the waiter was disarmed or armed anew is not this one's. */
  private wake(armNumber: number): void {
    const onReadable = this.onReadable;
    if (onReadable === null || armNumber !== this.armNumber) return;
    this.onReadable = null;
    this.keepAlive(false);
    onReadable();
  }

  private keepAlive(keeps: boolean): void {
    if (keeps === this.isKeepingAlive) return;
    this.isKeepingAlive = keeps;
    addon().waiterRef(this.handle, keeps ? 1 : 0);
  }
}
