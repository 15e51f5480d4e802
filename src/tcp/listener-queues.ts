/**
 * A listener's two lists of rows: handshakes under way (SYN queue) and connections that wait for
 * `accept` (accept queue). Both are doubly linked through `listNext` and `listPrev` of the children,
 * whose `listener` is the parent's row; `TcbFlags.UNACCEPTED` marks membership of either.
 *
 * The parent is worked on through `t.other`.
 */
import type { TcpCore } from "./core.js";
import { TcbFlags } from "./tcb.js";

/** Puts the selected row into the SYN queue of its listener. */
export function linkSyn(t: TcpCore): void {
  const c = t.c;
  const l = t.other.select(c.listener);
  const head = l.synHead;
  c.listPrev = -1;
  c.listNext = head;
  l.synHead = c.row;
  l.synCount++;
  if (head >= 0) t.other.select(head).listPrev = c.row;
  c.flags |= TcbFlags.UNACCEPTED;
}

/** Moves the selected row, whose handshake is done, from the SYN queue to the accept queue. */
export function promote(t: TcpCore): void {
  unlinkSyn(t);
  linkAccept(t);
}

/** Appends the selected row to the accept queue of its listener. */
export function linkAccept(t: TcpCore): void {
  const c = t.c;
  const l = t.other.select(c.listener);
  const tail = l.acceptTail;
  c.flags = (c.flags | TcbFlags.UNACCEPTED | TcbFlags.ACCEPTABLE) & ~TcbFlags.DEFERRED;
  c.listPrev = tail;
  c.listNext = -1;
  l.acceptTail = c.row;
  if (tail < 0) l.acceptHead = c.row;
  l.acceptCount++;
  t.host.changed(l);
  if (tail >= 0) t.other.select(tail).listNext = c.row;
}

/** Takes the first connection off the accept queue of the selected listener; -1 when it is empty. */
export function takeAccepted(t: TcpCore): number {
  const l = t.c;
  const row = l.acceptHead;
  if (row < 0) return -1;
  const child = t.other.select(row);
  const following = child.listNext;
  child.flags &= ~(TcbFlags.UNACCEPTED | TcbFlags.ACCEPTABLE);
  child.listNext = -1;
  l.acceptHead = following;
  if (following < 0) l.acceptTail = -1;
  else t.other.select(following).listPrev = -1;
  l.acceptCount--;
  return row;
}

/** Takes the selected row out of whichever list it is in. */
export function unlinkFromListener(t: TcpCore): void {
  const c = t.c;
  if (!c.has(TcbFlags.UNACCEPTED)) return;
  if (c.has(TcbFlags.ACCEPTABLE)) unlinkAccept(t);
  else unlinkSyn(t);
  c.flags &= ~(TcbFlags.UNACCEPTED | TcbFlags.ACCEPTABLE);
}

function unlinkSyn(t: TcpCore): void {
  const c = t.c;
  const { listPrev, listNext } = c;
  const l = t.other.select(c.listener);
  l.synCount--;
  if (listPrev < 0) l.synHead = listNext;
  else t.other.select(listPrev).listNext = listNext;
  if (listNext >= 0) t.other.select(listNext).listPrev = listPrev;
}

function unlinkAccept(t: TcpCore): void {
  const c = t.c;
  const { listPrev, listNext } = c;
  const l = t.other.select(c.listener);
  l.acceptCount--;
  if (listPrev < 0) l.acceptHead = listNext;
  if (listNext < 0) l.acceptTail = listPrev;
  if (listPrev >= 0) t.other.select(listPrev).listNext = listNext;
  if (listNext >= 0) t.other.select(listNext).listPrev = listPrev;
}
