/**
 * One timer a row: the earliest of the row's deadlines. It is armed lazily: a deadline that moves
 * later leaves the host's timer alone, which then fires early, finds nothing due and is armed anew.
 * So a segment costs no visit to the timing wheel as a rule.
 */
import { ETIMEDOUT } from "../base/errno.js";
import { NEVER } from "../base/time.js";
import { stateExpired } from "./close.js";
import type { TcpCore } from "./core.js";
import { delayIsOver } from "./delayed-ack.js";
import { keepaliveExpired } from "./keepalive.js";
import { persistExpired } from "./persist.js";
import { recoveryTimer, userTimeoutExpired } from "./retransmit.js";
import { endWithError } from "./rows.js";
import { sendReset } from "./segment-writer.js";
import { State } from "./state.js";
import { Pending, TcbFlags } from "./tcb.js";

/**
 * Hot path. Whether the selected row has a deadline before the host's timer. It compares the times
 * where they lie: as a result, or an argument, of a call that V8 does not inline a time is boxed.
 */
export function hasEarlierDeadline(t: TcpCore): boolean {
  const c = t.c;
  const armed = c.armedAtUs;
  return (
    c.delackAtUs < armed ||
    c.persistAtUs < armed ||
    c.stateAtUs < armed ||
    (c.has(TcbFlags.RECOVERING) && c.timerAtUs < armed)
  );
}

/** The selected row's next deadline, NEVER when there is none. */
function nextDeadlineUs(t: TcpCore): number {
  const c = t.c;
  let at = c.has(TcbFlags.RECOVERING) ? t.recovery.deadlineUs(c) : NEVER;
  const delack = c.delackAtUs;
  if (delack < at) at = delack;
  const persist = c.persistAtUs;
  if (persist < at) at = persist;
  const state = c.stateAtUs;
  return state < at ? state : at;
}

/** Hot path. Makes sure that the host's timer fires at the next deadline, or before. */
export function armTimer(t: TcpCore): void {
  const c = t.c;
  if (c.state === State.FREE || c.state === State.CLOSED) return;
  if (!hasEarlierDeadline(t)) return;
  const at = nextDeadlineUs(t);
  c.armedAtUs = at;
  t.host.armTimer(c.row, at);
}

/** Whether the row went out of use while a timer was handled. */
const isOver = (t: TcpCore): boolean => t.c.state === State.FREE || t.c.state === State.CLOSED;

/** The selected row's timer fired: handles all that is due. */
export function runTimers(t: TcpCore): void {
  const c = t.c;
  if (isOver(t)) return;
  c.armedAtUs = NEVER;
  const nowUs = t.nowUs;
  if (c.delackAtUs <= nowUs) delayIsOver(t);
  if (c.has(TcbFlags.RECOVERING) && t.recovery.deadlineUs(c) <= nowUs) recoveryTimer(t);
  if (!isOver(t) && c.persistAtUs <= nowUs) persistExpired(t);
  if (!isOver(t) && c.stateAtUs <= nowUs) onStateTimer(t);
  if (!isOver(t)) t.want(Pending.TIMER);
}

/** Who the state timer belongs to depends on the state. */
function onStateTimer(t: TcpCore): void {
  const c = t.c;
  c.stateAtUs = NEVER;
  const isPlain = c.state !== State.FIN_WAIT_2 && c.state !== State.TIME_WAIT;
  if (isPlain && userTimeoutExpired(t)) {
    t.counts[t.k.abortOnTimeout]! += 1;
    sendReset(t);
    endWithError(t, ETIMEDOUT);
    return;
  }
  if (isPlain || !c.has(TcbFlags.ORPHAN)) {
    if (c.state !== State.TIME_WAIT) {
      keepaliveExpired(t);
      return;
    }
  }
  stateExpired(t);
}
