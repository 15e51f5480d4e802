/**
 * Path conditions: what must hold of the initial state for a packet to take a trace. A condition is a list
 * of atoms, all of which hold; each is one test on one subject, in the canonical form that a table in
 * hardware would have: an interval or a masked value of a field, or a test that has to be computed.
 *
 * Atoms of one subject are merged (34 <= length, not 14 <= length and 34 <= length), implied ones dropped.
 */

/** What an atom looks at. */
export type AtomKind =
  /** The packet's length. */
  | "length"
  /** Bytes of the packet at a constant offset: a match-action table can do it. */
  | "packet"
  /** A word of the context. */
  | "context"
  /** Whether a map has a key. */
  | "lookup"
  /** Bytes of a map's value; also how full a map is, and versions of maps (epochs). */
  | "map value"
  /** Time or CPU, or what a call gave before anything was changed. */
  | "input"
  /** A comparison that has to be computed: of sums, of symbolic offsets, of two fields. */
  | "computed";

/**
 * least <= (subject & mask) <= most when `isInside`, else the opposite; unsigned. A comparison is its own
 * subject: the interval is then [1, 1] (it holds) or [0, 0].
 */
export interface Atom {
  readonly kind: AtomKind;
  /** Node of the value that is looked at, not masked. For "packet" a LOAD whose offset is constant. */
  readonly subject: number;
  /** For "packet": the field is read most significant byte first; the interval and the mask are of that number. */
  readonly isBigEndian: boolean;
  readonly mask: bigint;
  readonly least: bigint;
  readonly most: bigint;
  readonly isInside: boolean;
  /** Instruction words of the branches that made it. */
  readonly words: readonly number[];
}

export interface Condition {
  readonly atoms: readonly Atom[];
}

/** How large a condition is for a ternary table (TCAM), see `tcam.ts`. */
export interface TcamSize {
  /** Bits of one entry: 8 for each byte of packet, context or length that is looked at, 1 for each computed test. */
  readonly keyBits: number;
  /** Entries, as intervals and inequalities take several. */
  readonly entries: number;
  /** keyBits × entries. */
  readonly bits: number;
  /** Every atom is a masked value or interval of length, context or packet bytes at constant offsets. */
  readonly isTernary: boolean;
}
