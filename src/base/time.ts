/**
 * Time inside the stack: microseconds of a monotonic clock as a safe integer (285 years), passed
 * in by the host, read once per turn. Nothing below `socket/` reads a clock.
 */

export const US_PER_MS = 1_000;
export const US_PER_S = 1_000_000;

/** A deadline that never comes. */
export const NEVER = Number.MAX_SAFE_INTEGER;

/** Reads a monotonic clock, in microseconds. Hosts pass one in; the simulator passes a virtual one. */
export type Clock = () => number;
