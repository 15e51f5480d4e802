/**
 * What all XDP programs of ours share: the map of AF_XDP sockets, loading, attaching, and the end.
 */
import { BpfMap, MapType } from "../sys/bpf-map.js";
import { AttachType, loadProgram, ProgramFlag, ProgramType } from "../sys/bpf-program.js";
import { failure } from "../sys/check.js";
import { closeFd } from "../sys/fd.js";
import { XdpLink, type XdpMode } from "../sys/xdp-link.js";
import type { XdpProgram, XdpProgramOptions } from "./xdp-program.js";

const DEFAULT_QUEUES = 64;

/** The map through which a program reaches AF_XDP sockets, empty. */
export function createSocketMap(maxQueues = DEFAULT_QUEUES): BpfMap {
  const name = "mr_sockets";
  return BpfMap.create({
    type: MapType.XSKMAP,
    keyBytes: 4,
    valueBytes: 4,
    maxEntries: maxQueues,
    name,
  });
}

/**
 * Loads and attaches; the link alone keeps the program afterwards. A program that is bound to the
 * interface of index `boundTo` may ask it for metadata.
 */
export function attachCode(
  options: XdpProgramOptions,
  code: Uint8Array,
  name: string,
  boundTo = 0,
): XdpLink {
  const programFd = loadXdp(code, name, options.hasFrags === true, boundTo);
  try {
    // Generic mode does not take programs that are bound to a device.
    const mode = boundTo !== 0 ? "native" : (options.mode ?? "auto");
    return XdpLink.attach({ interfaceName: options.interface, programFd, mode });
  } finally {
    closeFd(programFd);
  }
}

/** Loads an XDP program; the descriptor is the caller's. */
export function loadXdp(code: Uint8Array, name: string, hasFrags: boolean, boundTo = 0): number {
  const frags = hasFrags ? ProgramFlag.XDP_HAS_FRAGS : 0;
  const bound = boundTo === 0 ? 0 : ProgramFlag.XDP_DEV_BOUND_ONLY;
  return loadProgram({
    type: ProgramType.XDP,
    attachType: AttachType.XDP,
    code,
    name,
    flags: frags | bound,
    // The kernel lends its functions only to programs that say so; ours may be used under either.
    ...(boundTo === 0 ? {} : { boundTo, license: "Dual MIT/GPL" }),
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
