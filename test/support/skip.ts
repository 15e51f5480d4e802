/** Why a test cannot be run on this machine; where CI is set that is a failure. */

/**
 * What a test's `skip` is to be: the reason why it cannot be run, or false (`reason` null: nothing is missing).
 * Throws it with CI set in the environment: a check that is skipped there proves nothing.
 */
export function skipFor(reason: string | null): string | false {
  if (reason !== null && process.env.CI !== undefined)
    throw new Error(`${reason}; nothing is skipped where CI is set`);
  return reason ?? false;
}
