/**
 * Who holds which local TCP port: conflicts of `bind` and `listen`, and the choice of a listener for
 * a SYN, as Linux does both (net/ipv4: bind buckets, listener scores; described in bind(2),
 * socket(7), ip(7), ipv6(7)). Connections are found by the flow table, not here.
 *
 * Every row with a local port is in that port's list: bound sockets, listeners, connections, and
 * what is left of them until TIME-WAIT ends. Two of them conflict when their addresses and
 * interfaces overlap, unless
 *  - both set SO_REUSEADDR and the one that is there does not listen, or
 *  - the kernel has given the port to the one and `connect` to the other, or
 *  - both set SO_REUSEPORT and belong to one user, or the one that is there is in TIME-WAIT.
 * When the stack chooses the port (`strict`), only a port without any overlap will do.
 */
import { IpAddress } from "../base/ip-address.js";
import { isHome } from "../ip/home.js";
import { areApart } from "../ip/udp-demux.js";
import { State } from "../tcp/state.js";
import { Tcb } from "../tcp/tcb.js";
import type { SharedTcp } from "./shared-tcp.js";
import { NONE, RowFlags, type TcpRows } from "./tcp-rows.js";

const PORTS = 65_536;
/** net.ipv4.ip_local_port_range. */
const isEphemeral = (port: number): boolean => port >= 32_768 && port <= 60_999;

export class TcpPorts {
  private readonly rows: TcpRows;
  /** The engine's own view, for the memory of the rows: they move when they grow. */
  private readonly engineView: Tcb;
  private readonly view: Tcb;
  /** Row + 1 of the first holder and of the first listener of each port. */
  private readonly firstHolder = new Int32Array(PORTS);
  private readonly firstListener = new Int32Array(PORTS);
  /** Holders of each port that did not get it from `connect`. */
  private readonly exclusive = new Int32Array(PORTS);

  /** Holds the same ports in the kernel, where interfaces are shared with it. */
  shared: SharedTcp | null = null;

  /** Whether what came in on an interface for an address is for who is bound to interface `bound`. */
  private readonly isFor: (bound: number, ifIndex: number, local: IpAddress) => boolean;

  /** `isFor`: as `Ip.isFor`. */
  constructor(rows: TcpRows, engineView: Tcb, isFor?: TcpPorts["isFor"]) {
    this.isFor = isFor ?? ((bound, ifIndex) => bound === ifIndex);
    this.rows = rows;
    this.engineView = engineView;
    this.view = new Tcb(engineView.i, engineView.f);
  }

  /** Puts the row into the port's list. `isShared`: the port came from `connect`. */
  hold(row: number, port: number, isShared: boolean): void {
    const r = this.rows;
    if (r.has(row, RowFlags.HAS_PORT)) return;
    const next = this.firstHolder[port]! - 1;
    r.port[row] = port;
    r.portNext[row] = next;
    r.portPrev[row] = NONE;
    if (next !== NONE) r.portPrev[next] = row;
    this.firstHolder[port] = row + 1;
    r.set(row, RowFlags.HAS_PORT, true);
    r.set(row, RowFlags.SHARED_PORT, isShared);
    if (!isShared) this.exclusive[port]! += 1;
  }

  /** Takes the row out of its port's lists. */
  release(row: number): void {
    const r = this.rows;
    if (!r.has(row, RowFlags.HAS_PORT)) return;
    this.removeListener(row);
    const port = r.port[row]!;
    const next = r.portNext[row]!;
    const prev = r.portPrev[row]!;
    if (prev === NONE) this.firstHolder[port] = next + 1;
    else r.portNext[prev] = next;
    if (next !== NONE) r.portPrev[next] = prev;
    if (!r.has(row, RowFlags.SHARED_PORT)) this.exclusive[port]! -= 1;
    r.set(row, RowFlags.HAS_PORT | RowFlags.SHARED_PORT | RowFlags.LISTENERS_PORT, false);
    this.shared?.release(row);
  }

  /** Whether nobody holds the port, or only connections that chose it for themselves. */
  isShareable(port: number): boolean {
    return this.exclusive[port] === 0;
  }

  /** Ports that somebody holds; it looks at all. */
  get size(): number {
    let held = 0;
    for (const holder of this.firstHolder) if (holder !== 0) held++;
    return held;
  }

  isFree(port: number): boolean {
    return this.firstHolder[port] === 0;
  }

  /** Whether `row` may not be bound to `address` and `port`, or, with its own, may not listen. */
  conflicts(row: number, address: IpAddress, port: number, strict: boolean): boolean {
    this.view.i = this.engineView.i;
    this.view.f = this.engineView.f;
    const r = this.rows;
    for (let other = this.firstHolder[port]! - 1; other !== NONE; other = r.portNext[other]!) {
      if (other === row || !this.overlaps(row, address, other)) continue;
      if (r.hasHomes && this.isApart(row, address, other)) continue;
      if (!this.tolerates(row, other, strict)) return true;
    }
    return false;
  }

  /** Whether the homes of two rows that overlap keep them apart. */
  private isApart(row: number, address: IpAddress, other: number): boolean {
    const r = this.rows;
    const i = this.view.i;
    const at = this.view.select(other).addressAt;
    const theirs = new IpAddress(i[at], i[at + 1], i[at + 2], i[at + 3]);
    return areApart(r.homeOf(row), address, r.homeOf(other), theirs);
  }

  private tolerates(row: number, other: number, strict: boolean): boolean {
    if (strict) return false;
    const r = this.rows;
    const both = r.flags[row]! & r.flags[other]!;
    const state = this.view.select(other).state;
    if (r.has(row, RowFlags.KERNEL_HOLDS)) {
      // The kernel gave the port away and knows nothing of those that connections took here, nor of
      // what is left of connections to a listener that had it before.
      if (r.has(other, RowFlags.SHARED_PORT)) return true;
      if (state === State.TIME_WAIT && isEphemeral(r.port[other]!)) return true;
    }
    if ((both & RowFlags.REUSE_ADDRESS) !== 0 && state !== State.LISTEN) return true;
    if ((both & RowFlags.REUSE_PORT) === 0) return false;
    return state === State.TIME_WAIT || r.owner[row] === r.owner[other];
  }

  private overlaps(row: number, address: IpAddress, other: number): boolean {
    const r = this.rows;
    const ifIndex = r.ifIndex[row]!;
    const otherIf = r.ifIndex[other]!;
    if (ifIndex !== 0 && otherIf !== 0 && ifIndex !== otherIf) return false;
    const i = this.view.i;
    const at = this.view.select(other).addressAt;
    const w0 = i[at]!;
    const w1 = i[at + 1]!;
    const w2 = i[at + 2]!;
    const w3 = i[at + 3]!;
    if (address.w3 === w3 && address.w2 === w2 && address.w1 === w1 && address.w0 === w0) {
      return true;
    }
    const otherIsV4 = w0 === 0 && w1 === 0 && w2 === 0xffff;
    const otherIsAny6 = w0 === 0 && w1 === 0 && w2 === 0 && w3 === 0;
    const v6only = r.has(row, RowFlags.V6ONLY);
    const otherV6only = r.has(other, RowFlags.V6ONLY);
    if (address.isUnspecified) {
      if (address.isV4) {
        if (otherIsV4 || (otherIsAny6 && !otherV6only)) return true;
      } else if (!otherIsV4 || !v6only) {
        return true;
      }
    }
    if (otherIsV4 && w3 === 0) return address.isV4;
    return otherIsAny6 && (!address.isV4 || !otherV6only);
  }

  /** A listener joins its port's listeners. */
  addListener(row: number): void {
    const r = this.rows;
    if (r.has(row, RowFlags.LISTENS)) return;
    const port = r.port[row]!;
    // Appended: reuseport groups keep the order in which their members listened.
    let last = NONE;
    for (let l = this.firstListener[port]! - 1; l !== NONE; l = r.listenNext[l]!) last = l;
    r.listenNext[row] = NONE;
    if (last === NONE) this.firstListener[port] = row + 1;
    else r.listenNext[last] = row;
    r.set(row, RowFlags.LISTENS, true);
  }

  removeListener(row: number): void {
    const r = this.rows;
    if (!r.has(row, RowFlags.LISTENS)) return;
    const port = r.port[row]!;
    let before = NONE;
    for (let l = this.firstListener[port]! - 1; l !== row; l = r.listenNext[l]!) before = l;
    if (before === NONE) this.firstListener[port] = r.listenNext[row]! + 1;
    else r.listenNext[before] = r.listenNext[row]!;
    r.set(row, RowFlags.LISTENS, false);
    this.shared?.stopListening(row);
  }

  /**
   * Hot path. The listener for a segment to `local`:`port` that arrived on `ifIndex`, or NONE: the
   * one bound to that very address before the wildcards, then the one bound to the interface, then
   * an IPv4 socket before a dual-stack one. Equals with SO_REUSEPORT share by `hash`; else the one
   * that listened last.
   */
  findListener(local: IpAddress, port: number, ifIndex: number, hash: number): number {
    const first = this.firstListener[port]! - 1;
    if (first === NONE) return NONE;
    this.view.i = this.engineView.i;
    const r = this.rows;
    let best = NONE;
    let bestScore = 0;
    let equals = 0;
    for (let l = first; l !== NONE; l = r.listenNext[l]!) {
      const score = this.score(l, local, ifIndex);
      if (score === 0 || score < bestScore) continue;
      if (score === bestScore && r.has(l, RowFlags.REUSE_PORT)) {
        equals = (equals + 1) | 0;
        continue;
      }
      best = l;
      bestScore = score;
      equals = 1;
    }
    return equals > 1 ? this.memberOf(best, bestScore, equals, local, ifIndex, hash) : best;
  }

  /** The member of a reuseport group that starts at `first` to which the hash falls. */
  private memberOf(
    first: number,
    score: number,
    members: number,
    local: IpAddress,
    ifIndex: number,
    hash: number,
  ): number {
    let n = Math.floor(((hash >>> 0) / 0x1_0000_0000) * members);
    const r = this.rows;
    for (let l = first; l !== NONE; l = r.listenNext[l]!) {
      if (this.score(l, local, ifIndex) !== score) continue;
      if (n === 0) return l;
      n = (n - 1) | 0;
    }
    return first;
  }

  /** 0: does not match; else 2, and 8 for the very address, 2 for the interface, 1 for IPv4. */
  private score(row: number, local: IpAddress, ifIndex: number): number {
    const r = this.rows;
    const bound = r.ifIndex[row]!;
    if (bound !== 0 && !this.isFor(bound, ifIndex, local)) return 0;
    const i = this.view.i;
    const at = this.view.select(row).addressAt;
    const w2 = i[at + 2]!;
    const w3 = i[at + 3]!;
    const is6 = r.has(row, RowFlags.FAMILY6);
    let score = (bound !== 0 ? 4 : 2) + (is6 ? 0 : 1);
    if (w3 === local.w3 && w2 === local.w2 && i[at + 1] === local.w1 && i[at] === local.w0) {
      return score + 8;
    }
    if (w3 !== 0 || i[at] !== 0 || i[at + 1] !== 0) return 0;
    const home = r.homeOf(row);
    if (home !== null && !isHome(home, local)) return 0;
    if (w2 === 0xffff) return local.isV4 ? score : 0;
    if (w2 !== 0) return 0;
    if (local.isV4 && r.has(row, RowFlags.V6ONLY)) score = 0;
    return score;
  }
}
