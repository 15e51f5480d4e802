/**
 * XDP programs of ours on an interface. They hand frames to the AF_XDP sockets in an XSKMAP, one for
 * each receive queue, and leave with this process, whatever ends it (bpf_link).
 */
import { linkMaps } from "../ebpf/asm.js";
import { BpfMap, MapType } from "../sys/bpf-map.js";
import { AttachType, loadProgram, ProgramFlag, ProgramType } from "../sys/bpf-program.js";
import { failure } from "../sys/check.js";
import { closeFd } from "../sys/fd.js";
import { XdpLink, type XdpMode } from "../sys/xdp-link.js";
import type { FlowFilter } from "./flow-filter.js";
import { SOCKETS_MAP } from "./xdp-context.js";
import { redirectAllProgram } from "./xdp-redirect.js";

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
  readonly filter: FlowFilter;
}

const DEFAULT_QUEUES = 64;

/** Everything that the interface receives goes to the sockets. Throws `NetError`. */
export function attachRedirectAll(options: XdpProgramOptions): XdpProgram {
  const sockets = createSocketMap(options.maxQueues ?? DEFAULT_QUEUES);
  try {
    const code = linkMaps(redirectAllProgram(), { [SOCKETS_MAP]: sockets.fd });
    return new AttachedXdp(sockets, attachCode(options, code, "millrace_all"));
  } catch (error) {
    sockets.close();
    throw error;
  }
}

/** The map through which a program reaches AF_XDP sockets, empty. */
export function createSocketMap(maxQueues: number): BpfMap {
  const name = "mr_sockets";
  return BpfMap.create({
    type: MapType.XSKMAP,
    keyBytes: 4,
    valueBytes: 4,
    maxEntries: maxQueues,
    name,
  });
}

/** Loads and attaches; the link alone keeps the program afterwards. */
export function attachCode(options: XdpProgramOptions, code: Uint8Array, name: string): XdpLink {
  const programFd = loadXdp(code, name, options.hasFrags === true);
  try {
    const mode = options.mode ?? "auto";
    return XdpLink.attach({ interfaceName: options.interface, programFd, mode });
  } finally {
    closeFd(programFd);
  }
}

/** Loads an XDP program; the descriptor is the caller's. */
export function loadXdp(code: Uint8Array, name: string, hasFrags: boolean): number {
  return loadProgram({
    type: ProgramType.XDP,
    attachType: AttachType.XDP,
    code,
    name,
    flags: hasFrags ? ProgramFlag.XDP_HAS_FRAGS : 0,
  });
}

/** An attached program and its sockets. */
export class AttachedXdp implements XdpProgram {
  private readonly sockets: BpfMap;
  private readonly link: XdpLink;

  /** Takes both. */
  constructor(sockets: BpfMap, link: XdpLink) {
    this.sockets = sockets;
    this.link = link;
  }

  get mode(): XdpMode {
    return this.link.mode;
  }

  get fallbackReason(): string | null {
    return this.link.fallbackReason;
  }

  get xskMapFd(): number {
    return this.sockets.fd;
  }

  setSocket(queue: number, socketFd: number): void {
    const result = this.sockets.update(wordOf(queue), wordOf(socketFd));
    if (result < 0) throw failure(result, `bpf BPF_MAP_UPDATE_ELEM ${this.sockets.name}`);
  }

  close(): void {
    this.link.close();
    this.sockets.close();
  }
}

/** A 32-bit number as the host's (little endian) bytes. */
function wordOf(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}
