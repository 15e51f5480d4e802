/**
 * What only a connection that has lost something needs. It lies in a row of its own (loss-rows.ts):
 * reading it is reading the initial values until something else was written.
 */
import { LOSS_INT32S, LossRows, NO_LOSS_ROW } from "./loss-rows.js";
import type { Seq } from "./seq.js";
import { TcbRow } from "./tcb-row.js";

/** Which loss row a connection has: an index in the row. */
export const LOSS_ROW = 124;

// Indices in the loss row.
const CUBIC_EPOCH_US = 0; // double
const CUBIC_WMAX = 1; // double
const CUBIC_K = 2; // double
const CUBIC_WEST = 3; // double
const BYTES_RETRANS = 4; // double
const PRIOR_CWND = 10;
const PRIOR_SSTHRESH = 11;
const UNDO_MARKER = 12;
const UNDO_RETRANS_BYTES = 13;
const RETRANS_STAMP_MS = 14;
const REO_WND_MULT = 15;
const REO_WND_PERSIST = 16;
const DSACK_ROUND_SEQ = 17;
const REORDER_SEGMENTS = 18;
const TLP_END_SEQ = 19;
const LOST_HEAD = 20;
const LOST_TAIL = 21;
const RECOVER_FLIGHT_BYTES = 22;
const PRR_DELIVERED_BYTES = 23;
const PRR_OUT_BYTES = 24;
const TOTAL_RETRANS = 25;
const DSACK_SEGMENTS = 26;
const RENO_SACKED_BYTES = 27;
const BLACK_HOLE_MSS = 28;
const BLACK_HOLE_STAMP_MS = 29;
const ECN_CE_SEGMENTS = 30;

/** What a connection that has lost nothing reads: as `Recovery.init` leaves it. */
function setInitial(words: Int32Array, doubles: Float64Array): void {
  doubles[CUBIC_EPOCH_US] = -1;
  words[UNDO_RETRANS_BYTES] = -1;
  words[REO_WND_MULT] = 1;
  words[REO_WND_PERSIST] = 16;
  words[REORDER_SEGMENTS] = 3;
  words[LOST_HEAD] = -1;
  words[LOST_TAIL] = -1;
}

export class TcbLossRow extends TcbRow {
  /** The loss rows of all connections; views of the same rows share them. */
  readonly loss: LossRows;

  constructor(i: Int32Array, f: Float64Array, loss: LossRows = new LossRows(setInitial)) {
    super(i, f);
    this.loss = loss;
  }

  /** Gives the loss row back, if there is one: at the end of the connection. */
  releaseLoss(): void {
    this.loss.give(this.i[this.at + LOSS_ROW]!);
    this.i[this.at + LOSS_ROW] = NO_LOSS_ROW;
  }

  private setLossWord(at: number, v: number): void {
    const { loss } = this;
    let row = this.i[this.at + LOSS_ROW]!;
    if (row === NO_LOSS_ROW) {
      if (loss.words[at] === v) return;
      row = this.takeLoss();
    }
    loss.words[row * LOSS_INT32S + at] = v;
  }

  private setLossDouble(at: number, v: number): void {
    const { loss } = this;
    let row = this.i[this.at + LOSS_ROW]!;
    if (row === NO_LOSS_ROW) {
      if (loss.doubles[at] === v) return;
      row = this.takeLoss();
    }
    loss.doubles[row * (LOSS_INT32S / 2) + at] = v;
  }

  private takeLoss(): number {
    const row = this.loss.take();
    this.i[this.at + LOSS_ROW] = row;
    return row;
  }

  /** Start of CUBIC's congestion avoidance epoch (t_epoch, RFC 9438 §4.1.2); -1: none. */
  get cubicEpochUs(): number {
    return this.loss.doubles[this.i[this.at + LOSS_ROW]! * (LOSS_INT32S / 2) + CUBIC_EPOCH_US]!;
  }
  set cubicEpochUs(v: number) {
    this.setLossDouble(CUBIC_EPOCH_US, v);
  }

  /** CUBIC's W_max, in segments. */
  get cubicWMax(): number {
    return this.loss.doubles[this.i[this.at + LOSS_ROW]! * (LOSS_INT32S / 2) + CUBIC_WMAX]!;
  }
  set cubicWMax(v: number) {
    this.setLossDouble(CUBIC_WMAX, v);
  }

  /** CUBIC's K, in seconds. */
  get cubicK(): number {
    return this.loss.doubles[this.i[this.at + LOSS_ROW]! * (LOSS_INT32S / 2) + CUBIC_K]!;
  }
  set cubicK(v: number) {
    this.setLossDouble(CUBIC_K, v);
  }

  /** CUBIC's W_est, in segments: what Reno would have. */
  get cubicWEst(): number {
    return this.loss.doubles[this.i[this.at + LOSS_ROW]! * (LOSS_INT32S / 2) + CUBIC_WEST]!;
  }
  set cubicWEst(v: number) {
    this.setLossDouble(CUBIC_WEST, v);
  }

  /** Bytes that were sent again. */
  get bytesRetrans(): number {
    return this.loss.doubles[this.i[this.at + LOSS_ROW]! * (LOSS_INT32S / 2) + BYTES_RETRANS]!;
  }
  set bytesRetrans(v: number) {
    this.setLossDouble(BYTES_RETRANS, v);
  }

  /** cwnd before the last reduction. */
  get priorCwnd(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + PRIOR_CWND]!;
  }
  set priorCwnd(v: number) {
    this.setLossWord(PRIOR_CWND, v);
  }

  /** ssthresh before the last reduction; 0: nothing to take back. */
  get priorSsthresh(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + PRIOR_SSTHRESH]!;
  }
  set priorSsthresh(v: number) {
    this.setLossWord(PRIOR_SSTHRESH, v);
  }

  /** SND.UNA when the reduction that may be undone began. */
  get undoMarker(): Seq {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + UNDO_MARKER]! as Seq;
  }
  set undoMarker(v: Seq) {
    this.setLossWord(UNDO_MARKER, v);
  }

  /** Bytes sent again since and not reported duplicate; -1: none yet. */
  get undoRetransBytes(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + UNDO_RETRANS_BYTES]!;
  }
  set undoRetransBytes(v: number) {
    this.setLossWord(UNDO_RETRANS_BYTES, v);
  }

  /** When the first retransmission since was sent, milliseconds. */
  get retransStampMs(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + RETRANS_STAMP_MS]!;
  }
  set retransStampMs(v: number) {
    this.setLossWord(RETRANS_STAMP_MS, v);
  }

  /** RACK.reo_wnd_mult. */
  get reoWndMult(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + REO_WND_MULT]!;
  }
  set reoWndMult(v: number) {
    this.setLossWord(REO_WND_MULT, v);
  }

  /** RACK.reo_wnd_persist. */
  get reoWndPersist(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + REO_WND_PERSIST]!;
  }
  set reoWndPersist(v: number) {
    this.setLossWord(REO_WND_PERSIST, v);
  }

  /** RACK.dsack_round. */
  get dsackRoundSeq(): Seq {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + DSACK_ROUND_SEQ]! as Seq;
  }
  set dsackRoundSeq(v: Seq) {
    this.setLossWord(DSACK_ROUND_SEQ, v);
  }

  /** Largest reordering seen, in segments. */
  get reorderSegments(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + REORDER_SEGMENTS]!;
  }
  set reorderSegments(v: number) {
    this.setLossWord(REORDER_SEGMENTS, v);
  }

  /** TLP.end_seq. */
  get tlpEndSeq(): Seq {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + TLP_END_SEQ]! as Seq;
  }
  set tlpEndSeq(v: Seq) {
    this.setLossWord(TLP_END_SEQ, v);
  }

  /** First of the records that wait to be sent again. */
  get lostHead(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + LOST_HEAD]!;
  }
  set lostHead(v: number) {
    this.setLossWord(LOST_HEAD, v);
  }

  /** Last of the records that wait to be sent again. */
  get lostTail(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + LOST_TAIL]!;
  }
  set lostTail(v: number) {
    this.setLossWord(LOST_TAIL, v);
  }

  /** RecoverFS (RFC 9937 §5): bytes in flight when the reduction began. */
  get recoverFlightBytes(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + RECOVER_FLIGHT_BYTES]!;
  }
  set recoverFlightBytes(v: number) {
    this.setLossWord(RECOVER_FLIGHT_BYTES, v);
  }

  /** prr_delivered. */
  get prrDeliveredBytes(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + PRR_DELIVERED_BYTES]!;
  }
  set prrDeliveredBytes(v: number) {
    this.setLossWord(PRR_DELIVERED_BYTES, v);
  }

  /** prr_out. */
  get prrOutBytes(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + PRR_OUT_BYTES]!;
  }
  set prrOutBytes(v: number) {
    this.setLossWord(PRR_OUT_BYTES, v);
  }

  /** Segments sent again, ever. */
  get totalRetrans(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + TOTAL_RETRANS]!;
  }
  set totalRetrans(v: number) {
    this.setLossWord(TOTAL_RETRANS, v);
  }

  /** Segments that DSACKs reported twice delivered, ever. */
  get dsackSegments(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + DSACK_SEGMENTS]!;
  }
  set dsackSegments(v: number) {
    this.setLossWord(DSACK_SEGMENTS, v);
  }

  /** What duplicate ACKs of a peer without SACK say has left the network. */
  get renoSackedBytes(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + RENO_SACKED_BYTES]!;
  }
  set renoSackedBytes(v: number) {
    this.setLossWord(RENO_SACKED_BYTES, v);
  }

  /** Upper limit of the MSS since a black hole was met; 0: none was met. */
  get blackHoleMss(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + BLACK_HOLE_MSS]!;
  }
  set blackHoleMss(v: number) {
    this.setLossWord(BLACK_HOLE_MSS, v);
  }

  /** When the MSS was reduced for it, milliseconds. */
  get blackHoleStampMs(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + BLACK_HOLE_STAMP_MS]!;
  }
  set blackHoleStampMs(v: number) {
    this.setLossWord(BLACK_HOLE_STAMP_MS, v);
  }

  /** Segments whose ACK carried ECE. */
  get ecnCeSegments(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + ECN_CE_SEGMENTS]!;
  }
  set ecnCeSegments(v: number) {
    this.setLossWord(ECN_CE_SEGMENTS, v);
  }
}
