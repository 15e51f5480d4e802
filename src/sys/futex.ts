/**
 * Waiting on a word of shared memory until another thread or process wakes it: futex(2), in its form
 * that works between processes. `Atomics.wait` cannot: its waiters are of this process only.
 */
import { EAGAIN, EINTR, ETIMEDOUT } from "../base/errno.js";
import { addon } from "./addon.js";
import { check } from "./check.js";

/** How a wait ended. `CHANGED`: the word was not the expected one. */
export const FutexWait = { WOKEN: 0, CHANGED: 1, TIMED_OUT: 2, INTERRUPTED: 3 } as const;
export type FutexWait = (typeof FutexWait)[keyof typeof FutexWait];

/**
 * Blocks this thread while the int32 at byte `at` (a multiple of 4) is `expected`; `timeoutUs` below
 * 0 waits for ever. Wakes may be spurious: look at the word again. Nothing else runs meanwhile, not
 * even signal handlers of JavaScript. Throws `NetError` EFAULT for a word outside the bytes.
 */
export function futexWait(
  bytes: Uint8Array,
  at: number,
  expected: number,
  timeoutUs: number,
): FutexWait {
  const result = addon().futexWait(bytes, at, expected, timeoutUs);
  if (result === -EAGAIN) return FutexWait.CHANGED;
  if (result === -ETIMEDOUT) return FutexWait.TIMED_OUT;
  if (result === -EINTR) return FutexWait.INTERRUPTED;
  check(result, "futex");
  return FutexWait.WOKEN;
}

/** Wakes at most `n` waiters of the word, in this process and others; how many it woke. */
export function futexWake(bytes: Uint8Array, at: number, n: number): number {
  return check(addon().futexWake(bytes, at, n), "futex");
}
