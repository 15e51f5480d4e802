/**
 * Ports and groups that the kernel holds for a stack which shares an interface with it.
 *
 * A port: a socket of the kernel is bound where the program's is, with the same SO_REUSEADDR and
 * SO_REUSEPORT, so that kernel and Millrace never both own a port, and conflicts are the kernel's
 * own. It is bound to the shared interface, so at other interfaces, loopback included, the port is
 * as closed as before. That of a listener listens, and drops whatever reaches it: only for one that
 * listens does the kernel refuse another program that sets SO_REUSEADDR, as nearly every server does.
 *
 * A group: a socket of the kernel joins it, so that the kernel's IGMP and MLD speak for it.
 *
 * All of them end with this process, however it ends.
 */
import { EAFNOSUPPORT } from "../base/errno.js";
import { ANY4, type IpAddress } from "../base/ip-address.js";
import { KernelOption, KernelSocket, SocketType } from "../sys/kernel-socket.js";

const TCP = 6;

/** How a program's socket is bound. */
export interface PortRequest {
  /** 6 or 17. */
  readonly protocol: number;
  /** `::` is both families unless `isV6only`. */
  readonly address: IpAddress;
  /** 0: the kernel chooses one. */
  readonly port: number;
  readonly isV6only: boolean;
  readonly reuseAddress: boolean;
  readonly reusePort: boolean;
  /** A socket of the kernel's holds the port already; absent: none does. */
  readonly isHeld?: boolean;
}

/** A port that the kernel holds. */
export interface HeldPort {
  readonly port: number;
  /** The program listens: 0 or a negated error number. */
  listen(): number;
  /** It no longer does; the port stays held. */
  unlisten(): void;
  close(): void;
}

/** A membership that the kernel holds. */
export interface HeldGroup {
  /** Receives from `sources` only, or from all but them. */
  setFilter(includes: boolean, sources: readonly IpAddress[]): void;
  close(): void;
}

/** What a stack needs for its ports; tests have one of their own. */
export interface KernelHolds {
  /** A negated error number: -EADDRINUSE, -EACCES, -EMFILE. */
  holdPort(linkIndex: number, request: PortRequest): HeldPort | number;
  holdGroup(linkIndex: number, group: IpAddress): HeldGroup | number;
}

export const kernelHolds: KernelHolds = { holdPort, holdGroup };

function holdPort(linkIndex: number, request: PortRequest): HeldPort | number {
  const { address, isV6only } = request;
  let bound = address;
  let socket = bindPort(linkIndex, request, bound, request.port);
  // A kernel without IPv6: its programs have IPv4 only, and so has ours.
  const isAny6 = !address.isV4 && address.isUnspecified && !isV6only;
  if (socket === -EAFNOSUPPORT && isAny6) {
    bound = ANY4;
    socket = bindPort(linkIndex, request, bound, request.port);
  }
  return typeof socket === "number" ? socket : new BoundPort(linkIndex, request, bound, socket);
}

class BoundPort implements HeldPort {
  readonly port: number;
  private readonly linkIndex: number;
  private readonly request: PortRequest;
  private readonly address: IpAddress;
  private socket: KernelSocket;

  constructor(linkIndex: number, request: PortRequest, address: IpAddress, socket: KernelSocket) {
    this.port = request.port === 0 ? socket.port : request.port;
    this.linkIndex = linkIndex;
    this.request = request;
    this.address = address.copy();
    this.socket = socket;
  }

  /**
   * What slips past the claim must not be answered by a listener that nobody accepts from.
   * Measured: dropping at every held port would cost 11 µs of processor time each, where the socket
   * itself costs 8 (Linux 6.18): the kernel compiles every filter anew.
   */
  listen(): number {
    const result = this.socket.dropAll();
    return result < 0 ? result : this.socket.listen(1);
  }

  /** A socket that listened keeps others out for good: another one takes its place. */
  unlisten(): void {
    this.socket.close();
    const again = bindPort(this.linkIndex, this.request, this.address, this.port);
    if (typeof again !== "number") this.socket = again;
  }

  close(): void {
    this.socket.close();
  }
}

function bindPort(
  linkIndex: number,
  r: PortRequest,
  address: IpAddress,
  port: number,
): KernelSocket | number {
  const isV6 = !address.isV4;
  const type = r.protocol === TCP ? SocketType.STREAM : SocketType.DATAGRAM;
  const socket = KernelSocket.open(address.isV4, type);
  if (typeof socket === "number") return socket;
  const steps = [
    // The least there is.
    () => (r.protocol === TCP ? 0 : socket.set(KernelOption.RECEIVE_BUFFER, 0)),
    () => (isV6 ? socket.set(KernelOption.V6_ONLY, r.isV6only ? 1 : 0) : 0),
    // Whether the address is ours was decided before.
    () => socket.set(isV6 ? KernelOption.FREE_BIND6 : KernelOption.FREE_BIND4, 1),
    () => (r.reuseAddress ? socket.set(KernelOption.REUSE_ADDRESS, 1) : 0),
    () => (r.reusePort ? socket.set(KernelOption.REUSE_PORT, 1) : 0),
    () => socket.set(KernelOption.BIND_TO_INDEX, linkIndex),
    () => socket.bind(address, port, address.isLinkLocal ? linkIndex : 0),
  ];
  for (const step of steps) {
    const result = step();
    if (result < 0) {
      socket.close();
      return result;
    }
  }
  return socket;
}

function holdGroup(linkIndex: number, group: IpAddress): HeldGroup | number {
  const socket = KernelSocket.open(group.isV4, SocketType.DATAGRAM);
  if (typeof socket === "number") return socket;
  const result = socket.joinGroup(group, linkIndex);
  if (result < 0) {
    socket.close();
    return result;
  }
  return {
    setFilter(includes, sources) {
      const set = socket.setGroupFilter(group, linkIndex, includes, sources);
      // More sources than the kernel takes (igmp_max_msf): everything comes, and we choose.
      if (set < 0) socket.setGroupFilter(group, linkIndex, false, []);
    },
    close: () => socket.close(),
  };
}
