/**
 * Calls of the user's code as Node makes them for I/O: in the handle's asynchronous context (so
 * that `AsyncLocalStorage` finds what it should), with ticks and microtasks run after each, so that
 * the order of events is Node's.
 */
import type { AsyncResource } from "node:async_hooks";
import { runTicks } from "./natives.js";

/**
 * An exception of the user's is an uncaught one, as in Node, but must not end the loop that told of
 * the event: programs may survive it.
 */
function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

/** Hot path. Runs `f` in the scope's context, then what it has put off. */
export function tell<A extends unknown[]>(
  scope: AsyncResource,
  f: (...args: A) => unknown,
  self: unknown,
  ...args: A
): void {
  try {
    scope.runInAsyncScope(f as (...args: unknown[]) => unknown, self, ...args);
  } catch (error) {
    throwLater(error);
  }
  settle();
}

/** Hot path. Runs ticks and microtasks, for those who called the user by native code. */
export function settle(): void {
  try {
    runTicks();
  } catch (error) {
    throwLater(error);
  }
}

/** As {@link tell} for native code that enters the context by itself. */
export function attempt(call: () => void): void {
  try {
    call();
  } catch (error) {
    throwLater(error);
  }
  settle();
}
