/**
 * The multicast memberships of one socket: joins, leaves and source filters as RFC 3678 and Linux's
 * socket options mean them, with Linux's error numbers.
 */
import { EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENOBUFS, ENODEV } from "../base/errno.js";
import type { IpAddress } from "../base/ip-address.js";
import type { Interface } from "./interface.js";
import type { Ip } from "./ip.js";
import {
  ALL_SOURCES,
  allows,
  FilterMode,
  holds,
  NO_SOURCES,
  type SourceFilter,
} from "./source-filter.js";

/** Sources per membership (Linux's igmp_max_msf is 10). */
export const MAX_SOURCES = 64;

interface Membership {
  readonly ifIndex: number;
  readonly group: IpAddress;
  filter: SourceFilter;
}

export class Memberships {
  private readonly ip: Ip;
  private readonly owner: number;
  private list: Membership[] = [];
  /** Whether groups that others joined are received too when this socket joined none of them. */
  all = true;

  /** `owner` is the socket's number, greater than 0. */
  constructor(ip: Ip, owner: number) {
    this.ip = ip;
    this.owner = owner;
  }

  /** Hot path. Whether a packet to a group, from a source, came in as this socket wants it. */
  accepts(ifIndex: number, group: IpAddress, source: IpAddress): boolean {
    for (let i = 0; i < this.list.length; i++) {
      const m = this.list[i]!;
      if (m.ifIndex === ifIndex && m.group.equals(group)) return allows(m.filter, source);
    }
    return this.all;
  }

  join(group: IpAddress, ifIndex: number): number {
    const iface = this.interfaceFor(group, ifIndex);
    if (typeof iface === "number") return iface;
    if (this.find(group, iface) !== null) return -EADDRINUSE;
    return this.set(group, iface, ALL_SOURCES);
  }

  leave(group: IpAddress, ifIndex: number): number {
    const m = this.findAny(group, ifIndex);
    if (m === null) return this.isNowhere(group, ifIndex) ? -ENODEV : -EADDRNOTAVAIL;
    this.change(m, NO_SOURCES);
    return 0;
  }

  joinSource(group: IpAddress, source: IpAddress, ifIndex: number): number {
    const iface = this.interfaceFor(group, ifIndex);
    if (typeof iface === "number") return iface;
    const m = this.find(group, iface);
    if (m === null) {
      return this.set(group, iface, { mode: FilterMode.INCLUDE, sources: [source.copy()] });
    }
    if (m.filter.mode !== FilterMode.INCLUDE) return -EINVAL;
    if (holds(m.filter.sources, source)) return -EADDRNOTAVAIL;
    return this.addSource(m, source);
  }

  leaveSource(group: IpAddress, source: IpAddress, ifIndex: number): number {
    const m = this.findAny(group, ifIndex);
    if (m === null) return this.isNowhere(group, ifIndex) ? -ENODEV : -EINVAL;
    if (!holds(m.filter.sources, source)) return -EADDRNOTAVAIL;
    if (m.filter.mode !== FilterMode.INCLUDE) return -EINVAL;
    this.removeSource(m, source);
    return 0;
  }

  blockSource(group: IpAddress, source: IpAddress, ifIndex: number): number {
    const m = this.findAny(group, ifIndex);
    if (m === null) return this.isNowhere(group, ifIndex) ? -ENODEV : -EINVAL;
    if (m.filter.mode !== FilterMode.EXCLUDE) return -EINVAL;
    if (holds(m.filter.sources, source)) return -EADDRNOTAVAIL;
    return this.addSource(m, source);
  }

  unblockSource(group: IpAddress, source: IpAddress, ifIndex: number): number {
    const m = this.findAny(group, ifIndex);
    if (m === null) return this.isNowhere(group, ifIndex) ? -ENODEV : -EINVAL;
    if (!holds(m.filter.sources, source)) return -EADDRNOTAVAIL;
    if (m.filter.mode !== FilterMode.EXCLUDE) return -EINVAL;
    this.removeSource(m, source);
    return 0;
  }

  /** Replaces the whole filter (RFC 3678 §4.2, setsourcefilter). */
  setFilter(group: IpAddress, ifIndex: number, filter: SourceFilter): number {
    const iface = this.interfaceFor(group, ifIndex);
    if (typeof iface === "number") return iface;
    if (filter.sources.length > MAX_SOURCES) return -ENOBUFS;
    const sources = filter.sources.map((s) => s.copy());
    return this.set(group, iface, { mode: filter.mode, sources });
  }

  filterOf(group: IpAddress, ifIndex: number): SourceFilter | null {
    return this.findAny(group, ifIndex)?.filter ?? null;
  }

  /** Leaves everything: the socket closes. */
  leaveAll(): void {
    for (const m of [...this.list]) this.change(m, NO_SOURCES);
  }

  private addSource(m: Membership, source: IpAddress): number {
    if (m.filter.sources.length >= MAX_SOURCES) return -ENOBUFS;
    this.change(m, { mode: m.filter.mode, sources: [...m.filter.sources, source.copy()] });
    return 0;
  }

  private removeSource(m: Membership, source: IpAddress): void {
    const sources = m.filter.sources.filter((s) => !s.equals(source));
    this.change(m, { mode: m.filter.mode, sources });
  }

  private set(group: IpAddress, iface: Interface, filter: SourceFilter): number {
    let m = this.find(group, iface);
    if (m === null && !isNothing(filter)) {
      const isShared = iface.kernelIndex !== 0;
      const joined = isShared ? this.ip.kernel!.groups.join(this.owner, iface, group) : 0;
      if (joined < 0) return joined;
    }
    if (m === null) {
      m = { ifIndex: iface.index, group: group.copy(), filter };
      this.list.push(m);
    }
    this.change(m, filter);
    return 0;
  }

  private change(m: Membership, filter: SourceFilter): void {
    m.filter = filter;
    const isGone = isNothing(filter);
    if (isGone) this.list = this.list.filter((other) => other !== m);
    const iface = this.ip.interfaceAt(m.ifIndex);
    if (iface === null) return;
    this.ip.setGroup(iface, this.owner, m.group, filter);
    if (isGone && iface.kernelIndex !== 0) {
      this.ip.kernel!.groups.leave(this.owner, iface, m.group);
    }
  }

  private find(group: IpAddress, iface: Interface): Membership | null {
    return this.list.find((m) => m.ifIndex === iface.index && m.group.equals(group)) ?? null;
  }

  private findAny(group: IpAddress, ifIndex: number): Membership | null {
    return (
      this.list.find((m) => m.group.equals(group) && (ifIndex === 0 || m.ifIndex === ifIndex)) ??
      null
    );
  }

  /** No interface is given, and none follows from a route: Linux asks this first (`ip_mc_find_dev`), for IPv4. */
  private isNowhere(group: IpAddress, ifIndex: number): boolean {
    return group.isV4 && ifIndex === 0 && this.ip.resolve(group, null, 0) === null;
  }

  /** The interface given, or the one that the route to the group takes; or a negated error number. */
  private interfaceFor(group: IpAddress, ifIndex: number): Interface | number {
    if (!group.isMulticast) return -EINVAL;
    if (ifIndex !== 0) return this.ip.interfaceAt(ifIndex) ?? -ENODEV;
    const path = this.ip.resolve(group, null, 0);
    if (path !== null) return path.iface;
    return this.ip.resolver.interfaceWithoutLink(group) ?? -ENODEV;
  }
}

/** The filter of who has left. */
const isNothing = (filter: SourceFilter): boolean =>
  filter.mode === FilterMode.INCLUDE && filter.sources.length === 0;
