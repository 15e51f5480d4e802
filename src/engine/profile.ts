/** How the engine and programs wait: poll for a time, then sleep. */
import { SPIN_FOR_EVER, SPIN_NOT_GIVEN } from "../ring/engine-layout.js";
import type { Profile } from "./config.js";

/**
 * Microseconds of polling without work before sleeping. `balanced`: about twice what falling asleep
 * and being woken costs, so that polling is never much worse than having slept.
 */
export const SPIN_US: Readonly<Record<Profile, number>> = {
  latency: SPIN_FOR_EVER,
  balanced: 100,
  idle: 0,
};

export const isProfile = (text: string): text is Profile => Object.hasOwn(SPIN_US, text);

/**
 * What a session polls: what it asks for itself, else its profile's, else the engine's. `spinUs` as
 * mr_hello has it.
 */
export function spinOf(
  profile: string,
  spinUs: number,
  own: Profile,
  ownSpinUs: number | null,
): number {
  if (spinUs !== SPIN_NOT_GIVEN) return spinUs;
  if (isProfile(profile)) return SPIN_US[profile];
  return ownSpinUs ?? SPIN_US[own];
}
