/** What a socket is ready for; the values are poll(2)'s, so that a shim passes them on unchanged. */
export const Readiness = {
  /** Data, end of data or a connection to accept. */
  IN: 0x0001,
  /** Urgent data. */
  PRI: 0x0002,
  /** Room to write. */
  OUT: 0x0004,
  /** A pending error. */
  ERR: 0x0008,
  /** Both directions are over. */
  HUP: 0x0010,
  /** The peer sends no more. */
  RDHUP: 0x2000,
} as const;
