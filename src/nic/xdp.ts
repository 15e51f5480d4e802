/**
 * Opening AF_XDP devices: frames between an interface of Linux and the pool, without the kernel's stack
 * (docs/xdp.md). How frames pass is in xdp-device.ts and xdp-queue.ts.
 *
 * An owned interface gives every frame to this device. A shared one keeps its kernel, which gets
 * every frame that no claimed flow is for: then the device has a `filter`. When the device is closed,
 * or its process dies, the kernel has the interface for itself again.
 */
import { Counters } from "../base/counters.js";
import { EINVAL, EOPNOTSUPP } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import type { Pool } from "../ring/pool.js";
import { interfaceDriver, interfaceQueues } from "../sys/interface.js";
import { interfaceIsUp, interfaceMtuBytes, setInterfaceUp } from "../sys/tap.js";
import { interfaceIndex } from "../sys/xdp-link.js";
import { Capability } from "./device.js";
import { DeviceTally } from "./device-tally.js";
import { bindQueues } from "./xdp-bind.js";
import { XDP_COUNTERS, type XdpCounter } from "./xdp-counters.js";
import { type DeviceParts, XdpDevice, type XdpModes } from "./xdp-device.js";
import {
  attachRedirectAll,
  attachSteering,
  type SteeringProgram,
  type XdpProgram,
} from "./xdp-program.js";
import { XdpQueue } from "./xdp-queue.js";
import { type MetadataFunctions, metadataFunctions, RxMetadata } from "./xdp-rx-metadata.js";

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

type Closes = DeviceParts["program"];

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
