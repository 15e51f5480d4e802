/**
 * Groups joined on interfaces that are shared with the kernel. The kernel joins each of them once,
 * with the merged source filter, and its IGMP or MLD speaks to the routers; the interface's filter
 * claims the group for the port of each socket that joined it, as soon as it has one.
 *
 * Not here: a socket that joined nothing gets groups that others joined (IP_MULTICAST_ALL) only at
 * ports where a member is bound too.
 */
import type { IpAddress } from "../base/ip-address.js";
import type { HeldGroup, KernelHolds } from "../nic/kernel-ports.js";
import type { Claims, SharedLink } from "./claims.js";
import type { Interface } from "./interface.js";
import { FilterMode, type SourceFilter } from "./source-filter.js";

/** One socket's membership. */
interface Membership {
  readonly link: SharedLink;
  readonly group: IpAddress;
}

/** A membership of the kernel's, for everybody here. */
interface Joined {
  readonly held: HeldGroup;
  members: number;
}

export class SharedGroups {
  private readonly claims: Claims;
  private readonly holds: KernelHolds;
  private readonly joined = new Map<string, Joined>();
  /** By the socket's number. */
  private readonly members = new Map<number, Membership[]>();
  /** Ports at which sockets receive groups, by the socket's number. */
  private readonly ports = new Map<number, number>();

  constructor(claims: Claims, holds: KernelHolds) {
    this.claims = claims;
    this.holds = holds;
  }

  /** A socket joins a group: 0, -ENOBUFS, or the kernel's error number. */
  join(owner: number, iface: Interface, group: IpAddress): number {
    const link = this.claims.links.find((l) => l.iface === iface)!;
    const port = this.ports.get(owner) ?? 0;
    if (port !== 0 && link.filter.addGroup(group, port) < 0) return this.claims.refused();
    const result = this.hold(link, group);
    if (result < 0) {
      if (port !== 0) link.filter.removeGroup(group, port);
      return result;
    }
    const list = this.members.get(owner) ?? [];
    this.members.set(owner, [...list, { link, group: group.copy() }]);
    return 0;
  }

  private hold(link: SharedLink, group: IpAddress): number {
    const key = keyOf(link, group);
    const known = this.joined.get(key);
    if (known !== undefined) {
      known.members++;
      return 0;
    }
    const held = this.holds.holdGroup(link.linkIndex, group);
    if (typeof held === "number") return held;
    this.joined.set(key, { held, members: 1 });
    return 0;
  }

  /** A socket leaves a group that it joined. */
  leave(owner: number, iface: Interface, group: IpAddress): void {
    const list = this.members.get(owner) ?? [];
    const m = list.find((one) => one.link.iface === iface && one.group.equals(group));
    if (m === undefined) return;
    const rest = list.filter((one) => one !== m);
    if (rest.length === 0) this.members.delete(owner);
    else this.members.set(owner, rest);
    const port = this.ports.get(owner) ?? 0;
    if (port !== 0) m.link.filter.removeGroup(group, port);
    const joined = this.joined.get(keyOf(m.link, group))!;
    joined.members--;
    if (joined.members > 0) return;
    joined.held.close();
    this.joined.delete(keyOf(m.link, group));
  }

  /** What all sockets together want of a group has changed. */
  filterChanged(iface: Interface, group: IpAddress, filter: SourceFilter): void {
    const link = this.claims.links.find((l) => l.iface === iface)!;
    const isLeft = filter.mode === FilterMode.INCLUDE && filter.sources.length === 0;
    if (isLeft) return; // `leave` follows
    const includes = filter.mode === FilterMode.INCLUDE;
    this.joined.get(keyOf(link, group))?.held.setFilter(includes, filter.sources);
  }

  /** A socket now receives groups at a port: 0 or -ENOBUFS. */
  bound(owner: number, port: number): number {
    const list = this.members.get(owner) ?? [];
    for (const [i, m] of list.entries()) {
      if (m.link.filter.addGroup(m.group, port) >= 0) continue;
      for (const done of list.slice(0, i)) done.link.filter.removeGroup(done.group, port);
      return this.claims.refused();
    }
    this.ports.set(owner, port);
    return 0;
  }

  /** It has no port any more. */
  unbound(owner: number): void {
    const port = this.ports.get(owner);
    if (port === undefined) return;
    this.ports.delete(owner);
    for (const m of this.members.get(owner) ?? []) m.link.filter.removeGroup(m.group, port);
  }

  /** Nothing is held any more. */
  close(): void {
    for (const { held } of this.joined.values()) held.close();
    this.joined.clear();
    this.members.clear();
    this.ports.clear();
  }
}

const keyOf = (link: SharedLink, group: IpAddress): string => `${link.linkIndex} ${group}`;
