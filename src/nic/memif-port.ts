/**
 * A memif link as a plain device: it moves frames as the peer takes them. `memif.ts` puts software
 * offload around it for peers that are not Millrace's.
 *
 * Polling is the normal state: the rings say that no events are wanted. Before its host sleeps
 * (`prepareSleep`) the rings ask for them; the next `receive` takes that back.
 */

import type { Counters } from "../base/counters.js";
import { NEVER } from "../base/time.js";
import { BATCH_FRAMES, type Batch } from "../ring/batch.js";
import type { Pool } from "../ring/pool.js";
import { drainEvent } from "../sys/fd.js";
import { PollSet } from "../sys/poll-set.js";
import type { Device, DeviceCounter } from "./device.js";
import { DeviceTally } from "./device-tally.js";
import { MemifClient } from "./memif-client.js";
import type { LinkContext, LinkSettings, MemifLink } from "./memif-link.js";
import { joinListener, type MemifListener } from "./memif-listener.js";
import type { QueuePair } from "./memif-queue.js";
import { MemifServer } from "./memif-server.js";
import { type MemifCounter, memifCounters } from "./memif-tally.js";

/** How often the control channel is looked at while the host polls. A look takes 0.4 µs. */
const SERVICE_US = 1_000;
/**
 * When a peer whose ring was full is offered frames again if nothing else wakes the host: soon, but a
 * peer that has stopped for good must not keep us awake.
 */
const RETRY_US = 100;
const LONGEST_RETRY_US = 20_000;

export interface PortOptions {
  readonly path: string;
  readonly role: "client" | "server";
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  readonly link: LinkSettings;
}

export class MemifPort implements Device {
  readonly kind = "memif";
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  readonly capabilities = 0;
  readonly memif: Counters<MemifCounter>;
  readonly link: MemifLink;
  /** What the link and its queues work with. */
  readonly context: LinkContext;
  private readonly pool: Pool;
  private readonly tally: DeviceTally;
  private readonly pollSet: PollSet;
  private readonly server: MemifServer | null = null;
  private readonly listener: MemifListener | null = null;
  private serviceAtUs = 0;
  private retryAtUs = NEVER;
  private retryUs = RETRY_US;
  private isArmed = false;
  private isClosed = false;
  private nextQueue = 0;

  /** Throws `NetError` when the socket cannot be listened on, or the pool not be shared. */
  constructor(pool: Pool, options: PortOptions) {
    const { link, path, role } = options;
    this.pool = pool;
    this.name = link.interfaceName;
    this.mac = options.mac;
    this.mtuBytes = options.mtuBytes;
    this.tally = new DeviceTally(`memif ${this.name}`);
    this.memif = memifCounters(`memif ${this.name} link`);
    this.pollSet = new PollSet();
    const context: LinkContext = {
      pool,
      tally: this.tally,
      counters: this.memif,
      pollSet: this.pollSet,
      leavesPayload: false,
    };
    this.context = context;
    try {
      if (role === "client") {
        this.link = new MemifClient(path, link, context);
      } else {
        this.server = new MemifServer(link, context);
        this.link = this.server;
        this.listener = joinListener(path, this.server, link.features);
        this.pollSet.add(this.listener.wakeFd);
      }
    } catch (error) {
      this.pollSet.close();
      throw error;
    }
  }

  get counters(): Counters<DeviceCounter> {
    return this.tally.counters;
  }

  get isUp(): boolean {
    return this.link.isUp;
  }

  get wakeFd(): number {
    return this.pollSet.fd;
  }

  /** Hot path. */
  receive(nowUs: number, batch: Batch): void {
    if (nowUs >= this.serviceAtUs || this.isArmed) this.service(nowUs);
    const { queues } = this.link;
    if (queues.length === 1) queues[0]!.receive(nowUs, batch);
    else this.receiveInTurn(nowUs, batch, queues);
  }

  /** Another queue is first each time, so that none starves. */
  private receiveInTurn(nowUs: number, batch: Batch, queues: readonly QueuePair[]): void {
    const n = queues.length;
    if (n === 0) return;
    this.nextQueue = (this.nextQueue + 1) % n;
    for (let i = 0; i < n && batch.n < BATCH_FRAMES; i++) {
      queues[(this.nextQueue + i) % n]!.receive(nowUs, batch);
    }
  }

  /** Hot path. */
  transmit(nowUs: number, batch: Batch): number {
    const { queues } = this.link;
    if (queues.length === 0) return this.failAll(batch);
    const n =
      queues.length === 1
        ? queues[0]!.transmit(batch, 0, batch.n)
        : this.transmitByFlow(batch, queues);
    if (n > 0) this.retryUs = RETRY_US;
    if (n < batch.n) {
      this.tally.txFull();
      this.retryAtUs = nowUs + this.retryUs;
      if (n === 0) this.retryUs = Math.min(2 * this.retryUs, LONGEST_RETRY_US);
    } else {
      this.retryAtUs = NEVER;
    }
    return n;
  }

  /** Frames of a flow go through one queue, in order: runs of the same queue are sent as one. */
  private transmitByFlow(batch: Batch, queues: readonly QueuePair[]): number {
    let from = 0;
    while (from < batch.n) {
      const queue = this.queueOf(batch.slots[from]!, queues.length);
      let to = from + 1;
      while (to < batch.n && this.queueOf(batch.slots[to]!, queues.length) === queue) to++;
      const sent = queues[queue]!.transmit(batch, from, to);
      from += sent;
      if (from < to) break;
    }
    return from;
  }

  /** Hashes addresses and ports, wherever they are: the words behind the Ethernet addresses. */
  private queueOf(slot: number, n: number): number {
    const { bytes } = this.pool;
    const at = this.pool.at[slot]! + 26;
    const end = Math.min(at + 12, this.pool.end[slot]!);
    let hash = 0;
    for (let i = at; i < end; i++) hash = (Math.imul(hash, 31) + bytes[i]!) | 0;
    return ((hash ^ (hash >>> 15)) >>> 0) % n;
  }

  private failAll(batch: Batch): number {
    for (let i = 0; i < batch.n; i++) {
      this.tally.txError();
      this.pool.give(batch.slots[i]!);
    }
    return batch.n;
  }

  flush(): void {}

  nextDeadlineUs(): number {
    return Math.min(this.retryAtUs, this.link.nextDeadlineUs());
  }

  /** Asks the peer for events; false when a frame came meanwhile, and the host should not sleep. */
  prepareSleep(): boolean {
    this.isArmed = true;
    let isIdle = true;
    for (const queue of this.link.queues) {
      queue.setMask(false);
      if (queue.hasFrames) isIdle = false;
    }
    return isIdle;
  }

  /** Sees to the control channel, and after a sleep to the events. */
  private service(nowUs: number): void {
    if (this.isClosed) return;
    this.serviceAtUs = nowUs + SERVICE_US;
    if (this.isArmed) {
      this.isArmed = false;
      for (const queue of this.link.queues) {
        queue.setMask(true);
        drainEvent(queue.eventFd);
      }
    }
    this.listener?.service(nowUs);
    this.link.service(nowUs);
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.link.close();
    if (this.server !== null) this.listener?.leave(this.server);
    this.pollSet.close();
  }
}
