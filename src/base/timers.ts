/**
 * The event loop's timers and ticks as they are when a program starts: tests of programs replace the global
 * ones by those of a clock that stands still, and what arrives must arrive all the same. Node's own
 * modules keep theirs in the same way.
 *
 * Whoever uses them takes them from here, and whoever loads late what uses them imports this early
 * (`node/register.ts`): they are those of the moment at which this file was loaded.
 */
export const { clearImmediate, clearTimeout, setImmediate, setTimeout } = globalThis;
export const { nextTick } = process;

/** Milliseconds since the process started, with a fraction. */
export const nowMs: () => number = performance.now.bind(performance);
