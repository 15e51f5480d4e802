/**
 * The client's end of a memif link: connects to the server's socket, again and again until there is
 * one, makes the rings, and shows the server the rings and the pool's slots, nothing else.
 *
 * Region 0 is a memfd of the rings alone, made for each connection; region 1 the pool's slots.
 */

import { errnoText } from "../base/errno.js";
import { NEVER } from "../base/time.js";
import { PAGE_BYTES } from "../ring/arena.js";
import { closeFd, createEvent } from "../sys/fd.js";
import { createMemfd, mapShared, unmapShared } from "../sys/memory.js";
import { connectUnix } from "../sys/unix-socket.js";
import { ClientQueue, type ClientRings, FRAMES_REGION } from "./memif-client-queue.js";
import { type LinkContext, type LinkSettings, MemifLink } from "./memif-link.js";
import { Feature, type Message, MODE_ETHERNET, RING_C2S, VERSION } from "./memif-message.js";
import { MASK_INT, MemifRing, ringBytes } from "./memif-ring.js";
import { shareFrames } from "./shared-frames.js";

/** How long to wait between attempts to connect. */
const RETRY_US = 50_000;
/** Buffers posted at most: a peer that polls seldom must not lose frames; see docs/memif.md. */
const MAX_POSTED = 512;
const BIG_RING_SIZE = 64;
const CACHE_LINE = 64;

type Hello = Extract<Message, { type: "hello" }>;

interface Step {
  readonly message: Message;
  readonly fd: number;
}

export class MemifClient extends MemifLink {
  private readonly path: string;
  private readonly framesFd: number;
  private retryAtUs = 0;
  private expects: "hello" | "ack" | "connected" | "nothing" = "hello";
  /** Messages to send, one for each acknowledgment. */
  private steps: Step[] = [];
  private ringsFd = -1;
  private ringsAt = -1;
  private ringsBytes = 0;
  private eventFds: number[] = [];
  private pending: ClientQueue[] = [];

  /** Throws `NetError` when the pool cannot be shared. */
  constructor(path: string, settings: LinkSettings, context: LinkContext) {
    super(settings, context);
    this.path = path;
    this.framesFd = shareFrames(context.pool);
  }

  override service(nowUs: number): void {
    super.service(nowUs);
    if (this.hasPeer || nowUs < this.retryAtUs) return;
    this.retryAtUs = nowUs + RETRY_US;
    this.connect(nowUs);
    if (this.hasPeer) super.service(nowUs);
  }

  override nextDeadlineUs(): number {
    return this.hasPeer ? super.nextDeadlineUs() : this.retryAtUs;
  }

  /** Both spellings of an abstract name are tried; see sys/unix-socket.ts. */
  private connect(nowUs: number): void {
    let fd = connectUnix({ path: this.path });
    if (fd < 0 && this.path.startsWith("@")) fd = connectUnix({ path: this.path, isPadded: true });
    if (fd < 0) {
      this.downReason = `connect to ${this.path}: ${errnoText(fd)}`;
      return;
    }
    this.expects = "hello";
    this.begin(fd, nowUs);
  }

  protected onMessage(message: Message, fd: number, _nowUs: number): void {
    if (fd >= 0) closeFd(fd); // a server passes none
    if (message.type !== this.expects) {
      this.refuse(`unexpected message ${message.type}`);
      return;
    }
    switch (message.type) {
      case "hello":
        this.onHello(message);
        break;
      case "ack":
        this.sendNext();
        break;
      case "connected":
        this.peerInterface = message.interfaceName;
        this.expects = "nothing";
        this.comeUp(this.pending);
        break;
    }
  }

  private onHello(hello: Hello): void {
    if (hello.minVersion > VERSION || hello.maxVersion < VERSION) {
      this.refuse("incompatible memif version");
      return;
    }
    if (hello.lastRegion < FRAMES_REGION) {
      this.refuse("two regions are needed");
      return;
    }
    this.peerName = hello.name;
    const features = hello.features & this.settings.features;
    this.isExtended = (features & Feature.OFFLOAD) !== 0;
    const pairs = Math.min(this.settings.queuePairs, hello.lastC2s + 1, hello.lastS2c + 1);
    const log2Size = Math.min(this.settings.log2RingSize, hello.log2RingSize);
    this.steps = [this.initStep(features), ...this.makeRings(pairs, log2Size)];
    this.sendNext();
  }

  private initStep(features: number): Step {
    const { id, secret, interfaceName } = this.settings;
    const name = `millrace ${interfaceName}`;
    const mode = MODE_ETHERNET;
    return {
      message: { type: "init", version: VERSION, id, mode, secret, name, features },
      fd: -1,
    };
  }

  private sendNext(): void {
    const step = this.steps.shift();
    if (step === undefined) {
      this.refuse("unexpected message ack");
      return;
    }
    this.expects = step.message.type === "connect" ? "connected" : "ack";
    this.send(step.message, step.fd);
  }

  /** Makes and maps the rings and their queues; the messages that show them to the server. */
  private makeRings(pairs: number, log2Size: number): Step[] {
    const size = 1 << log2Size;
    const perPair = this.isExtended ? 3 : 2;
    const strideBytes =
      Math.ceil(ringBytes(Math.max(size, BIG_RING_SIZE)) / CACHE_LINE) * CACHE_LINE;
    this.mapRings(pairs * perPair * strideBytes);
    const rings: Step[] = [];
    const add = (k: number, flags: number, index: number, log2: number): [MemifRing, number] => {
      const offset = k * strideBytes;
      const ring = new MemifRing(this.context.pool.memory.arena, this.ringsAt + offset, 1 << log2);
      ring.initialise(MASK_INT);
      const eventFd = createEvent();
      this.eventFds.push(eventFd);
      rings.push({ message: ringMessage(flags, index, offset, log2), fd: eventFd });
      return [ring, eventFd];
    };
    const tx = range(pairs).map((i) => add(i, RING_C2S, i, log2Size));
    const rx = range(pairs).map((i) => add(pairs + i, 0, i, log2Size));
    const log2Big = Math.log2(BIG_RING_SIZE);
    const big = this.isExtended
      ? range(pairs).map((i) => add(2 * pairs + i, 0, pairs + i, log2Big))
      : [];
    this.pending = range(pairs).map((i) => this.queueOf(tx[i]!, rx[i]!, big[i]?.[0] ?? null));
    const { interfaceName } = this.settings;
    return [
      { message: { type: "addRegion", index: 0, sizeBytes: this.ringsBytes }, fd: this.ringsFd },
      {
        message: {
          type: "addRegion",
          index: FRAMES_REGION,
          sizeBytes: this.context.pool.memory.framesBytes,
        },
        fd: this.framesFd,
      },
      ...rings,
      { message: { type: "connect", interfaceName }, fd: -1 },
    ];
  }

  private queueOf(
    [tx, txEventFd]: [MemifRing, number],
    [rx, rxEventFd]: [MemifRing, number],
    big: MemifRing | null,
  ): ClientQueue {
    const { pool } = this.context;
    const rings: ClientRings = {
      tx,
      rx,
      big,
      txEventFd,
      rxEventFd,
      postedSlots: Math.min(rx.size, MAX_POSTED, pool.smallSlots >> 2),
      postedBigSlots: Math.min(BIG_RING_SIZE, pool.bigSlots >> 2),
    };
    return new ClientQueue({ ...this.context, isExtended: this.isExtended }, rings);
  }

  private mapRings(bytes: number): void {
    const { arena } = this.context.pool.memory;
    this.ringsBytes = Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
    this.ringsAt = arena.lend(this.ringsBytes);
    if (this.ringsAt < 0) throw new RangeError(`memif: no room for ${bytes} bytes of rings`);
    this.ringsFd = createMemfd("millrace-rings", this.ringsBytes);
    const range = { at: this.ringsAt, lengthBytes: this.ringsBytes, fd: this.ringsFd };
    mapShared(arena.memory!, range);
  }

  protected release(): void {
    this.pending = [];
    this.steps = [];
    for (const fd of this.eventFds) closeFd(fd);
    this.eventFds = [];
    if (this.ringsAt < 0) return;
    const { arena } = this.context.pool.memory;
    unmapShared(arena.memory!, this.ringsAt, this.ringsBytes);
    arena.takeBack(this.ringsAt);
    closeFd(this.ringsFd);
    this.ringsAt = -1;
    this.ringsFd = -1;
  }

  override close(): void {
    super.close();
    this.retryAtUs = NEVER;
  }
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

function ringMessage(flags: number, index: number, offset: number, log2Size: number): Message {
  return { type: "addRing", flags, index, region: 0, offset, log2Size, privateHeaderBytes: 0 };
}
