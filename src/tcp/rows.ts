/**
 * Life of a row: created CLOSED, bound to a 4-tuple, ended, released.
 *
 * | from      | by                              | to        | what is gone                         |
 * |-----------|---------------------------------|-----------|--------------------------------------|
 * | free      | `createRow`                     | in use    |                                      |
 * | in use    | `endConnection` (RST, timeout…) | CLOSED    | tuple, send queue, recovery, timer   |
 * | CLOSED    | `releaseRow`, by the owner      | free      | all; `host.released` is told         |
 *
 * Forbidden: releasing a row that a socket still holds (its user must see the error first), and
 * ending a row without `endConnection` (slots, records or the tuple would leak).
 */
import { grown } from "../base/growth.js";
import { NEVER } from "../base/time.js";
import type { TcpCore } from "./core.js";
import { unlinkFromListener } from "./listener-queues.js";
import { dropReassembly } from "./reassembly.js";
import { dropReceiveQueue } from "./receive-queue.js";
import { dropSendQueue } from "./send-queue.js";
import { State } from "./state.js";
import { Pending, TcbFlags, TcbOptions } from "./tcb.js";
import { ROW_INT32S } from "./tcb-row.js";

/** A row may still be on the output pass's list from its life before. */
const LISTINGS = Pending.LISTED | Pending.LISTED_AGAIN;

/** A fresh row in CLOSED, selected in `t.c`; -1 when the table is full. */
export function createRow(t: TcpCore): number {
  if (t.freeRow < 0) {
    if (t.rows === t.capacityRows) return -1;
    t.grow(Math.min(t.capacityRows, grown(t.rows)));
  }
  const row = t.freeRow;
  const c = t.c.select(row);
  t.freeRow = c.listNext;
  t.usedRows++;
  const listed = c.pending & LISTINGS;
  c.i.fill(0, c.at, c.at + ROW_INT32S);
  c.pending = listed;
  c.state = State.CLOSED;
  resetLists(t);
  const s = t.settings;
  c.armedAtUs = NEVER;
  c.delackAtUs = NEVER;
  c.persistAtUs = NEVER;
  c.stateAtUs = NEVER;
  c.rcvBufBytes = s.rmemDefaultBytes;
  c.sndBufBytes = s.wmemDefaultBytes;
  c.keepTimes = s.keepaliveTimeSeconds | (s.keepaliveIntervalSeconds << 16);
  c.keepCounts = s.keepaliveProbes | (s.synRetries << 8);
  c.notsentLowatBytes = s.notsentLowatBytes;
  c.rcvLowatBytes = 1;
  c.lingerSeconds = -1;
  c.options = s.ecn << TcbOptions.ECN_MODE_SHIFT;
  return row;
}

/** The selected row holds nothing. */
export function resetLists(t: TcpCore): void {
  const c = t.c;
  c.rcvQueuedBytes = 0;
  c.listener = -1;
  c.rcvHead = -1;
  c.rcvTail = -1;
  c.sndHead = -1;
  c.sndTail = -1;
  c.sndCursor = -1;
  c.rtxCursor = -1;
  c.oooHead = -1;
  c.oooTail = -1;
  c.oobByte = -1;
  c.listNext = -1;
  c.listPrev = -1;
}

/**
 * Takes the selected connection out of the protocol: nothing is sent any more, what was received
 * stays readable. A row without an owner is released.
 */
export function endConnection(t: TcpCore): void {
  const c = t.c;
  stopSending(t);
  dropReassembly(t);
  unbind(t);
  c.state = State.CLOSED;
  c.flags |= TcbFlags.DEAD;
  c.stateAtUs = NEVER;
  c.delackAtUs = NEVER;
  if (c.armedAtUs !== NEVER) t.host.disarmTimer(c.row);
  c.armedAtUs = NEVER;
  uncount(t);
  c.pending &= LISTINGS;
  const inSynQueue =
    (c.flags & (TcbFlags.UNACCEPTED | TcbFlags.ACCEPTABLE)) === TcbFlags.UNACCEPTED;
  if (c.has(TcbFlags.ORPHAN) || inSynQueue) releaseRow(t);
  else if (!c.has(TcbFlags.UNACCEPTED)) t.host.changed(c);
}

/** Ends the selected connection with a pending error (positive errno) for its user. */
export function endWithError(t: TcpCore, errno: number): void {
  t.c.error = errno;
  endConnection(t);
}

/** Frees what only a connection that still sends needs. */
export function stopSending(t: TcpCore): void {
  const c = t.c;
  if (c.has(TcbFlags.RECOVERING)) t.recovery.release(c);
  c.flags &= ~TcbFlags.RECOVERING;
  dropSendQueue(t);
  c.persistAtUs = NEVER;
}

/** Makes the selected row's 4-tuple free. */
export function unbind(t: TcpCore): void {
  const c = t.c;
  if (!c.has(TcbFlags.BOUND)) return;
  t.host.unbindFlow(c);
  c.flags &= ~TcbFlags.BOUND;
}

/** Frees the selected row. Precondition: CLOSED by `endConnection`, or never opened. */
export function releaseRow(t: TcpCore): void {
  const c = t.c;
  const row = c.row;
  unlinkFromListener(t);
  dropReceiveQueue(t);
  uncount(t);
  c.releaseLoss();
  c.state = State.FREE;
  c.flags = 0;
  c.socket = 0;
  c.pending &= LISTINGS;
  c.listNext = t.freeRow;
  t.freeRow = row;
  t.usedRows--;
  t.host.released(row);
}

/** Takes the row out of the numbers of orphans and TIME-WAITs. */
export function uncount(t: TcpCore): void {
  const c = t.c;
  if (c.has(TcbFlags.COUNTED_ORPHAN)) t.orphans--;
  if (c.has(TcbFlags.COUNTED_TIME_WAIT)) t.timeWaits--;
  c.flags &= ~(TcbFlags.COUNTED_ORPHAN | TcbFlags.COUNTED_TIME_WAIT);
}
