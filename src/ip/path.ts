/**
 * A resolved destination: everything that sending to it needs and that stays the same from packet
 * to packet. Paths are shared and cached (`path-cache.ts`); whoever keeps one looks at `isStale`
 * before using it, and resolves again when it is set.
 */
import type { IpAddress } from "../base/ip-address.js";
import * as pseudoHeader from "../wire/pseudo-header.js";
import type { Interface } from "./interface.js";
import type { Neighbour } from "./neighbour.js";

/** What a destination is. */
export const PathKind = { UNICAST: 0, LOCAL: 1, BROADCAST: 2, MULTICAST: 3 } as const;

export class Path {
  /** Greater than 0 and never reused while somebody could still hold it. */
  readonly id: number;
  readonly src: IpAddress;
  readonly dst: IpAddress;
  readonly nextHop: IpAddress;
  readonly iface: Interface;
  /** {@link PathKind}. */
  readonly kind: number;
  /** `dst.isV4`, read for every packet. */
  readonly isV4: boolean;
  neighbour: Neighbour;
  /** Largest IP packet that the path is believed to carry (RFC 1191, RFC 8201). */
  mtuBytes: number;
  /** Routes, addresses or links changed: resolve again. */
  isStale = false;
  /** Partial checksum over both addresses. */
  readonly pseudoSum: number;
  /** Identification of the next IPv4 packet (RFC 6864). */
  nextId: number;

  constructor(parts: PathParts) {
    this.id = parts.id;
    this.src = parts.src;
    this.dst = parts.dst;
    this.nextHop = parts.nextHop;
    this.iface = parts.iface;
    this.kind = parts.kind;
    this.isV4 = parts.dst.isV4;
    this.neighbour = parts.neighbour;
    this.mtuBytes = parts.mtuBytes;
    this.pseudoSum = pseudoHeader.sumAddresses(parts.src, parts.dst);
    this.nextId = parts.firstId & 0xffff;
  }
}

export interface PathParts {
  readonly id: number;
  readonly src: IpAddress;
  readonly dst: IpAddress;
  readonly nextHop: IpAddress;
  readonly iface: Interface;
  readonly kind: number;
  readonly neighbour: Neighbour;
  readonly mtuBytes: number;
  readonly firstId: number;
}
