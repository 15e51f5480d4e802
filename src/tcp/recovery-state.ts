/** The numbers of loss recovery that lie in a row (recovery-row.ts). */

/** Congestion state, as Linux names them (tcpi_ca_state). */
export const RecoveryState = {
  /** All is well. */
  OPEN: 0,
  /** SACKs, duplicate ACKs or a spurious reduction are around, cwnd is whole. */
  DISORDER: 1,
  /** The window is being reduced in answer to ECN (or a repaired tail loss). */
  CWR: 2,
  /** Fast recovery. */
  RECOVERY: 3,
  /** Recovery after a retransmission timeout. */
  LOSS: 4,
} as const;

/** Bits of `recoveryFlags`. */
export const RecoveryFlags = {
  SACK: 1,
  TIMESTAMPS: 2,
  ECN: 4,
  /** `tlpEndSeq` is set: a tail loss probe is under way. */
  TLP: 8,
  /** That probe was a retransmission. */
  TLP_RETRANS: 16,
  /** The next segment sent is the probe. */
  TLP_PENDING: 32,
  /** `dsackRoundSeq` is set. */
  DSACK_ROUND: 64,
  /** RACK.reordering_seen. */
  REORDERED: 128,
  /** `undoMarker` is set. */
  UNDO: 256,
  /** F-RTO watches whether the timeout was spurious (RFC 5682). */
  FRTO: 512,
  /** F-RTO step 2b: new data go before retransmissions. */
  FRTO_NEW: 1024,
  /** cwnd was filled in the current window of usage. */
  CWND_LIMITED: 2048,
  /** `rackXmitUs` and `rackEndSeq` are set. */
  RACK: 4096,
  /** `fackSeq` is set. */
  FACK: 8192,
  /** `established` was called. */
  ESTABLISHED: 16384,
  /** The SYN timed out: the initial window is one segment (RFC 5681 §3.1). */
  SYN_LOST: 32768,
  /** `retransStampMs` is set. */
  RETRANS_STAMP: 65536,
} as const;

/** What `timerAtUs` stands for. */
export const TimerKind = { NONE: 0, RTO: 1, PROBE: 2, REORDER: 3 } as const;
