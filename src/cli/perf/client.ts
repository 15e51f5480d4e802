/**
 * The sending side of a test: sends what is due, takes replies, and keeps count. `step` is called
 * over and over, by a loop or by events; it never blocks.
 *
 * | phase   | what happens                                          | ends                        |
 * |---------|-------------------------------------------------------|-----------------------------|
 * | warm-up | messages are sent and answered, and not counted       | after `warmUpMs`            |
 * | measure | counted                                               | after `timeMs`, or `stop()` |
 * | drain   | nothing is sent; replies that are under way are taken | all are there, or 200 ms    |
 */
import { EAGAIN, ECONNREFUSED } from "../../base/errno.js";
import { NetError } from "../../base/errors.js";
import { clock, readClock } from "./clock.js";
import type { FullLog } from "./full-log.js";
import { Histogram } from "./histogram.js";
import * as message from "./message.js";
import type { Schedule } from "./schedule.js";
import { StreamBuffer } from "./stream-buffer.js";
import type { Endpoint, Transport } from "./transport.js";

export interface ClientOptions {
  readonly isTcp: boolean;
  readonly schedule: Schedule;
  /** Every how many messages a reply is wanted; 0: never. */
  readonly replyEvery: number;
  /** Wait for the replies to this many messages before the next are sent; 0: do not wait. */
  readonly waitForReplies: number;
  readonly warmUpMs: number;
  readonly timeMs: number;
  /** Ends it after so many messages, if the time is not over before; Infinity: never. */
  readonly mostMessages: number;
  /** Ping-pong: after this long a reply counts as lost, and the next message is sent. */
  readonly replyTimeoutMs: number;
  readonly log: FullLog | null;
  readonly isMulticast: boolean;
}

/** What a test found; times in milliseconds. */
export interface ClientResult {
  readonly sent: number;
  readonly repliesWanted: number;
  readonly received: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly outOfOrder: number;
  readonly sentBytes: number;
  readonly elapsedMs: number;
  readonly latency: Histogram;
}

const WARM_UPS = 2;
const DRAIN_MS = 200;
/** Messages that are sent before the next look at what has come. */
const SEND_BATCH = 32;
const RECEIVE_BATCH = 64;
/** Replies that may be awaited at a time. */
const WINDOW = 65_536;
const NS_PER_MS = 1e6;

export class PerfClient {
  isDone = false;
  /** When something is due without a reply: Infinity while one is awaited. */
  nextDueMs = 0;
  /** The time of the last look. A field: passed between functions it might have to be boxed. */
  nowMs = 0;
  /** Messages sent while measuring, for progress. */
  sent = 0;
  received = 0;
  private readonly transport: Transport;
  private readonly endpoint: Endpoint;
  private readonly options: ClientOptions;
  private readonly bytes = new Uint8Array(message.MAX_BYTES + 1);
  private readonly stream = new StreamBuffer();
  private readonly latency = new Histogram();
  private readonly sentAtMs = new Float64Array(WINDOW);
  /** Sequence number of the message whose reply is awaited in a place; negative once it came. */
  private readonly awaited = new Float64Array(WINDOW);
  private sequence = 0;
  private startMs = -1;
  private measureFromMs = 0;
  private endMs = 0;
  private measuredEndMs = 0;
  private drainUntilMs = Number.POSITIVE_INFINITY;
  private firstMeasured = Number.POSITIVE_INFINITY;
  private repliesWanted = 0;
  private duplicated = 0;
  private outOfOrder = 0;
  private lastReply = 0;
  private sentBytes = 0;
  private outstanding = 0;
  private leftOfBurst = 0;
  private lastSentMs = 0;
  /** The part of a message that a stream did not take. */
  private restAt = 0;
  private restEnd = 0;

  constructor(transport: Transport, endpoint: Endpoint, options: ClientOptions) {
    this.transport = transport;
    this.endpoint = endpoint;
    this.options = options;
    // A pattern, so that a capture shows which byte is which.
    for (let i = 0; i < this.bytes.length; i++) this.bytes[i] = i;
  }

  /** Ends the measurement now; `isDone` follows. */
  stop(): void {
    this.endMs = 0;
  }

  /** Hot path. One look at everything. Throws `NetError` when the peer is gone. */
  step(): void {
    this.transport.turn();
    if (this.startMs < 0) this.begin();
    this.takeReplies();
    readClock();
    this.nowMs = clock[0]!;
    if (this.drainUntilMs !== Number.POSITIVE_INFINITY) this.drain();
    else if (this.nowMs >= this.endMs) this.endMeasuring();
    else this.sendDue();
  }

  get result(): ClientResult {
    const { received, repliesWanted, duplicated, outOfOrder, sentBytes, latency } = this;
    const elapsedMs = Math.max(0, this.measuredEndMs - this.measureFromMs);
    const lost = repliesWanted - received;
    const counts = { sent: this.sent, repliesWanted, received, lost, duplicated, outOfOrder };
    return { ...counts, sentBytes, elapsedMs, latency };
  }

  private begin(): void {
    readClock();
    const nowMs = clock[0]!;
    if (this.options.isMulticast) {
      const flags = message.Flag.CLIENT | message.Flag.PONG | message.Flag.WARM_UP;
      message.write(this.bytes, 0, 0, flags, message.HEADER_BYTES);
      for (let i = 0; i < WARM_UPS; i++) this.endpoint.send(this.bytes, 0, message.HEADER_BYTES);
    }
    this.startMs = nowMs;
    this.measureFromMs = nowMs + this.options.warmUpMs;
    this.endMs = this.measureFromMs + this.options.timeMs;
  }

  private endMeasuring(): void {
    const { nowMs } = this;
    this.measuredEndMs = Math.max(nowMs, this.measureFromMs);
    this.drainUntilMs = nowMs + DRAIN_MS;
    this.nextDueMs = this.drainUntilMs;
  }

  /** The rest of a cut message is sent too: the peer cannot take half of one. */
  private drain(): void {
    const isFlushed = this.restAt === this.restEnd || this.sendRest();
    const isAnswered = this.received >= this.repliesWanted;
    this.isDone = (isFlushed && isAnswered) || this.nowMs >= this.drainUntilMs;
  }

  private sendDue(): void {
    const { schedule, waitForReplies, replyTimeoutMs } = this.options;
    if (this.restAt !== this.restEnd && !this.sendRest()) return;
    if (waitForReplies > 0 && this.leftOfBurst === 0) {
      this.nextDueMs = this.lastSentMs + replyTimeoutMs;
      if (this.outstanding > 0 && (this.nowMs < this.nextDueMs || this.options.isTcp)) return;
      this.outstanding = 0; // lost
      this.leftOfBurst = waitForReplies;
    }
    const most = waitForReplies > 0 ? this.leftOfBurst : SEND_BATCH;
    for (let i = 0; i < most; i++) {
      const dueMs = this.startMs + schedule.dueMs;
      if (this.nowMs < dueMs) {
        this.nextDueMs = dueMs;
        if (dueMs === Number.POSITIVE_INFINITY) this.endMs = 0;
        return;
      }
      if (!this.sendOne() || this.endMs === 0) return;
    }
    this.nextDueMs = this.nowMs;
  }

  /** Hot path. False when there was no room. The look's time is near enough for what nobody answers. */
  private sendOne(): boolean {
    const { schedule, replyEvery } = this.options;
    const length = schedule.lengthBytes;
    const sequence = this.sequence + 1;
    const wantsReply = replyEvery > 0 && sequence % replyEvery === 0;
    const flags = wantsReply ? message.Flag.CLIENT | message.Flag.PONG : message.Flag.CLIENT;
    message.write(this.bytes, 0, sequence, flags, length);
    if (wantsReply) {
      readClock();
      this.nowMs = clock[0]!;
    }
    const n = this.endpoint.send(this.bytes, 0, length);
    if (n < 0) {
      this.checkSent(n);
      return false;
    }
    this.sequence = sequence;
    this.lastSentMs = this.nowMs;
    if (this.leftOfBurst > 0) this.leftOfBurst--;
    if (wantsReply) this.await(sequence);
    this.count(sequence, length, wantsReply);
    schedule.advance();
    if (n === length) return true;
    this.restAt = n;
    this.restEnd = length;
    return false;
  }

  /** Hot path. */
  private count(sequence: number, length: number, wantsReply: boolean): void {
    if (sequence < this.firstMeasured) {
      if (this.nowMs < this.measureFromMs) return;
      this.firstMeasured = sequence;
      this.measureFromMs = this.nowMs;
    }
    this.sent++;
    this.sentBytes += length;
    if (this.sent >= this.options.mostMessages) this.endMs = 0;
    if (!wantsReply) return;
    this.repliesWanted++;
    this.options.log?.sent(this.nowMs);
  }

  private await(sequence: number): void {
    const place = this.placeOf(sequence);
    this.awaited[place] = sequence;
    this.sentAtMs[place] = this.nowMs;
    this.outstanding++;
  }

  private placeOf(sequence: number): number {
    return (sequence / this.options.replyEvery) % WINDOW;
  }

  private sendRest(): boolean {
    const n = this.endpoint.send(this.bytes, this.restAt, this.restEnd - this.restAt);
    if (n < 0) this.checkSent(n);
    else this.restAt += n;
    return this.restAt === this.restEnd;
  }

  /** A refusal over UDP is heard of by the next call: the message counts as lost later. */
  private checkSent(result: number): void {
    if (result === -EAGAIN) return;
    if (result === -ECONNREFUSED && !this.options.isTcp) return;
    throw gone(result, "send");
  }

  private takeReplies(): void {
    if (this.options.replyEvery === 0 && !this.options.isTcp) return;
    if (this.options.isTcp) this.takeFromStream();
    else this.takeDatagrams();
  }

  private takeDatagrams(): void {
    const { bytes } = this.stream;
    for (let i = 0; i < RECEIVE_BATCH; i++) {
      const n = this.endpoint.receive(bytes, 0, bytes.length);
      if (n === -EAGAIN || n === -ECONNREFUSED) return;
      if (n < 0) throw gone(n, "receive");
      if (message.check(bytes, 0, n)) this.take(bytes, 0);
    }
  }

  private takeFromStream(): void {
    const { stream } = this;
    const n = this.endpoint.receive(stream.bytes, stream.end, stream.roomBytes);
    if (n === -EAGAIN) return;
    if (n <= 0) throw gone(n, "receive");
    stream.added(n);
    for (let at = stream.next(); at !== -1; at = stream.next()) {
      if (at < 0) throw gone(at, "receive");
      this.take(stream.bytes, at);
    }
  }

  /** Hot path. One message that came: a reply, or our own to a group. */
  private take(b: Uint8Array, at: number): void {
    const { Flag } = message;
    if ((message.flags(b, at) & (Flag.CLIENT | Flag.WARM_UP)) !== 0) return;
    const sequence = message.sequence(b, at);
    const { replyEvery } = this.options;
    if (sequence === 0 || sequence > this.sequence || sequence % replyEvery !== 0) return;
    const place = this.placeOf(sequence);
    const isMeasured = sequence >= this.firstMeasured;
    if (this.awaited[place] !== sequence) {
      if (isMeasured && this.awaited[place] === -sequence) this.duplicated++;
      return;
    }
    readClock();
    const nowMs = clock[0]!;
    this.awaited[place] = -sequence;
    if (this.outstanding > 0) this.outstanding--;
    if (!isMeasured) return;
    if (sequence < this.lastReply) this.outOfOrder++;
    else this.lastReply = sequence;
    this.received++;
    this.latency.record(Math.round((nowMs - this.sentAtMs[place]!) * NS_PER_MS));
    const { log } = this.options;
    if (log !== null) {
      const first = Math.ceil(this.firstMeasured / replyEvery);
      log.received(sequence / replyEvery - first, nowMs);
    }
  }
}

function gone(result: number, syscall: string): NetError {
  const hint = "the server ended the connection; is it still running?";
  return new NetError(result === 0 ? 104 : result, { syscall, hint });
}
