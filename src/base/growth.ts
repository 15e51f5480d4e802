/**
 * How tables of typed arrays grow: by an eighth. Doubling would leave up to half of a large table
 * unused, which counts when every connection has a row of it; an eighth copies each row eight times
 * on the way, at most.
 */
const LEAST = 16;

/** The capacity after `capacity`, and at least `needed`. */
export function grown(capacity: number, needed = 0): number {
  return Math.max(capacity + Math.max(capacity >> 3, LEAST), needed);
}
