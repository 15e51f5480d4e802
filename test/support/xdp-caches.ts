/**
 * Every kind of trace cache that `millrace xdp eval` offers: each policy, an entry a path or a trace, sizes in entries and
 * in bits of TCAM. What programs do must not depend on any of it.
 */
import { makePolicy, POLICY_NAMES, type PolicyName } from "../../src/xdp/cache-policies.js";
import type { CacheCapacity, CacheUnit } from "../../src/xdp/cache-policy.js";
import type { TracingOptions } from "../../src/xdp/traced-program.js";

export interface CacheKind {
  readonly name: string;
  readonly policy: PolicyName;
  readonly unit: CacheUnit;
  readonly capacity: CacheCapacity;
}

const UNITS: readonly CacheUnit[] = ["merged", "path"];
const ENTRIES = [1, 2, 4, 8, 16, 32, 64, 128];
const TCAM_BITS = [1_024, 4_096, 16_384, 65_536, 262_144];
/** New traces wait for so many packets until they are compiled, in turn. */
const PATIENCE = [16, 0, 3];
/** Of policies that remember more than what is in, where only bits are limited. */
const REMEMBERED = 16;

export const CACHE_KINDS: readonly CacheKind[] = UNITS.flatMap((unit) =>
  [
    ...ENTRIES.map((entries) => ({ entries })),
    ...TCAM_BITS.map((tcamBits) => ({ tcamBits })),
    { entries: 8, tcamBits: 4_096 },
  ].flatMap((capacity) =>
    POLICY_NAMES.map((policy) => ({
      name: `${policy} of ${Object.entries(capacity).flat().join(" ")}, ${unit}`,
      policy,
      unit,
      capacity,
    })),
  ),
);

/**
 * Options of a traced program whose cache is of a kind, the `n`-th of those that are open. Belady's policy is
 * told `future`, the entries that packets to come will use; told wrong it chooses badly.
 */
export function cacheOptions(
  { policy, unit, capacity }: CacheKind,
  n: number,
  future: ArrayLike<number> = [],
): TracingOptions {
  return {
    unit,
    capacity,
    policy: makePolicy(policy, capacity.entries ?? REMEMBERED, future),
    compilesAfter: PATIENCE[n % PATIENCE.length]!,
  };
}
