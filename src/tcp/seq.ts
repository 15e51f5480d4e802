/**
 * A position in TCP sequence space (RFC 9293 §3.4), kept as an int32. Never compare with `<`.
 */
export type Seq = number & { readonly __seq: unique symbol };

/** Hot path. The position `bytes` after `a`; negative goes back. */
export const advance = (a: Seq, bytes: number): Seq => ((a + bytes) | 0) as Seq;

/** Hot path. Signed distance from `b` to `a`: positive when `a` is later. */
export const diff = (a: Seq, b: Seq): number => (a - b) | 0;

/** Hot path. `a` comes before `b`. */
export const before = (a: Seq, b: Seq): boolean => ((a - b) | 0) < 0;

/** Hot path. `a` comes after `b`. */
export const after = (a: Seq, b: Seq): boolean => ((a - b) | 0) > 0;

/** Hot path. `a` is `b` or comes before it. */
export const notAfter = (a: Seq, b: Seq): boolean => ((a - b) | 0) <= 0;

/** Hot path. The later of two positions. */
export const later = (a: Seq, b: Seq): Seq => (((a - b) | 0) > 0 ? a : b);

/** Reads an int32 from the wire, or any number, as a position. */
export const seqOf = (value: number): Seq => (value | 0) as Seq;
