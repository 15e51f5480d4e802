/**
 * The one timer of loss recovery: RTO (RFC 6298 §5), tail loss probe (RFC 8985 §7.2) or reordering
 * timer (RFC 8985 §6.2), of which one at a time is set.
 *
 * Deviation: RFC 8985 §7.2 waits 2·SRTT for a probe; as Linux does, 2 ms are added for the peer's
 * batching, and 200 ms when a single segment is in flight, whose ACK may be delayed.
 * Deviation: RFC 8985 §7.2 probes outside of recovery only. In recovery, when retransmissions and
 * everything behind them are lost, the first segment is probed for as well, once, as QUIC's PTO does
 * (RFC 9002 §6.2): with a window of a few segments that happens often, and an RTO costs a thousand
 * round trips of a short path.
 */
import { NEVER } from "../base/time.js";
import type { RecoveryRow } from "./recovery-row.js";
import { RecoveryFlags, RecoveryState, TimerKind } from "./recovery-state.js";
import { backedOffRtoUs, INITIAL_RTO_US } from "./rtt.js";
import type { SentQueue } from "./sent-queue.js";
import { NO_RECORD } from "./sent-records.js";

export const MAX_DELAYED_ACK_US = 200_000;
const PROBE_MARGIN_US = 2_000;

export function clearTimer(c: RecoveryRow): void {
  c.timerKind = TimerKind.NONE;
  c.timerAtUs = NEVER;
}

/** Hot path. RTO from now (RFC 6298 §5.1, §5.3), or no timer when nothing is in flight (§5.2). */
export function restartRto(c: RecoveryRow, nowUs: number): void {
  if (c.headRecord === NO_RECORD) {
    clearTimer(c);
    return;
  }
  c.timerKind = TimerKind.RTO;
  c.timerAtUs = nowUs + backedOffRtoUs(c);
}

/** RTO counted from the transmission of the oldest record: after a timer of another kind. */
export function resumeRto(q: SentQueue, c: RecoveryRow, nowUs: number): void {
  restartRto(c, nowUs);
  if (c.timerKind === TimerKind.NONE) return;
  const dueUs = q.xmitUsOf(c.headRecord) + backedOffRtoUs(c);
  c.timerAtUs = dueUs > nowUs ? dueUs : nowUs + 1;
}

/** Hot path. The timer after progress: a tail loss probe when one may be sent, else RTO. */
export function restartTimer(q: SentQueue, c: RecoveryRow, nowUs: number): void {
  if (c.headRecord !== NO_RECORD && mayProbe(c)) scheduleProbe(q, c, nowUs);
  else restartRto(c, nowUs);
}

/** RFC 8985 §7.2: SACK peer, no probe under way; in recovery, or nothing is SACKed. */
export function mayProbe(c: RecoveryRow): boolean {
  const { SACK, ESTABLISHED, TLP } = RecoveryFlags;
  if ((c.recoveryFlags & (SACK | ESTABLISHED | TLP)) !== (SACK | ESTABLISHED)) return false;
  const state = c.recoveryState;
  if (state === RecoveryState.RECOVERY) return true;
  return (state === RecoveryState.OPEN || state === RecoveryState.CWR) && c.sackedBytes === 0;
}

function scheduleProbe(q: SentQueue, c: RecoveryRow, nowUs: number): void {
  const isSingle = q.outstandingBytes(c) <= c.sndMss;
  const waitUs =
    c.srtt16 === 0
      ? INITIAL_RTO_US
      : 2 * c.srttUs + (isSingle ? MAX_DELAYED_ACK_US : PROBE_MARGIN_US);
  const rtoAtUs = q.xmitUsOf(c.headRecord) + backedOffRtoUs(c);
  const dueUs = nowUs + waitUs;
  c.timerKind = TimerKind.PROBE;
  c.timerAtUs = rtoAtUs > nowUs && rtoAtUs < dueUs ? rtoAtUs : dueUs;
}

/** The reordering timer, RFC 8985 §6.2 step 5. */
export function setReorderTimer(c: RecoveryRow, nowUs: number, waitUs: number): void {
  c.timerKind = TimerKind.REORDER;
  c.timerAtUs = nowUs + Math.ceil(waitUs) + 1;
}
