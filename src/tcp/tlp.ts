/**
 * Tail loss probes, RFC 8985 §7: when no ACK came for two round trips, one segment is sent (again),
 * so that its ACK shows losses at the end of a burst long before the RTO would.
 */
import type { AckInfo } from "./ack-info.js";
import type { Delivery } from "./delivery.js";
import type { RecoveryRow } from "./recovery-row.js";
import { RecoveryFlags, RecoveryState } from "./recovery-state.js";
import { endReduction, enterReduction } from "./reduction.js";
import type { SentQueue } from "./sent-queue.js";
import { after, before, type Seq } from "./seq.js";

// @rfc 8985 §7.2 deviates
// @rfc 8985 §7.3 yes
// @rfc 8985 §7.4.2 yes
/** A probe's range went out: TLP.end_seq and TLP.is_retrans (RFC 8985 §7.3). */
export function probeSent(c: RecoveryRow, isRetransmission: boolean, end: Seq): void {
  const { TLP, TLP_RETRANS, TLP_PENDING } = RecoveryFlags;
  const flags = c.recoveryFlags & ~(TLP_PENDING | TLP_RETRANS);
  c.recoveryFlags = flags | TLP | (isRetransmission ? TLP_RETRANS : 0);
  c.tlpEndSeq = end;
}

/** TLP_process_ack, RFC 8985 §7.4.2. True when the window is reduced because the probe repaired a loss. */
export function probeOnAck(q: SentQueue, c: RecoveryRow, d: Delivery, ack: AckInfo): boolean {
  const { TLP, TLP_RETRANS } = RecoveryFlags;
  const flags = c.recoveryFlags;
  if ((flags & TLP) === 0 || before(ack.ack, c.tlpEndSeq)) return false;
  if ((flags & TLP_RETRANS) === 0 || d.dsackBytes > 0) {
    c.recoveryFlags = flags & ~TLP; // new data arrived, or both copies did
    return false;
  }
  if (after(ack.ack, c.tlpEndSeq)) {
    // More than the probe was acknowledged and no DSACK came: the original was lost.
    c.recoveryFlags = flags & ~TLP;
    if (c.recoveryState >= RecoveryState.CWR) return false;
    enterReduction(q, c, ack.ack, RecoveryState.CWR, d.deliveredBytes);
    endReduction(c);
    c.recoveryState = RecoveryState.OPEN;
    return true;
  }
  // A duplicate ACK without SACK at TLP.end_seq: the original had arrived before.
  const isDuplicate =
    d.ackedBytes === 0 && ack.sackCount === 0 && !ack.hasData && !ack.windowChanged;
  if (isDuplicate) c.recoveryFlags = flags & ~TLP;
  return false;
}
