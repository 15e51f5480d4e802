/**
 * Bits of the slots' `flags` column that TCP sets and reads. Those below 512 are `FrameFlags` of
 * ring/pool.ts, repeated because TCP does not import it (a test compares them).
 */
export const SegmentFlags = {
  CHECKSUM_PARTIAL: 2,
  GSO_TCP4: 4,
  GSO_TCP6: 8,
  GSO_ECN: 256,
  /** To the host: send the packet as ECN-capable, ECT(0) (RFC 3168 §6.1). */
  ECT: 1 << 16,
  /** Inside TCP: an out-of-order slot ends with FIN. */
  FIN: 1 << 17,
} as const;
