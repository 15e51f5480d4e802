/**
 * Makes new inputs out of old ones: a few random changes, of the kinds that break parsers
 * (lengths that lie, cut ends, repeated pieces, values at limits). Seeded, so a run can be repeated.
 */
import type { Random } from "../src/base/random.js";

const LIMITS = [0, 1, 2, 3, 4, 7, 8, 15, 16, 20, 32, 40, 63, 64, 127, 128, 192, 254, 255];

/** A mutated copy of `seed`, at most `maxBytes` long; `other` is a donor of pieces. */
export function mutate(
  seed: Uint8Array,
  other: Uint8Array,
  maxBytes: number,
  random: Random,
): Uint8Array {
  let b: Uint8Array = seed.slice();
  const changes = 1 + random.below(4);
  for (let i = 0; i < changes; i++) b = change(b, other, random);
  return b.length > maxBytes ? b.slice(0, maxBytes) : b;
}

function change(b: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  const at = random.below(Math.max(1, b.length));
  const n = 1 + random.below(16);
  switch (random.below(9)) {
    case 0:
      return withByte(b, at, (b[at] ?? 0) ^ (1 << random.below(8)));
    case 1:
      return withByte(b, at, random.below(256));
    case 2:
      return withByte(b, at, LIMITS[random.below(LIMITS.length)]!);
    case 3:
      return withByte(b, at, (b[at] ?? 0) + random.below(9) - 4);
    case 4: // a 16-bit value
      return withByte(withByte(b, at, random.below(3) * 127), at + 1, random.below(256));
    case 5: // cut the end
      return b.slice(0, at);
    case 6: // take a piece out
      return join(b.subarray(0, at), b.subarray(at + n));
    case 7: // repeat a piece
      return join(b.subarray(0, at), b.subarray(at, at + n), b.subarray(at));
    default: {
      const from = random.below(Math.max(1, other.length));
      return join(b.subarray(0, at), other.subarray(from, from + 4 * n), b.subarray(at));
    }
  }
}

function withByte(b: Uint8Array, at: number, value: number): Uint8Array {
  if (at < b.length) b[at] = value;
  return b;
}

function join(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}
