/**
 * What ICMP said about the MTU of paths (RFC 1191, RFC 8201): the smallest per destination, for ten
 * minutes; then the interface's MTU is tried again (RFC 1191 §6.3). Bounded: the oldest goes.
 */
import type { IpAddress } from "../base/ip-address.js";
import { NEVER, US_PER_S } from "../base/time.js";
import * as ipv6 from "../wire/ipv6.js";
import type { Deadline } from "./deadline.js";
import type { Path } from "./path.js";
import { PathKind } from "./path.js";
import type { PathCache } from "./path-cache.js";

export const PATH_MTU_AGE_US = 600 * US_PER_S;
/** Smaller values are not believed (Linux's min_pmtu): they only waste bandwidth. */
export const MIN_PATH_MTU4 = 552;
const MAX_ENTRIES = 1024;
/** RFC 1191 §7.1: what to try when a router does not say. */
const PLATEAUS = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 576, 552];

/** The next smaller plateau below the size that did not fit. */
export const plateauBelow = (bytes: number): number =>
  PLATEAUS.find((p) => p < bytes) ?? MIN_PATH_MTU4;

interface Learnt {
  readonly mtuBytes: number;
  readonly expiresAtUs: number;
}

export class PathMtu {
  private readonly paths: PathCache;
  private readonly deadline: Deadline;
  private readonly learnt = new Map<string, Learnt>();
  private soonestUs = NEVER;

  constructor(paths: PathCache, deadline: Deadline) {
    this.paths = paths;
    this.deadline = deadline;
  }

  get size(): number {
    return this.learnt.size;
  }

  /** The MTU of a new path to `dst` through a link of `linkMtuBytes`. */
  mtuFor(dst: IpAddress, linkMtuBytes: number): number {
    if (this.learnt.size === 0) return linkMtuBytes;
    return Math.min(this.learnt.get(dst.toString())?.mtuBytes ?? linkMtuBytes, linkMtuBytes);
  }

  /** A router says that packets of more than `mtuBytes` do not pass; returns the new path MTU or 0. */
  learn(dst: IpAddress, mtuBytes: number, nowUs: number): number {
    const mtu = Math.max(mtuBytes, dst.isV4 ? MIN_PATH_MTU4 : ipv6.MIN_MTU_BYTES);
    let isSmaller = false;
    this.paths.each((path) => {
      if (path.kind !== PathKind.UNICAST || !path.dst.equals(dst) || path.mtuBytes <= mtu) return;
      path.mtuBytes = mtu;
      isSmaller = true;
    });
    if (!isSmaller) return 0;
    const key = dst.toString();
    this.learnt.delete(key);
    if (this.learnt.size >= MAX_ENTRIES) this.learnt.delete(this.learnt.keys().next().value!);
    this.learnt.set(key, { mtuBytes: mtu, expiresAtUs: nowUs + PATH_MTU_AGE_US });
    this.soonestUs = Math.min(this.soonestUs, nowUs + PATH_MTU_AGE_US);
    this.deadline.lower(this.soonestUs);
    return mtu;
  }

  nextDeadlineUs(): number {
    return this.soonestUs;
  }

  runTimers(nowUs: number): void {
    if (nowUs < this.soonestUs) return;
    this.soonestUs = NEVER;
    const expired = new Set<string>();
    for (const [key, entry] of this.learnt) {
      if (entry.expiresAtUs > nowUs) {
        this.soonestUs = Math.min(this.soonestUs, entry.expiresAtUs);
        continue;
      }
      this.learnt.delete(key);
      expired.add(key);
    }
    if (expired.size === 0) return;
    this.paths.each((path) => {
      if (path.kind === PathKind.UNICAST && expired.has(path.dst.toString())) restore(path);
    });
  }
}

function restore(path: Path): void {
  path.mtuBytes = path.isV4 ? path.iface.mtu4Bytes : path.iface.mtu6Bytes;
}
