/** Descriptors: closing, events that wake a waiter, pipes, and blocking on purpose. */
import { readFileSync, readlinkSync } from "node:fs";
import { EINTR } from "../base/errno.js";
import { addon } from "./addon.js";
import { check } from "./check.js";

/** Closes a descriptor. Throws `NetError` EBADF when it is not open: closing twice is a bug. */
export function closeFd(fd: number): void {
  check(addon().fdClose(fd), "close");
}

/** Gives a descriptor the lowest free number when that is lower than its own; the number that it has then. */
export function lowerFd(fd: number): number {
  return check(addon().fdLower(fd), "fcntl F_DUPFD_CLOEXEC");
}

/**
 * Puts a descriptor that is never readable in the place of one whose device is gone, and which
 * would therefore wake its waiters for ever. The number stays valid.
 */
export function silenceFd(fd: number): void {
  check(addon().fdSilence(fd), "dup3");
}

/** A descriptor that another thread or this one makes readable; the caller closes it. */
export function createEvent(): number {
  return check(addon().eventCreate(), "eventfd");
}

/** Makes an event readable. */
export function signalEvent(fd: number): void {
  check(addon().eventSignal(fd), "eventfd_write");
}

/**
 * Hot path. As {@link signalEvent}, for an event that a peer gave: 0 or a negative error number. A peer can
 * make it block; with {@link watchThread} that ends with -EINTR, after 1.1 s at most.
 */
export function wakeByEvent(fd: number): number {
  return addon().eventRing(fd);
}

/**
 * From now on no {@link wakeByEvent} and no {@link closeFd} of this thread blocks for ever: another one looks
 * after it. One thread of a process can be watched. Throws `NetError` EBUSY when another is, EAGAIN when there can be no such thread.
 */
export function watchThread(): void {
  check(addon().watchStart(), "pthread_create");
}

/** Undoes one {@link watchThread}, in the same thread. */
export function unwatchThread(): void {
  check(addon().watchStop(), "pthread_join");
}

/** Makes an event unreadable; whether it was signalled. */
export function drainEvent(fd: number): boolean {
  return check(addon().eventDrain(fd), "eventfd_read") === 1;
}

/**
 * Whether a descriptor that came from a peer is an event (eventfd(2)): writing to one that is full of
 * something else could block.
 */
export function isEvent(fd: number): boolean {
  return nameOf(fd) === "anon_inode:[eventfd]";
}

/** Whether a descriptor that came from a peer is a process (pidfd_open(2)): readable once that has ended. */
export function isProcess(fd: number): boolean {
  const name = nameOf(fd); // a file system of its own since Linux 6.9
  return name === "anon_inode:[pidfd]" || /^pidfd:\[\d+\]$/.test(name);
}

function nameOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}

/** How many descriptors this process may have (RLIMIT_NOFILE). */
export function mostFds(): number {
  const text = readFileSync("/proc/self/limits", "utf8");
  return Number(/^Max open files\s+(\d+)/m.exec(text)?.[1] ?? Number.POSITIVE_INFINITY);
}

/** A non-blocking pipe; the caller closes both ends. */
export function createPipe(): { readFd: number; writeFd: number } {
  const out = new Int32Array(2);
  check(addon().pipeCreate(out), "pipe2");
  return { readFd: out[0]!, writeFd: out[1]! };
}

/**
 * Locks a file, made if need be, until the descriptor is closed or the process ends. A negative error
 * number: -EAGAIN when another process has it.
 */
export function lockFile(path: string): number {
  return addon().fdLock(path);
}

/**
 * A descriptor that is readable while Node's event loop has something to do, such as a signal, for who
 * keeps the thread and lets the loop run only then. What was asked of the loop counts once it has run.
 */
export function eventLoopFd(): number {
  return check(addon().loopFd(), "uv_backend_fd");
}

/**
 * Blocks this thread until one of the first `n` descriptors is readable; how many are. 0 after
 * `timeoutUs` (below 0: never) or when a signal came. Nothing else runs meanwhile, signal handlers
 * of JavaScript included: it is for hosts that block on purpose.
 */
export function pollFds(fds: Int32Array, n: number, timeoutUs: number): number {
  const ready = addon().pollFds(fds, n, timeoutUs);
  return ready === -EINTR ? 0 : check(ready, "ppoll");
}
