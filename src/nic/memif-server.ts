/**
 * The server's end of a memif link: takes what the client adds, checks it, and maps it. Connections
 * come from `memif-listener.ts`.
 */
import { NetError } from "../base/errors.js";
import { closeFd, isEvent } from "../sys/fd.js";
import { MemifLink } from "./memif-link.js";
import { Feature, type Message, MODE_ETHERNET, RING_C2S, VERSION } from "./memif-message.js";
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
  private readonly c2s: AddedRing[] = [];
  private readonly s2c: AddedRing[] = [];

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
    const rings = (message.flags & RING_C2S) !== 0 ? this.c2s : this.s2c;
    const complaint = isEvent(eventFd)
      ? this.complaintAbout(message, rings)
      : "the interrupt fd is no eventfd";
    if (complaint !== null) {
      closeFd(eventFd);
      this.refuse(complaint);
      return;
    }
    const size = 1 << message.log2Size;
    const at = this.regions.placeOf(message.region, message.offset, ringBytes(size));
    rings.push({ ring: new MemifRing(this.context.pool.memory.arena, at, size), eventFd });
    this.send({ type: "ack" });
  }

  /** Why a ring cannot be taken, or null. */
  private complaintAbout(m: AddRing, rings: readonly AddedRing[]): string | null {
    const isC2s = rings === this.c2s;
    const most = this.settings.queuePairs * (this.isExtended && !isC2s ? 2 : 1);
    if (m.index !== rings.length || m.index >= most) return "invalid ring index";
    if (m.log2Size < MIN_LOG2_SIZE || m.log2Size > MAX_LOG2_SIZE) return "invalid ring size";
    if ((m.offset & 15) !== 0) return "invalid ring offset";
    if (m.privateHeaderBytes !== 0) return "private headers are not supported";
    const at = this.regions.placeOf(m.region, m.offset, ringBytes(1 << m.log2Size));
    return at < 0 ? "ring outside its region" : null;
  }

  private onConnect(interfaceName: string): void {
    const pairs = this.isExtended ? this.s2c.length >> 1 : this.s2c.length;
    if (pairs === 0 || this.c2s.length !== pairs) {
      this.refuse("as many rings are needed one way as the other");
      return;
    }
    if ([...this.c2s, ...this.s2c].some(({ ring }) => !ring.hasCookie)) {
      this.refuse("wrong cookie in a ring");
      return;
    }
    this.peerInterface = interfaceName;
    const context = { ...this.context, isExtended: this.isExtended };
    const queues = this.c2s.map((rx, i) => {
      const tx = this.s2c[i]!;
      const big = this.isExtended ? this.s2c[pairs + i]!.ring : null;
      return new ServerQueue(context, this.regions, {
        rx: rx.ring,
        tx: tx.ring,
        big,
        rxEventFd: rx.eventFd,
        txEventFd: tx.eventFd,
      });
    });
    // Zero before the client looks: it posts buffers only once it is told.
    for (const { ring } of [...this.c2s, ...this.s2c]) ring.zero();
    this.comeUp(queues);
    this.send({ type: "connected", interfaceName: this.settings.interfaceName });
  }

  protected release(): void {
    for (const { eventFd } of [...this.c2s, ...this.s2c]) closeFd(eventFd);
    this.c2s.length = 0;
    this.s2c.length = 0;
    this.regions.close();
  }

  /** Whether a client may connect; a dead one is noticed first. */
  isFree(nowUs: number): boolean {
    if (this.hasPeer) this.service(nowUs);
    return !this.hasPeer;
  }
}
