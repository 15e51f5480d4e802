/** Readiness of a row as poll(2) shows a Linux TCP socket. */
import { NEVER } from "../base/time.js";
import type { TcpCore } from "./core.js";
import { maySendSlot, Pressure } from "./memory.js";
import { Readiness } from "./readiness.js";
import { diff } from "./seq.js";
import { State } from "./state.js";
import { Pending, TcbFlags } from "./tcb.js";
import { readableBytes } from "./urgent.js";

/** Hot path. Whether `send` would take bytes, and enough room is there to make it worth while. */
export function isWritable(t: TcpCore): boolean {
  const c = t.c;
  const queued = c.sndQueuedBytes;
  const lowat = c.notsentLowatBytes;
  if (lowat > 0 && queued - diff(c.sndNxt, c.sndUna) >= lowat) return false;
  if (t.pressure !== Pressure.NONE && !maySendSlot(t)) return false;
  // Linux wakes writers when a third of the buffer is free.
  return queued + (c.sndBufBytes >> 2) < c.sndBufBytes;
}

/** How soon a writer without anything in flight, which no ACK will wake, is looked at again. */
const RETRY_US = 10_000;

/** There is no room to write: the user must hear when there is. */
export function waitForRoom(t: TcpCore): void {
  const c = t.c;
  c.flags |= TcbFlags.SND_FULL;
  if (c.sndQueuedBytes > 0 || c.persistAtUs !== NEVER) return;
  c.persistAtUs = t.nowUs + RETRY_US;
  t.want(Pending.TIMER);
}

/** Hot path. The user waits for room: tells when there is. */
export function tellWriter(t: TcpCore): void {
  const c = t.c;
  if (!isWritable(t)) {
    waitForRoom(t);
    return;
  }
  c.flags &= ~TcbFlags.SND_FULL;
  t.host.changed(c);
}

/** `Readiness` bits of the selected row. */
export function readinessOf(t: TcpCore): number {
  const c = t.c;
  const { state, flags } = c;
  const error = c.error !== 0 ? Readiness.ERR : 0;
  if (state === State.LISTEN) return c.acceptCount > 0 ? Readiness.IN : 0;
  if (state === State.SYN_SENT || state === State.SYN_RECEIVED) return error;
  if (state === State.CLOSED) {
    const ended = (flags & TcbFlags.DEAD) !== 0;
    return ended
      ? error | Readiness.IN | Readiness.OUT | Readiness.RDHUP | Readiness.HUP
      : error | Readiness.OUT | Readiness.HUP;
  }
  let bits = error;
  const isRcvOver = (flags & (TcbFlags.FIN_RECEIVED | TcbFlags.RCV_SHUTDOWN)) !== 0;
  const isSndOver = (flags & TcbFlags.FIN_QUEUED) !== 0;
  if (isRcvOver) bits |= Readiness.IN | Readiness.RDHUP;
  else if (readableBytes(t) >= c.rcvLowatBytes) bits |= Readiness.IN;
  if (isSndOver || isWritable(t)) bits |= Readiness.OUT;
  else waitForRoom(t);
  if (isRcvOver && isSndOver) bits |= Readiness.HUP;
  if ((flags & (TcbFlags.OOB_READY | TcbFlags.OOB_READ)) === TcbFlags.OOB_READY) {
    bits |= Readiness.PRI;
  }
  return bits;
}
