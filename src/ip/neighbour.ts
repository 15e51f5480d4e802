/**
 * One neighbour: an address on a link and the hardware address behind it, with the state that RFC
 * 4861 §7.3.2 gives it, for IPv4 (ARP) and IPv6 (ND) alike. `neighbours.ts` is the state machine.
 */
import type { IpAddress } from "../base/ip-address.js";
import { NEVER, US_PER_S } from "../base/time.js";
import { NO_SLOT } from "../ring/pool.js";
import type { Interface } from "./interface.js";

/** RFC 4861 §10: BASE_REACHABLE_TIME, RETRANS_TIMER. */
export const REACHABLE_TIME_US = 30 * US_PER_S;
export const RETRANS_TIMER_US = US_PER_S;

export const NeighbourState = {
  /** Solicited, no answer yet; packets wait. */
  INCOMPLETE: 0,
  /** Confirmed within the reachable time. */
  REACHABLE: 1,
  /** Known but not confirmed lately. */
  STALE: 2,
  /** Stale and used: waits a little for an upper layer to confirm it. */
  DELAY: 3,
  /** Being solicited by unicast. */
  PROBE: 4,
  /** Did not answer; the next packet starts anew. */
  FAILED: 5,
  /** Needs no resolution: groups, broadcast, loopback, entries of the user. */
  PERMANENT: 6,
  /** No longer in the table: paths look it up again. */
  REMOVED: 7,
} as const;

export class Neighbour {
  readonly iface: Interface;
  readonly address: IpAddress;
  /** {@link NeighbourState}. */
  state: number = NeighbourState.INCOMPLETE;
  /** First two and last four bytes of the hardware address. */
  macHigh = 0;
  macLow = 0;
  /** Said in its advertisements that it is a router. */
  isRouter = false;
  /** It answered once, and has not failed since. */
  isProven = false;
  /** REACHABLE turns STALE then. */
  reachableUntilUs = 0;
  /** When INCOMPLETE, DELAY or PROBE go on. */
  timerAtUs = NEVER;
  probes = 0;
  usedAtUs = 0;
  /** Frames that wait, linked through the pool's `next`. */
  queueFirst = NO_SLOT;
  queueLast = NO_SLOT;
  queuedFrames = 0;
  queuedBytes = 0;

  constructor(iface: Interface, address: IpAddress) {
    this.iface = iface;
    this.address = address;
  }

  /** One that needs no resolution. */
  static permanent(iface: Interface, address: IpAddress, high: number, low: number): Neighbour {
    const n = new Neighbour(iface, address);
    n.state = NeighbourState.PERMANENT;
    n.macHigh = high;
    n.macLow = low;
    return n;
  }
}
