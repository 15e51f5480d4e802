/** How the engine and programs wait: poll for a time, then sleep. */
import { SPIN_FOR_EVER, SPIN_NOT_GIVEN } from "../ring/engine-layout.js";

export const PROFILES = ["latency", "balanced", "idle"] as const;
export type Profile = (typeof PROFILES)[number];

/**
 * Microseconds of polling without work before sleeping. `balanced`: about twice what falling asleep
 * and being woken costs, so that polling is never much worse than having slept.
 */
export const SPIN_US: Readonly<Record<Profile, number>> = {
  latency: SPIN_FOR_EVER,
  balanced: 100,
  idle: 0,
};

export const isProfile = (text: string): text is Profile =>
  (PROFILES as readonly string[]).includes(text);

/** What a session asks for, or the engine's own: `spinUs` as mr_hello has it. */
export function spinOf(profile: string, spinUs: number, own: Profile): number {
  if (spinUs !== SPIN_NOT_GIVEN) return spinUs;
  return SPIN_US[isProfile(profile) ? profile : own];
}
