/**
 * Broken invariants stop the run: they are our bugs, never the network's or the caller's.
 *
 * `CHECKED` is on in tests and fuzzing (`MILLRACE_CHECKED=1`) and off otherwise, so that an
 * expensive check on the data path is written `if (CHECKED) assert(...)` and costs nothing there.
 */

export const CHECKED: boolean = process.env.MILLRACE_CHECKED === "1";

export function assert(condition: boolean, claim: string): asserts condition {
  if (!condition) throw new Error(`millrace: broken invariant: ${claim}`);
}
