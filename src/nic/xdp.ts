/**
 * AF_XDP: frames between an interface of Linux and the pool, without the kernel's stack. The rings are
 * read and written here; the kernel is called only to wake it (docs/xdp.md).
 *
 * An owned interface gives every frame to this device. A shared one keeps its kernel, which gets
 * every frame that no claimed flow is for: then the device has a `filter`. When the device is closed,
 * or its process dies, the kernel has the interface for itself again.
 */
import { Counters } from "../base/counters.js";
import { EINVAL, EOPNOTSUPP } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { NEVER } from "../base/time.js";
import type { Batch } from "../ring/batch.js";
import type { Pool } from "../ring/pool.js";
import { closeFd, silenceFd } from "../sys/fd.js";
import {
  interfaceDriver,
  interfaceQueues,
  interfaceState,
  LinkState,
  uniteFds,
} from "../sys/interface.js";
import { openMembership } from "../sys/packet-socket.js";
import { interfaceIsUp, interfaceMac, interfaceMtuBytes, setInterfaceUp } from "../sys/tap.js";
import { interfaceIndex } from "../sys/xdp-link.js";
import { Capability, type Device, type DeviceCounter } from "./device.js";
import { DeviceTally } from "./device-tally.js";
import type { FlowFilter } from "./flow-filter.js";
import { bindQueues } from "./xdp-bind.js";
import { XDP_COUNTERS, type XdpCounter } from "./xdp-counters.js";
import {
  attachRedirectAll,
  attachSteering,
  type SteeringProgram,
  type XdpProgram,
} from "./xdp-program.js";
import { XdpQueue } from "./xdp-queue.js";
import { type MetadataFunctions, metadataFunctions, RxMetadata } from "./xdp-rx-metadata.js";

/** How often the link and the kernel's counts are asked about, while frames are asked for. */
const CHECK_US = 100_000;
const DEFAULT_ENTRIES = 2_048;
/** At most this part of the pool's small slots is posted by one device. */
const POSTED_SHARE = 4;
const BUSY_POLL_BUDGET = 64;

export interface XdpOptions {
  readonly interface: string;
  /** One receive queue. By default the device has all queues that the interface has. */
  readonly queue?: number;
  /**
   * Where the program runs: `native`, in the driver; `generic`, after it, with any driver; `auto`
   * (the default), native where the driver has it.
   */
  readonly mode?: "auto" | "native" | "generic";
  /** The kernel keeps the interface and gets what no socket has claimed. False by default. */
  readonly shared?: boolean;
  /** True: fail where the driver has none. `auto` (the default): copy there. False: copy. */
  readonly zeroCopy?: boolean | "auto";
  /**
   * Transmitted checksums are left to the kernel or the NIC (Linux 6.8, not with zero copy). False by
   * default: another AF_XDP program at the far end of a veth would receive them unmade.
   */
  readonly txChecksum?: boolean;
  /**
   * Ask the NIC for what it knows of received frames: hash, time of arrival, and the VLAN tag that it
   * took out, which is put back (native mode, Linux 6.3, owned interfaces). True: fail where the driver
   * has none. `auto`: do without there. False by default.
   */
  readonly rxMetadata?: boolean | "auto";
  /** Received checksums may be unmade. By default true on a veth, where kernels leave them so. */
  readonly unfinishedChecksums?: boolean;
  /** Entries of each ring, a power of two. 2,048 by default. */
  readonly ringEntries?: number;
  /** Preferred busy polling: system calls of ours drive the NIC for up to so long. 0, off, by default. */
  readonly busyPollUs?: number;
  /** Frames that one busy poll handles at most. 64 by default. */
  readonly busyPollBudget?: number;
  /** Brings the interface up when it is down. True by default. */
  readonly bringUp?: boolean;
}

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

/** Opens a device on an interface. Throws `NetError`, which says what is missing. */
export function openXdp(pool: Pool, options: XdpOptions): XdpDevice {
  const opened = openQueues(pool, options);
  return deviceOf(pool, options, opened, opened.queues, opened.program);
}

/**
 * One device per queue of an interface, for loops of their own; frames of one flow all come to one of
 * them. The program leaves with the last device.
 */
export function openXdpQueues(pool: Pool, options: XdpOptions): XdpDevice[] {
  const opened = openQueues(pool, options);
  let open = opened.queues.length;
  const program: Closes = {
    close: () => {
      open--;
      if (open === 0) opened.program.close();
    },
  };
  return opened.queues.map((queue) => deviceOf(pool, options, opened, [queue], program));
}

type Closes = Pick<XdpProgram, "close">;

interface Opened {
  readonly queues: XdpQueue[];
  readonly program: XdpProgram | SteeringProgram;
  readonly modes: XdpModes;
  readonly tally: DeviceTally;
  readonly counters: Counters<XdpCounter>;
  readonly capabilities: number;
  readonly mtuBytes: number;
}

function deviceOf(
  pool: Pool,
  options: XdpOptions,
  opened: Opened,
  queues: XdpQueue[],
  program: Closes,
): XdpDevice {
  const filter = "filter" in opened.program ? opened.program.filter : undefined;
  return new XdpDevice(pool, options.interface, { ...opened, queues, program, filter });
}

function openQueues(pool: Pool, options: XdpOptions): Opened {
  const name = options.interface;
  const entries = options.ringEntries ?? DEFAULT_ENTRIES;
  if (!Number.isInteger(entries) || entries < 64 || (entries & (entries - 1)) !== 0) {
    throw new RangeError(`ringEntries: expected a power of two of 64 or more, got ${entries}`);
  }
  const index = interfaceIndex(name);
  if ((options.bringUp ?? true) && !interfaceIsUp(name)) setInterfaceUp(name, true);
  const queues = queueNumbers(options);
  const mtuBytes = interfaceMtuBytes(name);
  const driver = interfaceDriver(name);
  const { program, metadata, metadataReason } = attach(options, queues);
  try {
    const bound = bindQueues(pool, {
      interface: name,
      interfaceIndex: index,
      queues,
      entries,
      mtuBytes,
      zeroCopy: options.zeroCopy ?? "auto",
      noZeroCopy: program.mode === "generic" ? "the program runs in generic mode" : null,
      txMetadata: options.txChecksum ?? false,
      busyPollUs: options.busyPollUs ?? 0,
      busyPollBudget: options.busyPollBudget ?? BUSY_POLL_BUDGET,
    });
    const tally = new DeviceTally(`xdp ${name}`);
    const counters = new Counters(`xdp ${name} kernel`, XDP_COUNTERS);
    const share = Math.floor(pool.smallSlots / POSTED_SHARE / queues.length);
    const made = bound.sockets.map(
      (socket, i) =>
        new XdpQueue(pool, socket, tally, counters, {
          queue: queues[i]!,
          entries,
          postedSlots: Math.max(1, Math.min(entries, share)),
          hasMetadata: bound.hasMetadata,
          rxMetadata: metadata ? new RxMetadata(pool.smallSlots) : null,
          mtuBytes,
          isMultiBuffer: bound.isMultiBuffer,
          expectsUnfinished: options.unfinishedChecksums ?? driver === "veth",
          busyPolls: (options.busyPollUs ?? 0) > 0,
        }),
    );
    const isZeroCopy = made.every((queue) => queue.isZeroCopy);
    try {
      for (const queue of made) program.setSocket(queue.queue, queue.fd);
    } catch (error) {
      for (const queue of made) queue.close();
      throw error;
    }
    return {
      queues: made,
      program,
      tally,
      counters,
      mtuBytes,
      capabilities: bound.hasMetadata && !isZeroCopy ? Capability.TX_CHECKSUM : 0,
      modes: {
        program: program.mode,
        programReason: program.fallbackReason,
        isZeroCopy,
        copyReason: bound.copyReason,
        isMultiBuffer: bound.isMultiBuffer,
        metadataReason,
        driver,
      },
    };
  } catch (error) {
    program.close();
    throw error;
  }
}

function queueNumbers(options: XdpOptions): number[] {
  const all = interfaceQueues(options.interface);
  const { queue } = options;
  if (queue === undefined) return Array.from({ length: all }, (_, i) => i);
  if (Number.isInteger(queue) && queue >= 0 && queue < all) return [queue];
  throw new NetError(EINVAL, {
    syscall: "openXdp",
    hint: `expected a queue from 0 to ${all - 1} of ${options.interface}, got ${queue}`,
  });
}

interface Attached {
  readonly program: XdpProgram | SteeringProgram;
  readonly metadata: boolean;
  readonly metadataReason: string | null;
}

function attach(options: XdpOptions, queues: readonly number[]): Attached {
  const settings = {
    interface: options.interface,
    mode: options.mode ?? "auto",
    hasFrags: true,
    maxQueues: Math.max(...queues) + 1,
  };
  const wanted = options.rxMetadata ?? false;
  let reason: string | null = null;
  if (wanted !== false) {
    const functions = metadataFunctions();
    reason = noMetadata(options, functions);
    try {
      if (reason === null) {
        const program = withFrags(settings, (s) => attachRedirectAll(s, functions));
        return { program, metadata: true, metadataReason: null };
      }
    } catch (error) {
      if (wanted === true || !(error instanceof NetError)) throw error;
      reason = `${options.interface} takes no program that asks for metadata: ${error.code}`;
    }
    if (wanted === true) {
      throw new NetError(EOPNOTSUPP, { syscall: "openXdp rxMetadata", hint: reason });
    }
  }
  const one = options.shared === true ? attachSteering : attachRedirectAll;
  return { program: withFrags(settings, (s) => one(s)), metadata: false, metadataReason: reason };
}

/** Why there can be no metadata, before it is tried; null when there may. */
function noMetadata(options: XdpOptions, functions: MetadataFunctions | null): string | null {
  if (options.shared === true) return "the interface is shared with the kernel";
  if (options.mode === "generic") return "the program runs in generic mode";
  if (functions === null) {
    return "the kernel has no functions for it, or no BTF (Linux 6.3, CONFIG_DEBUG_INFO_BTF)";
  }
  return null;
}

/** Linux before 5.18 knows no frames in several buffers. */
function withFrags<S extends { hasFrags: boolean }>(
  settings: S,
  attachOne: (settings: S) => XdpProgram | SteeringProgram,
): XdpProgram | SteeringProgram {
  try {
    return attachOne(settings);
  } catch (error) {
    if (!(error instanceof NetError) || error.code !== "EINVAL") throw error;
    return attachOne({ ...settings, hasFrags: false });
  }
}

interface DeviceParts {
  readonly queues: readonly XdpQueue[];
  readonly program: Closes;
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
  private readonly program: Closes;
  private readonly index: number;
  /** Asks about the link, and has the NIC receive all multicast while it is open. */
  private readonly linkFd: number;
  private isLinkUp = true;
  private isClosed = false;
  /** The interface was deleted. */
  private isGone = false;
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
    this.index = interfaceIndex(name);
    this.linkFd = openMembership(this.index);
    const fds = this.queues.map((queue) => queue.fd);
    this.wakeFd = fds.length === 1 ? fds[0]! : uniteFds(fds);
    this.isLinkUp = interfaceState(this.linkFd, this.index) === LinkState.UP;
  }

  /** Asked about again while it is down, and at most every 100 ms while frames are asked for. */
  get isUp(): boolean {
    if (this.isClosed || this.isGone) return false;
    if (!this.isLinkUp || this.sawLinkDown) this.askLink();
    return this.isLinkUp;
  }

  /** Hot path. */
  private get sawLinkDown(): boolean {
    const { queues } = this;
    for (let i = 0; i < queues.length; i++) if (queues[i]!.sawLinkDown) return true;
    return false;
  }

  private askLink(): void {
    const state = interfaceState(this.linkFd, this.index);
    this.isLinkUp = state === LinkState.UP;
    for (const queue of this.queues) queue.sawLinkDown = false;
    if (state !== LinkState.GONE || this.isGone) return;
    this.isGone = true;
    // The sockets poll as failed for ever and would keep hosts awake.
    silenceFd(this.wakeFd);
  }

  /** Hot path. */
  receive(nowUs: number, batch: Batch): void {
    if (this.isClosed || this.isGone) return;
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
    if (this.isClosed || this.isGone || !this.isLinkUp) return this.loseAll(batch);
    return this.queues[0]!.transmit(batch);
  }

  private loseAll(batch: Batch): number {
    for (let i = 0; i < batch.n; i++) this.pool.give(batch.slots[i]!);
    this.tally.txError(batch.n);
    return batch.n;
  }

  /** Hot path. */
  flush(nowUs: number): void {
    if (this.isClosed || this.isGone) return;
    this.queues[0]!.flush(nowUs);
  }

  nextDeadlineUs(): number {
    if (this.isClosed || this.isGone) return NEVER;
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
