/**
 * The server's end of a memif link: takes what the client adds, checks it, and maps it. Connections
 * come from `memif-listener.ts`.
 */
import { NetError } from "../base/errors.js";
import { closeFd, isEvent } from "../sys/fd.js";
import { ExpressRing, expressBytes } from "./memif-express-ring.js";
import { ExpressServerQueue } from "./memif-express-server.js";
import { MemifLink } from "./memif-link.js";
import {
  Feature,
  type Message,
  MODE_ETHERNET,
  RING_BIG,
  RING_C2S,
  RING_EXPRESS,
  VERSION,
} from "./memif-message.js";
import type { QueuePair } from "./memif-queue.js";
import { PeerRegions } from "./memif-regions.js";
import { MAX_LOG2_SIZE, MemifRing, MIN_LOG2_SIZE, ringBytes } from "./memif-ring.js";
import { ServerQueue } from "./memif-server-queue.js";

type AddRing = Extract<Message, { type: "addRing" }>;
export type Init = Extract<Message, { type: "init" }>;

interface AddedRing {
  readonly ring: MemifRing;
  readonly eventFd: number;
}

export class MemifServer extends MemifLink {
  private readonly regions = new PeerRegions(this.context.pool.memory.arena);
  /** By the flags that they were added with. */
  private readonly rings = new Map<number, AddedRing[]>();

  get id(): number {
    return this.settings.id;
  }

  /** Takes a connection whose client asked for this interface; the socket becomes the link's. */
  take(fd: number, init: Init, nowUs: number): void {
    this.begin(fd, nowUs);
    this.peerName = init.name;
    this.isExtended = (init.features & this.settings.features & Feature.OFFLOAD) !== 0;
    if (init.version !== VERSION) this.refuse("incompatible memif version");
    else if (init.mode !== MODE_ETHERNET) this.refuse("only ethernet mode is supported");
    else if (this.settings.secret === "" || init.secret === this.settings.secret) {
      this.send({ type: "ack" });
    } else {
      this.refuse(init.secret === "" ? "secret required" : "incorrect secret");
    }
  }

  protected onMessage(message: Message, fd: number, _nowUs: number): void {
    if (message.type === "addRegion" && fd >= 0 && !this.isUp) {
      this.onAddRegion(message.index, message.sizeBytes, fd);
    } else if (message.type === "addRing" && fd >= 0 && !this.isUp) {
      this.onAddRing(message, fd);
    } else {
      if (fd >= 0) closeFd(fd);
      if (message.type === "connect" && !this.isUp) this.onConnect(message.interfaceName);
      else if (message.type === "addRegion") this.refuse("missing region fd");
      else if (message.type === "addRing") this.refuse("missing interrupt fd");
      else this.refuse(`unexpected message ${message.type}`);
    }
  }

  private onAddRegion(index: number, sizeBytes: number, fd: number): void {
    try {
      this.regions.add(index, sizeBytes, fd);
    } catch (error) {
      if (!(error instanceof NetError)) throw error;
      this.refuse(error.message);
      return;
    }
    this.send({ type: "ack" });
  }

  private onAddRing(message: AddRing, eventFd: number): void {
    const complaint = isEvent(eventFd)
      ? this.complaintAbout(message)
      : "the interrupt fd is no eventfd";
    if (complaint !== null) {
      closeFd(eventFd);
      this.refuse(complaint);
      return;
    }
    const { flags, log2Size } = message;
    const kind = (flags & RING_EXPRESS) !== 0 ? ExpressRing : MemifRing;
    const ring = new kind(this.context.pool.memory.arena, this.placeOf(message), 1 << log2Size);
    this.ringsOf(flags).push({ ring, eventFd });
    this.send({ type: "ack" });
  }

  private ringsOf(flags: number): AddedRing[] {
    let rings = this.rings.get(flags);
    if (rings === undefined) {
      rings = [];
      this.rings.set(flags, rings);
    }
    return rings;
  }

  /** Where a ring would lie in the arena, or -1. */
  private placeOf({ flags, region, offset, log2Size }: AddRing): number {
    const size = 1 << log2Size;
    const bytes = (flags & RING_EXPRESS) !== 0 ? expressBytes(size) : ringBytes(size);
    return this.regions.placeOf(region, offset, bytes);
  }

  /** Why a ring cannot be taken, or null. */
  private complaintAbout(m: AddRing): string | null {
    const known = this.isExtended ? EXTENDED_FLAGS : PLAIN_FLAGS;
    if (!known.includes(m.flags)) return "unknown ring flags";
    if (m.index !== this.ringsOf(m.flags).length || m.index >= this.settings.queuePairs) {
      return "invalid ring index";
    }
    if (m.log2Size < MIN_LOG2_SIZE || m.log2Size > MAX_LOG2_SIZE) return "invalid ring size";
    if ((m.offset & 15) !== 0) return "invalid ring offset";
    if (m.privateHeaderBytes !== 0) return "private headers are not supported";
    return this.placeOf(m) < 0 ? "ring outside its region" : null;
  }

  private onConnect(interfaceName: string): void {
    const pairs = this.ringsOf(0).length;
    const known = this.isExtended ? EXTENDED_FLAGS : PLAIN_FLAGS;
    if (pairs === 0 || known.some((flags) => this.ringsOf(flags).length !== pairs)) {
      this.refuse("as many rings are needed one way as the other");
      return;
    }
    const all = [...this.rings.values()].flat();
    if (all.some(({ ring }) => !ring.hasCookie)) {
      this.refuse("wrong cookie in a ring");
      return;
    }
    this.peerInterface = interfaceName;
    const queues = this.ringsOf(0).map((_, i) => this.queueOf(i));
    // Zero before the client looks: it posts buffers only once it is told.
    for (const { ring } of all) ring.zero();
    this.comeUp(queues);
    this.send({ type: "connected", interfaceName: this.settings.interfaceName });
  }

  private queueOf(i: number): QueuePair {
    const ringAt = (flags: number): AddedRing => this.ringsOf(flags)[i]!;
    const isExtended = this.isExtended;
    const rx = ringAt(isExtended ? RING_C2S | RING_EXPRESS : RING_C2S);
    const tx = ringAt(isExtended ? RING_EXPRESS : 0);
    const events = { rxEventFd: rx.eventFd, txEventFd: tx.eventFd };
    if (!isExtended) {
      return new ServerQueue(this.context, this.regions, { rx: rx.ring, tx: tx.ring, ...events });
    }
    return new ExpressServerQueue(this.context, this.regions, {
      rx: rx.ring as ExpressRing,
      tx: tx.ring as ExpressRing,
      small: ringAt(0).ring,
      big: ringAt(RING_BIG).ring,
      ...events,
    });
  }

  protected release(): void {
    for (const rings of this.rings.values()) for (const { eventFd } of rings) closeFd(eventFd);
    this.rings.clear();
    this.regions.close();
  }

  /** Whether a client may connect; a dead one is noticed first. */
  isFree(nowUs: number): boolean {
    if (this.hasPeer) this.service(nowUs);
    return !this.hasPeer;
  }
}

const PLAIN_FLAGS = [RING_C2S, 0];
const EXTENDED_FLAGS = [...PLAIN_FLAGS, RING_BIG, RING_C2S | RING_EXPRESS, RING_EXPRESS];
