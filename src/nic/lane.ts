/**
 * A way past slots and batches for short frames: whoever makes a frame writes it where the device sends
 * from, which for memif is where the peer reads it, and the peer sees it at once. One frame at a time; what
 * does not fit goes the usual way.
 */
export interface Lane {
  /**
   * Hot path. Where the next frame, of so many bytes, is to be written: an offset in the arena whose
   * Ethernet header ends on a multiple of 4; or -1 when it has to go the usual way. {@link sendPlaced}
   * must follow before anything else is sent.
   */
  place(lengthBytes: number): number;
  /**
   * Hot path. Sends the frame. Its transport checksum is unmade, as CHECKSUM_PARTIAL says: it begins to
   * cover `csumStart` bytes behind the frame's start, and its field is `csumOffset` further on.
   */
  sendPlaced(csumStart: number, csumOffset: number): void;
}
