/**
 * The addresses of this host: what is local, what is a broadcast, and which address a packet is
 * sent from (Linux's choice for IPv4; RFC 6724 §5 rules 1, 2, 3, 5 and 8 for IPv6).
 *
 * The weak host model of Linux: a packet for any of our addresses is ours, whichever interface it
 * came in on. Not here: policy tables, home and temporary addresses (rules 4, 6, 7).
 */
import type { IpAddress } from "../base/ip-address.js";
import type { Interface, InterfaceAddress } from "./interface.js";
import { commonBits, fullBits, samePrefix } from "./prefix.js";
import { needsZone } from "./zone.js";

/** More local IPv4 addresses than this are found by a map instead of a scan. */
const SCAN_MAX = 8;

export class Addresses {
  private readonly interfaces: readonly Interface[];
  private words4 = new Int32Array(0);
  private readonly set4 = new Set<number>();
  private broadcasts4 = new Int32Array(0);
  private locals6: IpAddress[] = [];

  constructor(interfaces: readonly Interface[]) {
    this.interfaces = interfaces;
  }

  /** Reads the interfaces again after a change. */
  rebuild(): void {
    const words: number[] = [];
    const broadcasts: number[] = [];
    this.locals6 = [];
    for (const [a] of this.all()) {
      if (a.isTentative) continue;
      if (a.address.isV4) words.push(a.address.w3);
      else this.locals6.push(a.address);
      if (a.broadcast !== 0) broadcasts.push(a.broadcast);
    }
    this.words4 = Int32Array.from(words);
    this.broadcasts4 = Int32Array.from(broadcasts);
    this.set4.clear();
    for (const w of words) this.set4.add(w);
  }

  /** Hot path. Whether an IPv4 address is one of ours, 127.0.0.0/8 included. */
  isLocal4(word: number): boolean {
    const words = this.words4;
    if (words.length > SCAN_MAX) return this.set4.has(word) || word >>> 24 === 127;
    for (let i = 0; i < words.length; i++) if (words[i] === word) return true;
    return word >>> 24 === 127;
  }

  /** Hot path. Whether an IPv6 address is one of ours. */
  isLocal6(a: IpAddress): boolean {
    const locals = this.locals6;
    for (let i = 0; i < locals.length; i++) if (locals[i]!.equals(a)) return true;
    return false;
  }

  /** Hot path. As {@link isLocal6}, but a link-local address is ours only on its own link. */
  isLocal6On(iface: Interface, a: IpAddress): boolean {
    if (!a.isLinkLocal) return this.isLocal6(a);
    const own = iface.addresses;
    for (let i = 0; i < own.length; i++) {
      if (own[i]!.address.equals(a)) return !own[i]!.isTentative;
    }
    return false;
  }

  /** Hot path. */
  isLocal(a: IpAddress): boolean {
    return a.isV4 ? this.isLocal4(a.w3) : this.isLocal6(a);
  }

  /** Hot path. Whether an IPv4 address is the broadcast address of one of our subnets, or of all. */
  isBroadcast4(word: number): boolean {
    if (word === -1) return true;
    const words = this.broadcasts4;
    for (let i = 0; i < words.length; i++) if (words[i] === word) return true;
    return false;
  }

  /** The interface that owns an address, or null. */
  interfaceOf(a: IpAddress): Interface | null {
    for (const [owned, iface] of this.all()) if (owned.address.equals(a)) return iface;
    return a.isLoopback ? (this.interfaces[0] ?? null) : null;
  }

  /** The interface whose subnet's broadcast address this is, or null. */
  interfaceOfBroadcast(word: number): Interface | null {
    for (const [a, iface] of this.all()) if (a.broadcast === word && word !== 0) return iface;
    return null;
  }

  /** IPv4: an address of the interface to ask a neighbour from: of its subnet if there is one. */
  sourceOnLink4(iface: Interface, target: IpAddress): IpAddress | null {
    for (const a of iface.addresses) {
      if (
        isUsable4(a) &&
        samePrefix(a.address, target, fullBits({ address: a.address, bits: a.prefixBits }))
      ) {
        return a.address;
      }
    }
    return iface.primary4()?.address ?? this.anySource4();
  }

  private anySource4(): IpAddress | null {
    for (const [a, iface] of this.all()) {
      if (!iface.isLoopback && isUsable4(a)) return a.address;
    }
    return null;
  }

  /** The source for a destination behind `iface`, whose next hop is `nextHop`; null: there is none. */
  source(iface: Interface, dst: IpAddress, nextHop: IpAddress): IpAddress | null {
    if (dst.isV4) return this.sourceOnLink4(iface, nextHop);
    return this.source6(iface, dst);
  }

  private source6(iface: Interface, dst: IpAddress): IpAddress | null {
    let best: InterfaceAddress | null = null;
    let bestScore = -1;
    const needsLink = needsZone(dst);
    for (const [a, owner] of this.all()) {
      if (a.address.isV4 || a.isTentative) continue;
      if (needsLink && owner !== iface) continue;
      const score = scoreSource6(a, owner === iface, dst);
      if (score > bestScore) {
        best = a;
        bestScore = score;
      }
    }
    return best?.address ?? null;
  }

  /** Every address with its interface. */
  *all(): Generator<[InterfaceAddress, Interface]> {
    for (const iface of this.interfaces) {
      for (const a of iface.addresses) yield [a, iface];
    }
  }
}

const isUsable4 = (a: InterfaceAddress): boolean => a.address.isV4 && !a.isTentative;

/** RFC 6724 §5 as one number: the rules in their order, each above all later ones together. */
function scoreSource6(a: InterfaceAddress, isOutgoing: boolean, dst: IpAddress): number {
  const sameAddress = a.address.equals(dst) ? 1 : 0;
  const scope = scopeOf(a.address);
  const wanted = scopeOf(dst);
  // Rule 2: of too small scopes the largest, of large enough ones the smallest.
  const scopeScore = scope < wanted ? scope : 32 - scope;
  const prefix = Math.min(commonBits(a.address, dst), a.prefixBits);
  return (
    sameAddress * 2 ** 24 +
    scopeScore * 2 ** 18 +
    (a.isDeprecated ? 0 : 2 ** 17) +
    (isOutgoing ? 2 ** 16 : 0) +
    prefix
  );
}

/** Scope as in multicast addresses (RFC 4291 §2.7): 1 interface, 2 link, 5 site, 14 global. */
export function scopeOf(a: IpAddress): number {
  if (a.isMulticast) return (a.w0 >>> 16) & 15;
  if (a.isLoopback) return 1;
  return a.isLinkLocal ? 2 : 14;
}
