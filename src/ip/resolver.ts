/**
 * From a destination to a path: what kind it is, which interface and next hop lead there, which
 * address to send from. Runs when a path is first needed or has gone stale; results are cached.
 */
import { EADDRNOTAVAIL, ENETUNREACH, ENOBUFS } from "../base/errno.js";
import { ANY4, ANY6, IpAddress } from "../base/ip-address.js";
import { RouteType } from "../nic/kernel-network.js";
import type { Interface } from "./interface.js";
import type { Ip } from "./ip.js";
import type { KernelSide } from "./kernel-side.js";
import { Neighbour, NeighbourState } from "./neighbour.js";
import { Path, PathKind } from "./path.js";
import type { Route } from "./routes.js";

const LOOPBACK4: IpAddress = IpAddress.parse("127.0.0.1");
const LOOPBACK6: IpAddress = IpAddress.parse("::1");
/** Neighbours that last failed are gone around when there is another gateway. */
const isAlive = (n: Neighbour | null): boolean =>
  n === null || n.state !== NeighbourState.FAILED || n.probes === 0;

export class Resolver {
  private readonly ip: Ip;
  /** Error number (positive) of the last {@link resolve} that returned null. */
  errno = 0;

  constructor(ip: Ip) {
    this.ip = ip;
  }

  /** The path to `dst` from `src` (null: any) through interface `ifIndex` (0: any), or null. */
  resolve(dst: IpAddress, src: IpAddress | null, ifIndex: number): Path | null {
    const constraint = src === null || src.isUnspecified ? ANY6 : src;
    const known = this.ip.paths.find(constraint, dst, ifIndex);
    if (known !== null) return known;
    if (dst.isUnspecified) return this.resolve(dst.isV4 ? LOOPBACK4 : LOOPBACK6, src, ifIndex);
    const path = this.build(dst, constraint === ANY6 ? null : constraint, ifIndex);
    if (path !== null) this.ip.paths.add(constraint.copy(), ifIndex, path);
    return path;
  }

  private build(dst: IpAddress, src: IpAddress | null, ifIndex: number): Path | null {
    if (src !== null && src.isV4 !== dst.isV4) return this.fail(ENETUNREACH);
    if (src !== null && !this.ip.isLocal(src)) return this.fail(EADDRNOTAVAIL);
    if (this.isLocal(dst, ifIndex)) return this.buildLocal(dst, src);
    if (dst.isMulticast) return this.buildGroup(dst, src, ifIndex);
    if (dst.isV4 && this.ip.addresses.isBroadcast4(dst.w3)) {
      return this.buildBroadcast(dst, src, ifIndex);
    }
    return this.buildUnicast(dst, src, ifIndex);
  }

  /** Whether `dst` is ours; a link-local address only on the link that is meant, if one is. */
  private isLocal(dst: IpAddress, ifIndex: number): boolean {
    const iface =
      ifIndex !== 0 && !dst.isV4 && dst.isLinkLocal ? this.ip.interfaceAt(ifIndex) : null;
    if (iface === null || iface.isLoopback) return this.ip.isLocal(dst);
    return this.ip.addresses.isLocal6On(iface, dst);
  }

  private fail(errno: number): null {
    this.errno = errno;
    return null;
  }

  private buildLocal(dst: IpAddress, src: IpAddress | null): Path {
    const lo = this.ip.lo;
    const nobody = Neighbour.permanent(lo, dst, 0, 0);
    return this.make(dst, src ?? dst, dst, lo, PathKind.LOCAL, nobody);
  }

  private buildUnicast(dst: IpAddress, src: IpAddress | null, ifIndex: number): Path | null {
    const route = this.ip.routes.find(dst, ifIndex, (r) => this.isUsable(r, dst));
    let iface = route?.iface ?? null;
    if (iface === null && ifIndex !== 0) iface = this.ip.interfaceAt(ifIndex);
    const asksKernel = this.ip.kernel !== null && route === null;
    if (asksKernel && (iface === null || iface.kernelIndex !== 0)) {
      return this.buildShared(this.ip.kernel!, dst, src, ifIndex);
    }
    if (iface === null || iface.isLoopback) return this.fail(ENETUNREACH);
    const nextHop = route?.gateway ?? dst;
    const from = src ?? route?.src ?? this.ip.addresses.source(iface, dst, nextHop);
    if (from === null) return this.fail(dst.isV4 ? ENETUNREACH : EADDRNOTAVAIL);
    const neighbour = this.ip.neighbours.lookup(iface, nextHop);
    if (neighbour === null) return this.fail(ENOBUFS);
    return this.make(dst, from, nextHop, iface, PathKind.UNICAST, neighbour);
  }

  /** A path that the kernel has chosen. */
  private buildShared(
    kernel: KernelSide,
    dst: IpAddress,
    src: IpAddress | null,
    ifIndex: number,
  ): Path | null {
    const route = kernel.lookup(dst, src, ifIndex);
    if (typeof route === "number") return this.fail(-route);
    const iface = kernel.interfaceOf(route);
    const from = src ?? route.source;
    if (route.type !== RouteType.UNICAST || from === null) return this.fail(ENETUNREACH);
    const nextHop = route.gateway ?? dst;
    const neighbour = this.ip.neighbours.lookup(iface, nextHop);
    if (neighbour === null) return this.fail(ENOBUFS);
    const path = this.make(dst, from, nextHop, iface, PathKind.UNICAST, neighbour);
    if (route.mtuBytes !== 0) path.mtuBytes = Math.min(path.mtuBytes, route.mtuBytes);
    return path;
  }

  private isUsable(route: Route, dst: IpAddress): boolean {
    if (!route.iface.isUp) return false;
    return isAlive(this.ip.neighbours.find(route.iface, route.gateway ?? dst));
  }

  /** The interface for groups and 255.255.255.255: the one given, the route's, or the first. */
  private groupInterface(dst: IpAddress, src: IpAddress | null, ifIndex: number): Interface | null {
    if (ifIndex !== 0) return this.ip.interfaceAt(ifIndex);
    const owner = src === null ? null : this.ip.addresses.interfaceOf(src);
    if (owner !== null && !owner.isLoopback) return owner;
    const route = this.ip.routes.find(dst, 0, (r) => r.iface.isUp);
    if (route !== null) return route.iface;
    const shared = this.ip.kernel?.lookup(dst, src, 0) ?? ENETUNREACH;
    if (typeof shared !== "number") return this.ip.kernel!.interfaceOf(shared);
    for (const iface of this.ip.interfaces) {
      if (!iface.isLoopback && iface.isUp) return iface;
    }
    return null;
  }

  /** As {@link groupInterface}, where no link is up: a group may be joined before one is. */
  interfaceWithoutLink(dst: IpAddress): Interface | null {
    const route = this.ip.routes.find(dst, 0, () => true);
    if (route !== null) return route.iface;
    return this.ip.interfaces.find((iface) => !iface.isLoopback) ?? null;
  }

  private buildGroup(dst: IpAddress, src: IpAddress | null, ifIndex: number): Path | null {
    const iface = this.groupInterface(dst, src, ifIndex);
    if (iface === null) return this.fail(ENETUNREACH);
    const from = src ?? this.ip.addresses.source(iface, dst, dst);
    if (from === null) return this.fail(dst.isV4 ? ENETUNREACH : EADDRNOTAVAIL);
    return this.make(dst, from, dst, iface, PathKind.MULTICAST, groupNeighbour(iface, dst));
  }

  private buildBroadcast(dst: IpAddress, src: IpAddress | null, ifIndex: number): Path | null {
    const own = this.ip.addresses.interfaceOfBroadcast(dst.w3);
    if (own !== null && ifIndex !== 0 && own.index !== ifIndex) return this.fail(ENETUNREACH);
    const iface = own ?? this.groupInterface(dst, src, ifIndex);
    if (iface === null) return this.fail(ENETUNREACH);
    const from = src ?? this.ip.addresses.source(iface, dst, dst) ?? ANY4;
    const everybody = Neighbour.permanent(iface, dst, 0xffff, -1);
    return this.make(dst, from, dst, iface, PathKind.BROADCAST, everybody);
  }

  /** An uncached path to a group on an interface, from any source: `::` and `0.0.0.0` too. */
  groupPath(iface: Interface, group: IpAddress, src: IpAddress): Path {
    const path = new Path({
      id: 1,
      src,
      dst: group,
      nextHop: group,
      iface,
      kind: PathKind.MULTICAST,
      neighbour: groupNeighbour(iface, group),
      mtuBytes: group.isV4 ? iface.mtu4Bytes : iface.mtu6Bytes,
      firstId: this.ip.random.int32(),
    });
    path.isStale = true; // nobody may keep it
    return path;
  }

  private make(
    dst: IpAddress,
    src: IpAddress,
    nextHop: IpAddress,
    iface: Interface,
    kind: number,
    neighbour: Neighbour,
  ): Path {
    const linkMtu = dst.isV4 ? iface.mtu4Bytes : iface.mtu6Bytes;
    const mtuBytes = kind === PathKind.UNICAST ? this.ip.pathMtu.mtuFor(dst, linkMtu) : linkMtu;
    const firstId = this.ip.random.int32();
    const id = this.ip.paths.nextId();
    return new Path({
      id,
      src: src.copy(),
      dst: dst.copy(),
      nextHop: nextHop.copy(),
      iface,
      kind,
      neighbour,
      mtuBytes,
      firstId,
    });
  }
}

function groupNeighbour(iface: Interface, group: IpAddress): Neighbour {
  if (group.isV4) {
    return Neighbour.permanent(iface, group, 0x0100, 0x5e000000 | (group.w3 & 0x7fffff));
  }
  return Neighbour.permanent(iface, group, 0x3333, group.w3);
}
