/**
 * The routing table: longest prefix first, then lowest metric, then the order of insertion.
 *
 * One table for both families over 128-bit keys: prefixes of one length are a map, and the lengths
 * in use are tried from the longest. That costs a map look-up per length, paid when a path is
 * resolved and not per packet (`path-cache.ts`).
 *
 * Not here: equal-cost multipath spreading, policy routing, routes by TOS.
 */
import { IpAddress } from "../base/ip-address.js";
import type { Interface } from "./interface.js";
import { maskTo, samePrefix } from "./prefix.js";

/** Who made a route. */
export const RouteOrigin = { USER: 0, CONNECTED: 1, ROUTER: 2, REDIRECT: 3 } as const;

export interface Route {
  readonly destination: IpAddress;
  /** In the 128-bit form: an IPv4 default route has 96. */
  readonly bits: number;
  readonly iface: Interface;
  /** Null for destinations on the link itself. */
  readonly gateway: IpAddress | null;
  readonly metric: number;
  /** Preferred source address. */
  readonly src: IpAddress | null;
  readonly origin: number;
  expiresAtUs: number;
}

export class RouteTable {
  private readonly byLength: (Map<string, Route[]> | null)[] = new Array(129).fill(null);
  /** Lengths in use, longest first. */
  private lengths: number[] = [];
  private readonly key = new IpAddress();
  private count = 0;

  get size(): number {
    return this.count;
  }

  add(route: Route): void {
    let map = this.byLength[route.bits] ?? null;
    if (map === null) {
      map = new Map();
      this.byLength[route.bits] = map;
      this.lengths = [...this.lengths, route.bits].sort((a, b) => b - a);
    }
    const key = this.keyOf(route.destination, route.bits);
    const list = map.get(key) ?? [];
    const i = list.findIndex((r) => r.metric > route.metric);
    list.splice(i < 0 ? list.length : i, 0, route);
    map.set(key, list);
    this.count++;
  }

  /** Removes the routes for which `isGone` holds; returns how many. */
  remove(isGone: (route: Route) => boolean): number {
    let removed = 0;
    for (const bits of this.lengths) {
      const map = this.byLength[bits]!;
      for (const [key, list] of map) {
        const kept = list.filter((r) => !isGone(r));
        removed += list.length - kept.length;
        if (kept.length === 0) map.delete(key);
        else map.set(key, kept);
      }
    }
    this.count -= removed;
    return removed;
  }

  /**
   * The best route to `dst`; through interface `ifIndex` when that is not 0. Among routes of one
   * prefix, those that `isUsable` refuses come last, so that a dead gateway is gone around.
   */
  find(dst: IpAddress, ifIndex: number, isUsable: (route: Route) => boolean): Route | null {
    let fallback: Route | null = null;
    for (const bits of this.lengths) {
      const list = this.byLength[bits]?.get(this.keyOf(dst, bits));
      if (list === undefined) continue;
      for (const route of list) {
        if (ifIndex !== 0 && route.iface.index !== ifIndex) continue;
        if (isUsable(route)) return route;
        fallback ??= route;
      }
      if (fallback !== null) return fallback;
    }
    return fallback;
  }

  /** All routes, longest prefix first. */
  *[Symbol.iterator](): Iterator<Route> {
    for (const bits of this.lengths) {
      for (const list of this.byLength[bits]!.values()) yield* list;
    }
  }

  private keyOf(a: IpAddress, bits: number): string {
    const k = this.key;
    maskTo(a, bits, k);
    return `${k.w0},${k.w1},${k.w2},${k.w3}`;
  }
}

/** Whether a route covers an address; the obvious way, for tests and views. */
export const covers = (route: Route, a: IpAddress): boolean =>
  samePrefix(route.destination, a, route.bits);
