/**
 * XDP programs of ours on an interface. They hand frames to the AF_XDP sockets in an XSKMAP, one for
 * each receive queue, and leave with this process, whatever ends it (bpf_link).
 */
import type { IpAddress } from "../base/ip-address.js";
import { type AssembledProgram, linkMaps } from "../ebpf/assembled-program.js";
import type { BpfMap } from "../sys/bpf-map.js";
import { interfaceIndex, type XdpLink, type XdpMode } from "../sys/xdp-link.js";
import type { FlowFilter } from "./flow-filter.js";
import {
  createSteeringCounters,
  readSteeringCounters,
  type SteeringCounters,
} from "./steering-counters.js";
import { SteeringFilter, type SteeringFilterOptions } from "./steering-filter.js";
import { type SteeringProgramOptions, steeringProgram } from "./steering-program.js";
import { AttachedXdp, attachCode, createSocketMap } from "./xdp-attach.js";
import { SOCKETS_MAP } from "./xdp-context.js";
import { redirectAllProgram } from "./xdp-redirect.js";
import type { MetadataFunctions } from "./xdp-rx-metadata.js";

export interface XdpProgramOptions {
  /** Name of the interface in this network namespace. */
  readonly interface: string;
  /** `auto` (if absent): native, and generic where the driver cannot. */
  readonly mode?: XdpMode | "auto";
  /** For frames in several buffers (jumbo): from Linux 5.18 on, native mode needs it for large MTUs. */
  readonly hasFrags?: boolean;
  /** Receive queues that may have a socket: numbers below this. 64 if absent. */
  readonly maxQueues?: number;
}

export interface XdpProgram {
  readonly mode: XdpMode;
  /** Why the mode is generic although native was tried; null otherwise. */
  readonly fallbackReason: string | null;
  readonly xskMapFd: number;
  /**
   * Gives the frames of a receive queue to an AF_XDP socket, which must be bound to that queue.
   * Closing the socket gives them back. Throws `NetError`.
   */
  setSocket(queue: number, socketFd: number): void;
  /** Takes the program off the interface: the kernel gets every frame again. Idempotent. */
  close(): void;
}

/** A program for an interface that the kernel keeps: only claimed flows go to the sockets. */
export interface SteeringProgram extends XdpProgram {
  /** Claims take effect at once. */
  readonly filter: FlowFilter;
  /** As {@link readCounters} last read them. */
  readonly counters: SteeringCounters;
  /** What became of the frames so far; after `close`, as last read. A dozen system calls. */
  readCounters(): SteeringCounters;
  /**
   * Says which addresses (broadcast ones included) are the host's: a port that is claimed at any
   * address is claimed at these, and what the kernel only routes is left to it. Null, as at the start:
   * every address. Throws `NetError`.
   */
  setLocalAddresses(addresses: readonly IpAddress[] | null): void;
}

export type SteeringOptions = XdpProgramOptions & SteeringProgramOptions & SteeringFilterOptions;

/**
 * Everything that the interface receives goes to the sockets, with metadata of the NIC when functions
 * for it are given. Throws `NetError`.
 */
export function attachRedirectAll(
  options: XdpProgramOptions,
  metadata: MetadataFunctions | null = null,
): XdpProgram {
  const sockets = createSocketMap(options.maxQueues);
  try {
    const code = linkMaps(redirectAllProgram(metadata), { [SOCKETS_MAP]: sockets.fd });
    const boundTo = metadata === null ? 0 : interfaceIndex(options.interface);
    return new AttachedXdp(sockets, attachCode(options, code, "millrace_all", boundTo));
  } catch (error) {
    sockets.close();
    throw error;
  }
}

/** Only what is claimed through the filter goes to the sockets. Throws `NetError`. */
export function attachSteering(options: SteeringOptions): SteeringProgram {
  const filter = new SteeringFilter(options);
  let sockets: BpfMap | null = null;
  try {
    sockets = createSocketMap(options.maxQueues);
    const code = linkSteering(steeringProgram(options), filter, sockets);
    return new AttachedSteering(filter, sockets, attachCode(options, code, "millrace_steer"));
  } catch (error) {
    sockets?.close();
    filter.close();
    throw error;
  }
}

/** The code with the filter's maps and the sockets'. */
export function linkSteering(
  program: AssembledProgram,
  filter: SteeringFilter,
  sockets: BpfMap,
): Uint8Array {
  const fds: Record<string, number> = { [SOCKETS_MAP]: sockets.fd };
  for (const [name, map] of Object.entries(filter.maps)) fds[name] = map.fd;
  return linkMaps(program, fds);
}

class AttachedSteering extends AttachedXdp implements SteeringProgram {
  readonly filter: SteeringFilter;
  readonly counters: SteeringCounters = createSteeringCounters();

  /** Takes all three. */
  constructor(filter: SteeringFilter, sockets: BpfMap, link: XdpLink) {
    super(sockets, link);
    this.filter = filter;
  }

  readCounters(): SteeringCounters {
    readSteeringCounters(this.filter.counters, this.counters);
    return this.counters;
  }

  setLocalAddresses(addresses: readonly IpAddress[] | null): void {
    this.filter.setLocalAddresses(addresses);
  }

  override close(): void {
    super.close();
    this.filter.close();
  }
}
