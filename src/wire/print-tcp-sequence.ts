/**
 * Where TCP connections' sequence numbers start, so that a printer can count from there.
 *
 * A connection is known from the first segment with an acknowledgement number on; that segment is
 * still printed as it is. A later SYN with ACK starts the connection anew.
 */

/** Connections remembered; the one unseen for longest is forgotten first. */
const MAX_CONNECTIONS = 65_536;

interface Origins {
  /** Sequence number of the lower endpoint's SYN, and of the higher one's. */
  lower: number;
  higher: number;
}

export class SequenceBook {
  /** Results of {@link look}: int32 origins of the two number spaces; 0 when not known. */
  seqOriginOut = 0;
  ackOriginOut = 0;
  private readonly connections = new Map<string, Origins>();

  /** Looks up, or starts, the connection of a segment that has an acknowledgement number. */
  look(src: string, dst: string, seq: number, ack: number, isSyn: boolean): void {
    const isLower = src < dst;
    const key = isLower ? `${src} ${dst}` : `${dst} ${src}`;
    const known = isSyn ? undefined : this.connections.get(key);
    this.connections.delete(key);
    if (known === undefined) {
      const before = (ack - 1) | 0;
      this.remember(key, isLower ? { lower: seq, higher: before } : { lower: before, higher: seq });
      this.seqOriginOut = 0;
      this.ackOriginOut = 0;
      return;
    }
    this.remember(key, known);
    this.seqOriginOut = isLower ? known.lower : known.higher;
    this.ackOriginOut = isLower ? known.higher : known.lower;
  }

  private remember(key: string, origins: Origins): void {
    if (this.connections.size >= MAX_CONNECTIONS) {
      for (const oldest of this.connections.keys()) {
        this.connections.delete(oldest);
        break;
      }
    }
    this.connections.set(key, origins);
  }
}
