/** Flags of `Tcp.send` and `Tcp.receive`; the values are Linux's MSG_ constants. */
export const TransferFlags = {
  /** The urgent byte: send the last byte as urgent, or read the urgent byte. */
  OOB: 0x1,
  /** Leave what is read in the queue. */
  PEEK: 0x2,
  /** Drop what is read; the buffer is not written. */
  TRUNC: 0x20,
  /** More will follow at once: hold back a partial segment. */
  MORE: 0x8000,
} as const;

/** `how` of `Tcp.shutdown`: Linux's SHUT_ constants. */
export const Shutdown = { READ: 0, WRITE: 1, BOTH: 2 } as const;
