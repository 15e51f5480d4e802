/**
 * Urgent data of a program's connection (MSG_OOB): the byte is kept apart, because moving the stream
 * past the mark loses it; the mark is a place in the ring to the program.
 */
import { EAGAIN, EINVAL } from "../base/errno.js";
import { Status } from "../ring/engine-layout.js";
import { MsgFlags } from "../socket/linux-options.js";
import type { TcpSocket } from "../socket/tcp-socket.js";
import { Readiness } from "../tcp/readiness.js";

/** For the byte on its way: connections are many. */
const room = new Uint8Array(1);

export class TcpUrgent {
  private readonly socket: TcpSocket;
  /** The byte that was taken from the stack, or -1. */
  private byte = -1;
  private wasRead = false;
  /** One has come, and the program has not read past it. */
  isThere = false;
  private hasMark = false;
  private markAt = 0;

  constructor(socket: TcpSocket) {
    this.socket = socket;
  }

  /** The urgent byte has come: keeps it, unless it is in line. */
  take(): void {
    this.isThere = true;
    if (this.socket.receive(room, 0, 1, MsgFlags.OOB) !== 1) return;
    this.byte = room[0]!;
    this.wasRead = false;
  }

  /** Where the ring ends now is the mark, if the stream's next byte is the urgent one; whether it is. */
  noteMark(tail: number): boolean {
    if (!this.socket.isAtMark) return false;
    this.hasMark = true;
    this.markAt = tail;
    return true;
  }

  /** MSG_OOB: the byte, or a negated error number. `head`: how far the program has read. */
  receive(isPeek: boolean, head: number): number {
    this.forgetMark(head);
    if (this.isInline || this.wasRead) return -EINVAL;
    if (this.byte < 0) return this.isThere ? -EAGAIN : -EINVAL;
    const { byte } = this;
    if (!isPeek) {
      this.wasRead = true;
      this.byte = -1;
    }
    return byte;
  }

  /** Whether it has {@link statusBits}. */
  get isKnown(): boolean {
    return this.hasMark || this.isThere;
  }

  /** Its `Status` bits. `head`: how far the program has read. */
  statusBits(head: number): number {
    if (!this.isKnown) return 0;
    this.forgetMark(head);
    const mark = this.hasMark ? Status.MARK : 0;
    return this.isThere && this.isWaiting ? mark | Status.URGENT : mark;
  }

  /** The program has read past the mark: the urgent byte, if it was not read, is gone, as in Linux. */
  private forgetMark(head: number): void {
    if (!this.hasMark || ((head - this.markAt) | 0) <= 0) return;
    this.hasMark = false;
    this.byte = -1;
    this.wasRead = false;
    this.isThere = (this.socket.readiness() & Readiness.PRI) !== 0;
  }

  /** Whether the byte was not read: out of line, in the stack, or in line in the ring. */
  private get isWaiting(): boolean {
    if (this.byte >= 0 || (this.socket.readiness() & Readiness.PRI) !== 0) return true;
    return this.hasMark && this.isInline;
  }

  private get isInline(): boolean {
    return this.socket.get("SO_OOBINLINE") === 1;
  }
}
