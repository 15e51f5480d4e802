/**
 * The seed of random tests, and fast-check with it. A run of the tests tries the same cases each time,
 * so that it judges the change and not the day. `MILLRACE_SEED=random` tries others and
 * `MILLRACE_SEED=7` those of one seed; `MILLRACE_RUNS=20` tries twenty times as many:
 *
 * ```sh
 * MILLRACE_SEED=random MILLRACE_RUNS=20 npm test -- src
 * ```
 */
import * as fastCheck from "fast-check";

export * from "fast-check";

const asked = process.env.MILLRACE_SEED ?? "1";
/** 32 bits, signed. */
export const seed = asked === "random" ? (Math.random() * 2 ** 32) | 0 : Number(asked) | 0;

const factor = Number(process.env.MILLRACE_RUNS ?? "1");

/** `fc.assert` with this run's seed and as many cases as it asks for. */
export function assert<Ts>(
  property: fastCheck.IProperty<Ts> | fastCheck.IAsyncProperty<Ts>,
  parameters: fastCheck.Parameters<Ts> = {},
): void {
  const numRuns = Math.ceil((parameters.numRuns ?? 100) * factor);
  fastCheck.assert(property as fastCheck.IProperty<Ts>, { seed, ...parameters, numRuns });
}
