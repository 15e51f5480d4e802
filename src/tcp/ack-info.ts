/**
 * What one acceptable ACK says, as TCP's receive path hands it to loss recovery. One object is
 * reused for every segment; nothing here outlives the call.
 */
import { type Seq, seqOf } from "./seq.js";

/** At most four SACK blocks fit into a header (RFC 2018 §3). */
export const MAX_SACK_BLOCKS = 4;

export class AckInfo {
  /** SEG.ACK. */
  ack: Seq = seqOf(0);
  /** Left and right edge of each SACK block, in the order of the option. */
  readonly sackBlocks: Int32Array = new Int32Array(2 * MAX_SACK_BLOCKS);
  sackCount = 0;
  /** The segment carries a usable timestamp option (RFC 7323). */
  hasTs = false;
  /**
   * TSecr less this connection's timestamp offset, so that it counts milliseconds of the clock that
   * `nowUs` reads (`nowUs / 1000`, as an int32): `tsVal = (offset + ms) | 0`, `tsEcrMs = (tsEcr - offset) | 0`.
   */
  tsEcrMs = 0;
  /** ECN-Echo is set and ECN was negotiated (RFC 3168 §6.1.2). */
  ece = false;
  /** The segment holds payload, SYN or FIN: it is not a duplicate ACK (RFC 5681 §2). */
  hasData = false;
  /** The segment changed SND.WND: it is not a duplicate ACK either. */
  windowChanged = false;
}
