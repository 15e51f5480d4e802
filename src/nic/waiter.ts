/** How a host of the stack sleeps until a device has frames: it watches the devices' `wakeFd`s. */
import { FdWaiter } from "../sys/waiter.js";

export interface Waiter {
  /** Watches a descriptor for reading. */
  add(fd: number): void;
  /** Stops watching; before the descriptor is closed. */
  remove(fd: number): void;
  /**
   * Calls back once when a watched descriptor is readable, now included, from the event loop. While
   * armed it keeps the process alive, unless `keepsAlive` is false.
   */
  arm(onReadable: () => void, keepsAlive?: boolean): void;
  /** The callback will not be called. */
  disarm(): void;
  /** Releases everything; the descriptors stay open. Idempotent. */
  close(): void;
}

/** A waiter over the native addon. Throws `NetError` when the addon is not built. */
export function openWaiter(): Waiter {
  return new FdWaiter();
}
