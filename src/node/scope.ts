/**
 * Calls of the user's code as Node makes them for I/O: in the handle's asynchronous context (so
 * that `AsyncLocalStorage` finds what it should), with ticks and microtasks run after each, so that
 * the order of events is Node's.
 *
 * An exception of the user's, or of a tick's, leaves by the way that it came, to the event loop, which
 * makes an uncaught one of it. Nothing here or below may catch it: Node's record of asynchronous
 * contexts is put in order there. Loops that it leaves go on later (`Host.tell`, `Runner.run`).
 */
import { AsyncResource } from "node:async_hooks";
import { runTicks } from "./natives.js";

/** Hot path. Runs `f` in the scope's context, then what it has put off. */
export function tell<A extends unknown[]>(
  scope: AsyncResource,
  f: (...args: A) => unknown,
  self: unknown,
  ...args: A
): void {
  scope.runInAsyncScope(f as (...args: unknown[]) => unknown, self, ...args);
  runTicks();
}

let isBare = false;

/**
 * Calls `f` where libuv has called, outside of Node's callback scopes. There, native code that is handed something
 * runs ticks after each callback of its own. Nobody else may run ticks there, or enter a context: Node ends the
 * process when a callback of native code ends within one.
 */
export function callBare(f: () => void): void {
  isBare = true;
  try {
    f();
  } finally {
    isBare = false;
  }
}

export const isCalledBare = (): boolean => isBare;

/** Makes an uncaught exception of what was thrown. */
let throwUncaught: ((error: unknown) => void) | null = null;

export function setThrowUncaught(f: (error: unknown) => void): void {
  throwUncaught = f;
}

/**
 * What native code has thrown goes on to the event loop; where libuv has called it is an uncaught exception at once,
 * as with the kernel's sockets: native code goes on then, in which contexts must be in order.
 */
export function throwOn(error: unknown): void {
  if (!isBare || throwUncaught === null) throw error;
  throwUncaught(error);
}

/** Runs ticks and microtasks, unless native code has done so by itself. */
export function runTicksUnlessBare(): void {
  if (!isBare) runTicks();
}

/** Made when the program starts: outside of everything that the program does. */
const root = new AsyncResource("MILLRACE");

/** Makes what no code of the user's has asked for, such as a connection that came: in no context. */
export function outside<T>(make: () => T): T {
  return root.runInAsyncScope(make);
}
