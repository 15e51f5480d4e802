/**
 * Multicast memberships of one interface: each socket's filter per group, the merged filter that
 * decides what is received, and word to IGMP or MLD when that changes (RFC 3678, RFC 3376 §4).
 *
 * Groups that the stack itself listens to (all-systems, solicited-node) have the owner `STACK`.
 */
import type { IpAddress } from "../base/ip-address.js";
import { merge, NO_SOURCES, type SourceFilter, sameFilter } from "./source-filter.js";

/** The stack's own memberships. */
export const STACK = 0;

/** Hears of every change of a merged filter. */
export interface FilterListener {
  filterChanged(group: IpAddress, before: SourceFilter, after: SourceFilter): void;
}

export class Group {
  readonly address: IpAddress;
  /** Filter by owner (a socket's number). */
  readonly owners = new Map<number, SourceFilter>();
  merged: SourceFilter = NO_SOURCES;
  /** Another group whose last word is the same. */
  next: Group | null = null;

  constructor(address: IpAddress) {
    this.address = address;
  }
}

export class MulticastFilters {
  /** By the last word of the address. */
  private readonly groups = new Map<number, Group>();
  /** Who reports changes to routers; set once the interface exists. */
  listener: FilterListener | null = null;

  /** Hot path. The group's state when anybody here listens to it. */
  find(group: IpAddress): Group | null {
    let g = this.groups.get(group.w3) ?? null;
    while (g !== null && !g.address.equals(group)) g = g.next;
    return g;
  }

  /** Sets an owner's filter for a group: INCLUDE of nothing is leaving. */
  set(owner: number, group: IpAddress, filter: SourceFilter): void {
    let g = this.find(group);
    const leaves = sameFilter(filter, NO_SOURCES);
    if (g === null) {
      if (leaves) return;
      g = new Group(group.copy());
      g.next = this.groups.get(group.w3) ?? null;
      this.groups.set(group.w3, g);
    }
    if (leaves) g.owners.delete(owner);
    else g.owners.set(owner, filter);
    const before = g.merged;
    g.merged = merge([...g.owners.values()]);
    if (g.owners.size === 0) this.unlink(g);
    if (!sameFilter(before, g.merged)) this.listener?.filterChanged(g.address, before, g.merged);
  }

  /** What an owner asked for, or null. */
  filterOf(owner: number, group: IpAddress): SourceFilter | null {
    return this.find(group)?.owners.get(owner) ?? null;
  }

  /** Ends all memberships of an owner. */
  leaveAll(owner: number): void {
    for (const g of [...this]) if (g.owners.has(owner)) this.set(owner, g.address, NO_SOURCES);
  }

  *[Symbol.iterator](): Iterator<Group> {
    for (const first of this.groups.values()) {
      for (let g: Group | null = first; g !== null; g = g.next) yield g;
    }
  }

  private unlink(gone: Group): void {
    const first = this.groups.get(gone.address.w3) ?? null;
    if (first === gone) {
      if (gone.next === null) this.groups.delete(gone.address.w3);
      else this.groups.set(gone.address.w3, gone.next);
      return;
    }
    for (let g = first; g !== null; g = g.next) if (g.next === gone) g.next = gone.next;
  }
}
