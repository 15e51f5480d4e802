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
import { ClientQueue } from "./memif-client-queue.js";
import { ExpressClientQueue } from "./memif-express-client.js";
import { ExpressRing, expressBytes, MAX_LOG2_EXPRESS } from "./memif-express-ring.js";
import { type LinkContext, type LinkSettings, MemifLink } from "./memif-link.js";
import {
  Feature,
  type Message,
  MODE_ETHERNET,
  RING_BIG,
  RING_C2S,
  RING_EXPRESS,
  VERSION,
} from "./memif-message.js";
import { FRAMES_REGION, type QueuePair } from "./memif-queue.js";
import { MASK_INT, MemifRing, ringBytes } from "./memif-ring.js";
import { shareFrames } from "./shared-frames.js";

/** How long to wait between attempts to connect. */
const RETRY_US = 50_000;
/**
 * Buffers posted at most, which is the default ring: a plain peer drops what finds none.
 * Measured: a frame received and given back 38 to 44 ns of processor time with 128, 512 or 1,024
 * posted, no difference that repeats (node 20.20, 2 shared cores, 2026-11).
 */
const MAX_POSTED = 1024;
/** Between two Millrace ends nothing is lost when all are used; fewer stay in the cache. */
const MAX_EXPRESS_POSTED = 128;
const LOG2_BIG = 6;
const CACHE_LINE = 64;

type Hello = Extract<Message, { type: "hello" }>;

interface Step {
  readonly message: Message;
  readonly fd: number;
}

export class MemifClient extends MemifLink {
  override readonly isReadInPlace = true;
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
  private pending: QueuePair[] = [];

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
    const { arena } = this.context.pool.memory;
    const kinds = ringKinds(log2Size, this.isExtended);
    this.mapRings(pairs * kinds.reduce((bytes, kind) => bytes + kind.bytes, 0));
    const steps: Step[] = [];
    const made = new Map<string, MadeRing[]>();
    let offset = 0;
    for (const kind of kinds) {
      const isExpress = (kind.flags & RING_EXPRESS) !== 0;
      const rings: MadeRing[] = [];
      for (let i = 0; i < pairs; i++) {
        const at = this.ringsAt + offset;
        const size = 1 << kind.log2Size;
        const ring = new (isExpress ? ExpressRing : MemifRing)(arena, at, size);
        ring.initialise(MASK_INT);
        const eventFd = createEvent();
        this.eventFds.push(eventFd);
        steps.push({ message: ringMessage(kind.flags, i, offset, kind.log2Size), fd: eventFd });
        rings.push({ ring, eventFd });
        offset += kind.bytes;
      }
      made.set(kind.name, rings);
    }
    const ringOf = (name: string, i: number): MadeRing => made.get(name)![i]!;
    this.pending = range(pairs).map((i) => this.queueOf((name) => ringOf(name, i)));
    return [...this.regionSteps(), ...steps, this.connectStep()];
  }

  private regionSteps(): Step[] {
    const framesBytes = this.context.pool.memory.framesBytes;
    return [
      { message: { type: "addRegion", index: 0, sizeBytes: this.ringsBytes }, fd: this.ringsFd },
      {
        message: { type: "addRegion", index: FRAMES_REGION, sizeBytes: framesBytes },
        fd: this.framesFd,
      },
    ];
  }

  private connectStep(): Step {
    const { interfaceName } = this.settings;
    return { message: { type: "connect", interfaceName }, fd: -1 };
  }

  private queueOf(ringOf: (name: string) => MadeRing): QueuePair {
    const { pool } = this.context;
    const tx = ringOf("tx");
    const rx = ringOf("rx");
    const postedSlots = Math.min(rx.ring.size, MAX_POSTED, pool.smallSlots >> 2);
    if (!this.isExtended) {
      return new ClientQueue(this.context, {
        tx: tx.ring,
        rx: rx.ring,
        txEventFd: tx.eventFd,
        rxEventFd: rx.eventFd,
        postedSlots,
      });
    }
    const expressTx = ringOf("expressTx");
    const expressRx = ringOf("expressRx");
    return new ExpressClientQueue(this.context, {
      tx: expressTx.ring as ExpressRing,
      rx: expressRx.ring as ExpressRing,
      small: rx.ring,
      big: ringOf("big").ring,
      txEventFd: expressTx.eventFd,
      rxEventFd: expressRx.eventFd,
      postedSlots: Math.min(postedSlots, MAX_EXPRESS_POSTED),
      postedBigSlots: Math.min(1 << LOG2_BIG, pool.bigSlots >> 2),
    });
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

interface MadeRing {
  readonly ring: MemifRing;
  readonly eventFd: number;
}

interface RingKind {
  readonly name: string;
  readonly flags: number;
  readonly log2Size: number;
  readonly bytes: number;
}

/** The rings of each pair, in the order in which they are added. */
function ringKinds(log2Size: number, isExtended: boolean): RingKind[] {
  const kind = (name: string, flags: number, log2: number): RingKind => ({
    name,
    flags,
    log2Size: log2,
    bytes: aligned((flags & RING_EXPRESS) !== 0 ? expressBytes(1 << log2) : ringBytes(1 << log2)),
  });
  const plain = [kind("tx", RING_C2S, log2Size), kind("rx", 0, log2Size)];
  if (!isExtended) return plain;
  const log2Express = Math.min(log2Size, MAX_LOG2_EXPRESS);
  return [
    ...plain,
    kind("big", RING_BIG, LOG2_BIG),
    kind("expressTx", RING_C2S | RING_EXPRESS, log2Express),
    kind("expressRx", RING_EXPRESS, log2Express),
  ];
}

const aligned = (bytes: number): number => Math.ceil(bytes / CACHE_LINE) * CACHE_LINE;

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

function ringMessage(flags: number, index: number, offset: number, log2Size: number): Message {
  return { type: "addRing", flags, index, region: 0, offset, log2Size, privateHeaderBytes: 0 };
}
