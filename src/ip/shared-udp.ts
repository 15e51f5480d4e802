/**
 * UDP sockets on interfaces that are shared with the kernel: each bound socket's port is held in the
 * kernel; an unconnected socket claims its port, a connected one exactly its peer's datagrams, and
 * joined groups are claimed for its port.
 */
import type { IpAddress } from "../base/ip-address.js";
import { ANY4 } from "../base/ip-address.js";
import * as protocols from "../wire/ip-protocol.js";
import type { Claims, Hold, LocalEnd } from "./claims.js";
import type { SharedGroups } from "./shared-groups.js";
import type { UdpEndpoint } from "./udp-endpoint.js";

/** What is claimed for a socket now. */
interface Flow {
  readonly end: LocalEnd;
  readonly remote: IpAddress | null;
  readonly remotePort: number;
}

interface Held {
  readonly hold: Hold;
  flow: Flow | null;
}

export class SharedUdp {
  private readonly claims: Claims;
  private readonly groups: SharedGroups;
  private readonly held = new Map<UdpEndpoint, Held>();

  constructor(claims: Claims, groups: SharedGroups) {
    this.claims = claims;
    this.groups = groups;
  }

  /**
   * Holds and claims a port, or with port 0 one that the kernel chooses. The port, or a negated
   * error number. The endpoint's own address and port are still to be set.
   */
  bind(
    e: UdpEndpoint,
    address: IpAddress,
    port: number,
    isFree: (port: number) => boolean,
  ): number {
    const { reuseAddress, reusePort } = e;
    const request = {
      protocol: protocols.UDP,
      address,
      port,
      isV6only: e.v6only,
      reuseAddress,
      reusePort,
      isHeld: e.kernelHolds,
    };
    const hold = this.claims.hold(request, e.ifIndex, isFree);
    if (typeof hold === "number") return hold;
    const mine: Held = { hold, flow: null };
    let result = this.claim(mine, this.flowAt(e, address, hold.port));
    const takesGroups = address.isUnspecified || address.isMulticast;
    if (result >= 0 && takesGroups) result = this.groups.bound(e.id, hold.port);
    if (result < 0) {
      this.drop(mine);
      return result;
    }
    this.held.set(e, mine);
    return hold.port;
  }

  private flowAt(e: UdpEndpoint, address: IpAddress, port: number): Flow {
    const any = address.isUnspecified && e.family === 4 ? ANY4 : address;
    const end = {
      protocol: protocols.UDP,
      address: any.copy(),
      port,
      ifIndex: e.ifIndex,
      isV6only: e.v6only,
    };
    return { end, remote: null, remotePort: 0 };
  }

  /** The peer of a socket, or its address, has changed: 0, or -ENOBUFS and the claim is the old one. */
  moved(e: UdpEndpoint): number {
    const mine = this.held.get(e);
    if (mine === undefined) return 0;
    const flow = this.flowAt(e, e.localAddress, e.localPort);
    if (!e.isConnected) return this.claim(mine, flow);
    const isGroup = e.remoteAddress.isMulticast;
    // Answers to a group come from anybody's own address: only the port says whose they are.
    if (isGroup) return this.claim(mine, flow);
    return this.claim(mine, { ...flow, remote: e.remoteAddress.copy(), remotePort: e.remotePort });
  }

  /** Claims the new flow before the old one is given up. */
  private claim(mine: Held, flow: Flow): number {
    if (mine.flow !== null && isSame(mine.flow, flow)) return 0;
    const result = this.add(flow);
    if (result < 0) return result;
    if (mine.flow !== null) this.remove(mine.flow);
    mine.flow = flow;
    return 0;
  }

  private add({ end, remote, remotePort }: Flow): number {
    if (end.address.isMulticast) return 0; // claimed by joining
    if (remote === null) return this.claims.addPort(end);
    return this.claims.addFlow(end.protocol, end.address, end.port, remote, remotePort);
  }

  private remove({ end, remote, remotePort }: Flow): void {
    if (end.address.isMulticast) return;
    if (remote === null) this.claims.removePort(end);
    else this.claims.removeFlow(end.protocol, end.address, end.port, remote, remotePort);
  }

  private drop(mine: Held): void {
    if (mine.flow !== null) this.remove(mine.flow);
    this.claims.release(mine.hold);
  }

  /** The socket gives its port up. */
  release(e: UdpEndpoint): void {
    const mine = this.held.get(e);
    if (mine === undefined) return;
    this.held.delete(e);
    this.groups.unbound(e.id);
    this.drop(mine);
  }
}

function isSame(a: Flow, b: Flow): boolean {
  const remotes = a.remote === null ? b.remote === null : (b.remote?.equals(a.remote) ?? false);
  return remotes && a.remotePort === b.remotePort && a.end.address.equals(b.end.address);
}
