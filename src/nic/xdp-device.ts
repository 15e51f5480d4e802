/**
 * The device of AF_XDP: its queues (xdp-queue.ts) as one, and the link. The rings are read and written in
 * this process; the kernel is called only to wake it. How devices are opened is in xdp.ts.
 */
import type { Counters } from "../base/counters.js";
import { NEVER } from "../base/time.js";
import type { Batch } from "../ring/batch.js";
import type { Pool } from "../ring/pool.js";
import { closeFd } from "../sys/fd.js";
import { uniteFds } from "../sys/interface.js";
import { openMembership } from "../sys/packet-socket.js";
import { interfaceMac } from "../sys/tap.js";
import { interfaceIndex } from "../sys/xdp-link.js";
import type { Device, DeviceCounter } from "./device.js";
import type { DeviceTally } from "./device-tally.js";
import type { FlowFilter } from "./flow-filter.js";
import { loseAll } from "./frame-slots.js";
import { KernelLink } from "./kernel-link.js";
import type { XdpCounter } from "./xdp-counters.js";
import type { XdpProgram } from "./xdp-program.js";
import type { XdpQueue } from "./xdp-queue.js";
import type { RxMetadata } from "./xdp-rx-metadata.js";

/** How often the link and the kernel's counts are asked about, while frames are asked for. */
const CHECK_US = 100_000;

/** How a device came to work, for people: `millrace doctor`, logs. */
export interface XdpModes {
  readonly program: "native" | "generic";
  /** Why generic, or null. */
  readonly programReason: string | null;
  readonly isZeroCopy: boolean;
  /** Why frames are copied, or null. */
  readonly copyReason: string | null;
  readonly isMultiBuffer: boolean;
  /** Why received frames come without metadata although they were wanted, or null. */
  readonly metadataReason: string | null;
  readonly driver: string;
}

/** What an opened device is made of. */
export interface DeviceParts {
  readonly queues: readonly XdpQueue[];
  readonly program: Pick<XdpProgram, "close">;
  readonly filter: FlowFilter | undefined;
  readonly modes: XdpModes;
  readonly tally: DeviceTally;
  readonly counters: Counters<XdpCounter>;
  readonly capabilities: number;
  readonly mtuBytes: number;
}

export class XdpDevice implements Device {
  readonly kind = "xdp";
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  readonly capabilities: number;
  readonly counters: Counters<DeviceCounter>;
  /** What the kernel counts for the sockets, and calls to it. */
  readonly kernelCounters: Counters<XdpCounter>;
  readonly wakeFd: number;
  readonly modes: XdpModes;
  readonly filter?: FlowFilter;
  /**
   * By queue of the device, in order: what the NIC said of frames, by their slots, valid from `receive`
   * until the slot is given back. Null without `rxMetadata`.
   */
  readonly rxMetadata: readonly RxMetadata[] | null;

  private readonly pool: Pool;
  private readonly tally: DeviceTally;
  private readonly queues: readonly XdpQueue[];
  private readonly program: Pick<XdpProgram, "close">;
  /** Asks about the link, and has the NIC receive all multicast while it is open. */
  private readonly linkFd: number;
  private readonly link: KernelLink;
  private isClosed = false;
  private checkAtUs = 0;
  /** The queue that is asked first, in turn. */
  private firstQueue = 0;

  /** Takes the queues and the program; use {@link openXdp}. */
  constructor(pool: Pool, name: string, parts: DeviceParts) {
    this.pool = pool;
    this.name = name;
    this.queues = parts.queues;
    this.program = parts.program;
    this.modes = parts.modes;
    const metadata = parts.queues.flatMap((queue) => queue.rxMetadata ?? []);
    this.rxMetadata = metadata.length === 0 ? null : metadata;
    this.tally = parts.tally;
    this.counters = parts.tally.counters;
    this.kernelCounters = parts.counters;
    this.capabilities = parts.capabilities;
    this.mtuBytes = parts.mtuBytes;
    if (parts.filter !== undefined) this.filter = parts.filter;
    this.mac = interfaceMac(name);
    const index = interfaceIndex(name);
    this.linkFd = openMembership(index);
    const fds = this.queues.map((queue) => queue.fd);
    this.wakeFd = fds.length === 1 ? fds[0]! : uniteFds(fds);
    this.link = new KernelLink(this.linkFd, index, this.wakeFd);
  }

  /** Asked about again while it is down, and at most every 100 ms while frames are asked for. */
  get isUp(): boolean {
    if (this.isClosed || this.link.isGone) return false;
    if (!this.link.isUp || this.sawLinkDown) this.askLink();
    return this.link.isUp;
  }

  /** Hot path. */
  private get sawLinkDown(): boolean {
    const { queues } = this;
    for (let i = 0; i < queues.length; i++) if (queues[i]!.sawLinkDown) return true;
    return false;
  }

  private askLink(): void {
    this.link.ask();
    for (const queue of this.queues) queue.sawLinkDown = false;
  }

  /** Hot path. */
  receive(nowUs: number, batch: Batch): void {
    if (this.isClosed || this.link.isGone) return;
    const { queues } = this;
    if (queues.length === 1) queues[0]!.receive(nowUs, batch);
    else this.receiveInTurn(nowUs, batch);
    if (nowUs >= this.checkAtUs) this.check(nowUs);
  }

  /** Another queue is first each time. */
  private receiveInTurn(nowUs: number, batch: Batch): void {
    const { queues } = this;
    for (let i = 0; i < queues.length; i++) {
      queues[(this.firstQueue + i) % queues.length]!.receive(nowUs, batch);
    }
    this.firstQueue = (this.firstQueue + 1) % queues.length;
  }

  /** Brings link state and the kernel's counts up to date. */
  check(nowUs: number): void {
    this.checkAtUs = nowUs + CHECK_US;
    for (const queue of this.queues) queue.readStatistics();
    this.askLink();
  }

  /** Hot path. Everything is sent through the first queue, so that frames keep their order. */
  transmit(_nowUs: number, batch: Batch): number {
    if (this.isClosed || this.link.isGone || !this.link.isUp)
      return loseAll(this.pool, this.tally, batch);
    return this.queues[0]!.transmit(batch);
  }

  /** Hot path. */
  flush(nowUs: number): void {
    if (this.isClosed || this.link.isGone) return;
    this.queues[0]!.flush(nowUs);
  }

  nextDeadlineUs(): number {
    if (this.isClosed || this.link.isGone) return NEVER;
    const { retryAtUs } = this.queues[0]!;
    return retryAtUs === 0 ? NEVER : retryAtUs;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.program.close();
    if (this.queues.length > 1) closeFd(this.wakeFd);
    for (const queue of this.queues) queue.close();
    closeFd(this.linkFd);
  }
}
