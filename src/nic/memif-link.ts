/**
 * The control channel of a memif link, at either end: messages in, messages out, and the end of it.
 * `memif-client.ts` and `memif-server.ts` say what each message means.
 *
 * | state      | leaves it by                                        | to          |
 * |------------|-----------------------------------------------------|-------------|
 * | down       | client: a connection; server: one that was accepted | connecting  |
 * | connecting | the last message of the handshake                   | up          |
 * | connecting | a bad message, the peer's refusal or end, the time  | down        |
 * | up         | the peer's end or farewell, a broken ring, `close`  | down        |
 *
 * When the link goes down every slot goes back to the pool, and whatever of the peer's was mapped or
 * open is let go of.
 */

import type { Counters } from "../base/counters.js";
import { EAGAIN, errnoText } from "../base/errno.js";
import { NEVER } from "../base/time.js";
import type { Pool } from "../ring/pool.js";
import { closeFd } from "../sys/fd.js";
import type { PollSet } from "../sys/poll-set.js";
import { receivedFd, receiveMessage, sendMessage } from "../sys/unix-socket.js";
import type { DeviceTally } from "./device-tally.js";
import type { Lane } from "./lane.js";
import { decode, encode, MESSAGE_BYTES, type Message } from "./memif-message.js";
import type { QueuePair } from "./memif-queue.js";
import { Count, type MemifCounter } from "./memif-tally.js";

/** A peer that takes longer than this to connect is given up. */
const CONNECT_US = 5_000_000;

export interface LinkSettings {
  readonly id: number;
  /** Up to 24 bytes; empty for none. */
  readonly secret: string;
  /** This end's interface, as the peer will see it. */
  readonly interfaceName: string;
  readonly queuePairs: number;
  readonly log2RingSize: number;
  /** What to offer to a Millrace peer. */
  readonly features: number;
}

/** What a link works with. */
export interface LinkContext {
  readonly pool: Pool;
  readonly tally: DeviceTally;
  readonly counters: Counters<MemifCounter>;
  /** The device's descriptors, to be watched while it sleeps. */
  readonly pollSet: PollSet;
  /** See `Device.leavesPayload`. */
  leavesPayload: boolean;
}

export abstract class MemifLink {
  /** The rings, while the link is up. */
  queues: readonly QueuePair[] = [];
  isUp = false;
  /** Both ends are Millrace's and agreed on the extension. */
  isExtended = false;
  /** The peer reads sent frames in this end's slots: this is the client. */
  readonly isReadInPlace: boolean = false;
  /** The only queue's, while the link is up and if it has one. */
  lane: Lane | null = null;
  /** The peer's program and interface, once they are known. */
  peerName = "";
  peerInterface = "";
  /** Why the link is down; empty before the first attempt, and while it is up. */
  downReason = "";
  protected readonly settings: LinkSettings;
  protected readonly context: LinkContext;
  protected fd = -1;
  private giveUpAtUs = NEVER;
  private readonly message = new Uint8Array(MESSAGE_BYTES);

  constructor(settings: LinkSettings, context: LinkContext) {
    this.settings = settings;
    this.context = context;
  }

  /** Whether there is a peer at all, connected or about to be. */
  get hasPeer(): boolean {
    return this.fd >= 0;
  }

  /** What to do with a message; false ends the link, with `refuse` or `downReason` already called. */
  protected abstract onMessage(message: Message, fd: number, nowUs: number): void;
  /** Lets go of rings, regions and descriptors. Idempotent. */
  protected abstract release(): void;

  /** Begins the handshake over a connected socket, which becomes the link's. */
  protected begin(fd: number, nowUs: number): void {
    this.fd = fd;
    this.giveUpAtUs = nowUs + CONNECT_US;
    this.context.pollSet.add(fd);
  }

  /** The handshake is over: frames pass. */
  protected comeUp(queues: readonly QueuePair[]): void {
    this.queues = queues;
    this.lane = queues.length === 1 ? queues[0]!.lane : null;
    this.isUp = true;
    this.giveUpAtUs = NEVER;
    this.downReason = "";
    this.context.counters.add(Count.CONNECTS, 1);
    for (const queue of queues) {
      queue.start();
      this.context.pollSet.add(queue.eventFd);
    }
  }

  /** Looks for messages, and at what cannot go on. */
  service(nowUs: number): void {
    while (this.fd >= 0 && this.receiveOne(nowUs));
    if (this.fd < 0) return;
    for (const queue of this.queues) {
      if (!queue.isBroken) continue;
      this.refuse("a ring is broken");
      return;
    }
    if (nowUs >= this.giveUpAtUs) this.refuse("timeout");
  }

  /** When `service` must be called although nothing woke the host. */
  nextDeadlineUs(): number {
    return this.giveUpAtUs;
  }

  /** Receives one message; false when there is none. */
  private receiveOne(nowUs: number): boolean {
    const n = receiveMessage(this.fd, this.message);
    if (n === -EAGAIN) return false;
    if (n === 0) this.goDown("the peer has closed the connection");
    else if (n < 0) this.goDown(`connection: ${errnoText(n)}`);
    else this.interpret(n, nowUs);
    return true;
  }

  private interpret(n: number, nowUs: number): void {
    const fd = receivedFd();
    const message = decode(this.message.subarray(0, n));
    if (message === null) {
      if (fd >= 0) closeFd(fd);
      this.refuse(n === MESSAGE_BYTES ? "unknown message type" : "invalid message size");
    } else if (message.type === "disconnect") {
      if (fd >= 0) closeFd(fd);
      this.goDown(`the peer says: ${message.reason || `code ${message.code}`}`);
    } else {
      this.onMessage(message, fd, nowUs);
    }
  }

  /** Sends a message. A peer that does not take it is gone, or as good as. */
  protected send(message: Message, fd = -1): void {
    if (this.fd < 0) return;
    const n = sendMessage(this.fd, encode(message), fd);
    if (n < 0) this.goDown(`connection: ${errnoText(n)}`);
  }

  /** Tells the peer why, and ends the link. */
  protected refuse(reason: string): void {
    if (this.fd >= 0) sendMessage(this.fd, encode({ type: "disconnect", code: 0, reason }));
    this.goDown(reason);
  }

  /** Ends the link. */
  protected goDown(reason: string): void {
    if (this.fd < 0) return;
    const { pollSet, counters } = this.context;
    counters.add(this.isUp ? Count.DISCONNECTS : Count.REFUSALS, 1);
    for (const queue of this.queues) {
      if (this.isUp) pollSet.remove(queue.eventFd);
      counters.add(Count.LOST_FRAMES, queue.close());
    }
    this.queues = [];
    this.lane = null;
    this.isUp = false;
    this.isExtended = false;
    this.downReason = reason;
    this.giveUpAtUs = NEVER;
    pollSet.remove(this.fd);
    closeFd(this.fd);
    this.fd = -1;
    this.release();
  }

  /** Ends the link for good, and says so to the peer. */
  close(): void {
    this.refuse("interface closed");
  }
}
