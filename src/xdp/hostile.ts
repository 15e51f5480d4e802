/**
 * Hostile traffic from a seed: packets as they were captured, with their headers changed here and there, so
 * that they take the paths that nobody meant to be taken.
 */
import type { Random } from "../base/random.js";

/** What is changed lies in here: Ethernet, tags, IP with options or IPv6, the transport's header. */
const HEADER_BYTES = 60;
/** Numbers that programs ask for: types of Ethernet, versions, protocols, edges. */
const TELLING = [
  0x00, 0x01, 0x06, 0x08, 0x11, 0x2c, 0x3a, 0x40, 0x45, 0x46, 0x4f, 0x60, 0x7f, 0x80, 0x81, 0x86,
  0x88, 0xa8, 0xdd, 0xfe, 0xff,
] as const;
const SHORTEST_BYTES = 14;
const CUT_CHANCE = 0.05;

/** A copy with `edits` bytes of its headers changed; one in twenty is also cut short. */
export function mutatePacket(packet: Uint8Array, edits: number, random: Random): Uint8Array {
  const changed = packet.slice();
  const end = Math.min(HEADER_BYTES, changed.length);
  for (let n = 0; n < edits && end > 0; n++) {
    const at = random.below(end);
    changed[at] = random.chance(0.5) ? TELLING[random.below(TELLING.length)]! : random.below(256);
  }
  if (changed.length <= SHORTEST_BYTES || !random.chance(CUT_CHANCE)) return changed;
  return changed.slice(0, SHORTEST_BYTES + random.below(changed.length - SHORTEST_BYTES));
}

/**
 * A sequence of one path after the other, round and round: the worst that can be done to a cache smaller
 * than it. `paths` are the attacker's packets, one a path, as one who knows the program would choose them.
 */
export function cyclicAttack(paths: readonly Uint8Array[], count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, n) => paths[n % paths.length]!);
}
