/**
 * The receiving side of a test: counts messages and answers those that want it. `step` is called over
 * and over, by a loop or by events; it never blocks.
 */
import { EAGAIN, ECONNREFUSED } from "../../base/errno.js";
import { clock, readClock } from "./clock.js";
import * as message from "./message.js";
import { SequenceWindow } from "./sequence-window.js";
import { StreamBuffer } from "./stream-buffer.js";
import type { Endpoint, Listener, Transport } from "./transport.js";

export interface ServerOptions {
  /** Answer nothing. */
  readonly isSilent: boolean;
}

export interface ServerResult {
  readonly received: number;
  readonly receivedBytes: number;
  readonly answered: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly outOfOrder: number;
  /** From the first message to the last. */
  readonly elapsedMs: number;
  /** Senders of datagrams, or connections. */
  readonly peers: number;
  /** What came and was no message of ours. */
  readonly strange: number;
}

const RECEIVE_BATCH = 64;

/** A connection, or all that comes through one datagram socket. */
class Peer {
  readonly endpoint: Endpoint;
  readonly stream = new StreamBuffer();
  /** The reply, or the rest of one, that is still to be sent; equal when there is none. */
  replyAt = 0;
  replyEnd = 0;
  isEnded = false;
  window = new SequenceWindow();

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
  }
}

export class PerfServer {
  readonly isDone = false;
  /** Nothing is due by itself. */
  readonly nextDueMs: number = Number.POSITIVE_INFINITY;
  received = 0;
  /** The time of the last look. */
  nowMs = 0;
  private readonly transport: Transport;
  private readonly options: ServerOptions;
  private readonly listener: Listener | null;
  private peers: Peer[] = [];
  private readonly windows = new Map<string, SequenceWindow>();
  private connections = 0;
  private ended: SequenceWindow[] = [];
  private receivedBytes = 0;
  private answered = 0;
  private strange = 0;
  private firstMs = 0;
  private lastMs = 0;
  private hasNews = false;

  /** A server of one datagram socket, or of a listener's connections. */
  constructor(transport: Transport, from: Endpoint | Listener, options: ServerOptions) {
    this.transport = transport;
    this.options = options;
    if ("accept" in from) this.listener = from;
    else {
      this.listener = null;
      this.peers.push(new Peer(from));
    }
  }

  /** Hot path. One look at everything. */
  step(): void {
    this.transport.turn();
    if (this.listener !== null) this.acceptAll(this.listener);
    const { peers } = this;
    for (let i = 0; i < peers.length; i++) {
      if (this.listener === null) this.takeDatagrams(peers[i]!);
      else this.takeFromStream(peers[i]!);
    }
    readClock();
    this.nowMs = clock[0]!;
    if (this.hasNews) {
      this.hasNews = false;
      if (this.firstMs === 0) this.firstMs = this.nowMs;
      this.lastMs = this.nowMs;
    }
  }

  stop(): void {}

  get result(): ServerResult {
    const current = this.peers.map((p) => p.window);
    const windows = [...new Set([...this.windows.values(), ...this.ended, ...current])];
    const sum = (of: (w: SequenceWindow) => number): number =>
      windows.reduce((total, w) => total + of(w), 0);
    return {
      received: this.received,
      receivedBytes: this.receivedBytes,
      answered: this.answered,
      lost: sum((w) => w.lost),
      duplicated: sum((w) => w.duplicated),
      outOfOrder: sum((w) => w.outOfOrder),
      elapsedMs: this.lastMs - this.firstMs,
      peers: this.listener === null ? this.windows.size : this.connections,
      strange: this.strange,
    };
  }

  private acceptAll(listener: Listener): void {
    for (let next = listener.accept(); next !== null; next = listener.accept()) {
      this.peers.push(new Peer(next));
      this.connections++;
    }
  }

  private takeDatagrams(peer: Peer): void {
    const { bytes } = peer.stream;
    for (let i = 0; i < RECEIVE_BATCH; i++) {
      // A reply that found no room waits: to drop it would count as the network's loss.
      if (peer.replyAt !== peer.replyEnd && !this.sendReply(peer)) return;
      const n = peer.endpoint.receive(bytes, 0, bytes.length);
      if (n < 0) return; // nothing, or an ICMP error about an earlier reply
      if (peer.endpoint.senderChanged()) this.changeSender(peer);
      if (message.check(bytes, 0, n) && message.lengthBytes(bytes, 0) <= n) this.take(peer, 0);
      else this.strange++;
    }
  }

  private changeSender(peer: Peer): void {
    const sender = peer.endpoint.sender();
    let window = this.windows.get(sender);
    if (window === undefined) {
      window = new SequenceWindow();
      this.windows.set(sender, window);
    }
    peer.window = window;
  }

  private takeFromStream(peer: Peer): void {
    this.takeMessages(peer);
    if (peer.isEnded) this.forget(peer);
  }

  private takeMessages(peer: Peer): void {
    const { stream } = peer;
    if (peer.replyAt !== peer.replyEnd && !this.sendReply(peer)) return;
    for (let at = stream.next(); at !== -1; at = stream.next()) {
      if (at < 0) {
        this.strange++;
        peer.isEnded = true;
        return;
      }
      this.take(peer, at);
      if (peer.replyAt !== peer.replyEnd) return; // the rest comes when it has left
    }
    const n = peer.endpoint.receive(stream.bytes, stream.end, stream.roomBytes);
    if (n > 0) stream.added(n);
    else if (n !== -EAGAIN) peer.isEnded = true;
  }

  private forget(peer: Peer): void {
    peer.endpoint.close();
    this.ended.push(peer.window);
    this.peers = this.peers.filter((p) => p !== peer);
  }

  /** Hot path. One message. */
  private take(peer: Peer, at: number): void {
    const { Flag } = message;
    const { bytes } = peer.stream;
    const flags = message.flags(bytes, at);
    if ((flags & Flag.CLIENT) === 0) return; // our own reply to a group
    if ((flags & Flag.WARM_UP) !== 0) return;
    const length = message.lengthBytes(bytes, at);
    this.received++;
    this.receivedBytes += length;
    this.hasNews = true;
    peer.window.see(message.sequence(bytes, at));
    if ((flags & Flag.PONG) === 0 || this.options.isSilent) return;
    message.makeReply(bytes, at);
    peer.replyAt = at;
    peer.replyEnd = at + length;
    this.sendReply(peer);
  }

  /** Hot path. Whether the reply has left. */
  private sendReply(peer: Peer): boolean {
    const { bytes } = peer.stream;
    const n = peer.endpoint.send(bytes, peer.replyAt, peer.replyEnd - peer.replyAt);
    if (n > 0) peer.replyAt += n;
    else if (n !== -EAGAIN) {
      // The peer is gone, or its address cannot be reached: nobody waits for this one.
      peer.replyAt = peer.replyEnd;
      if (this.listener !== null && n !== -ECONNREFUSED) peer.isEnded = true;
      return false;
    }
    if (peer.replyAt !== peer.replyEnd) return false;
    this.answered++;
    return true;
  }
}
