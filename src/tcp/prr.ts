/**
 * Proportional rate reduction, RFC 9937: while the window is being reduced, each ACK says how much
 * may be sent, so that it ends at ssthresh without a pause and without a burst.
 */
import type { Delivery } from "./delivery.js";
import type { RecoveryRow } from "./recovery-row.js";

// @rfc 9937 §6.2 yes
/** RFC 9937 §6.1: a reduction begins with `flightBytes` in the network (RecoverFS). */
export function startPrr(c: RecoveryRow, flightBytes: number): void {
  c.recoverFlightBytes = Math.max(flightBytes, c.sndMss);
  c.prrDeliveredBytes = 0;
  c.prrOutBytes = 0;
}

/** RFC 9937 §6.2: sets cwnd to what is in the network plus SndCnt. */
export function prrOnAck(c: RecoveryRow, d: Delivery, pipeBytes: number, isSafeAck: boolean): void {
  if (d.deliveredBytes === 0 && c.prrOutBytes > 0) return;
  c.prrDeliveredBytes = c.prrDeliveredBytes + d.deliveredBytes;
  const delivered = c.prrDeliveredBytes;
  const out = c.prrOutBytes;
  let count: number;
  if (pipeBytes > c.ssthresh) {
    count = Math.ceil((delivered * c.ssthresh) / c.recoverFlightBytes) - out;
  } else {
    count = Math.max(delivered - out, d.deliveredBytes);
    if (isSafeAck) count += c.sndMss;
    count = Math.min(c.ssthresh - pipeBytes, count);
  }
  if (out === 0) count = Math.max(count, c.sndMss); // the fast retransmission always goes
  c.cwnd = Math.max(c.sndMss, pipeBytes + Math.max(0, count)); // never nothing at all
}
