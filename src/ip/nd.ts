/**
 * Neighbour discovery for IPv6 (RFC 4861): solicits and advertises, follows routers and redirects,
 * and configures addresses from prefixes (RFC 4862). The reachability state machine is
 * `neighbours.ts`; the validity rules are `wire/nd.ts`'s; router messages are `routers.ts`'s.
 */
import { ANY6, IpAddress } from "../base/ip-address.js";
import { NEVER, US_PER_S } from "../base/time.js";
import { HEADROOM_BYTES, NO_SLOT } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as ethernet from "../wire/ethernet.js";
import * as icmpv6 from "../wire/icmpv6.js";
import * as wire from "../wire/nd.js";
import type { Interface, InterfaceAddress } from "./interface.js";
import type { Ip } from "./ip.js";
import { type Neighbour, NeighbourState } from "./neighbour.js";
import { Heard } from "./neighbours.js";
import type { PacketInfo } from "./packet-info.js";
import type { Path } from "./path.js";
import { SendOptions } from "./send-options.js";

/** RFC 4862 §5.1: one solicitation, and a second of waiting (RetransTimer). */
const DAD_WAIT_US = US_PER_S;

interface Check {
  readonly iface: Interface;
  readonly address: InterfaceAddress;
  readonly atUs: number;
}

export const ALL_NODES: IpAddress = IpAddress.parse("ff02::1");
export const ALL_ROUTERS: IpAddress = IpAddress.parse("ff02::2");

export class Nd {
  private readonly ip: Ip;
  private readonly options = new SendOptions();
  private readonly target = new IpAddress();
  private readonly group = new IpAddress();
  /** Addresses that are being checked for duplicates. */
  private checks: Check[] = [];

  constructor(ip: Ip) {
    this.ip = ip;
    this.options.ttl = wire.HOP_LIMIT;
    this.options.multicastLoop = false;
  }

  /** A neighbour discovery message whose checksum is right; takes the slot. */
  receive(slot: number, info: PacketInfo): void {
    const b = this.ip.bytes;
    const reason = wire.check(b, info.l4At, info.end, info.l3At);
    const iface = this.ip.interfaceAt(info.ifIndex);
    if (reason !== Drop.NONE || iface === null) {
      this.ip.drop(slot, reason === Drop.NONE ? Drop.ND_BAD_ADDRESS : reason);
      return;
    }
    let result: Drop = Drop.NONE;
    switch (icmpv6.type(b, info.l4At)) {
      case icmpv6.NEIGHBOR_SOLICITATION:
        result = this.takeSolicitation(iface, info);
        break;
      case icmpv6.NEIGHBOR_ADVERTISEMENT:
        result = this.takeAdvertisement(iface, info);
        break;
      case icmpv6.ROUTER_ADVERTISEMENT:
        result = this.ip.routers.takeAdvertisement(iface, info);
        break;
      case icmpv6.REDIRECT:
        result = this.ip.routers.takeRedirect(iface, info);
        break;
      default:
        result = Drop.ICMP6_IGNORED; // router solicitations are for routers
    }
    if (result === Drop.NONE) this.ip.pool.give(slot);
    else this.ip.drop(slot, result);
  }

  /** RFC 4861 §7.2.3, and for addresses under test RFC 4862 §5.4.3. */
  private takeSolicitation(iface: Interface, info: PacketInfo): Drop {
    const b = this.ip.bytes;
    const at = info.l4At;
    this.target.read6(b, at + wire.TARGET);
    if (this.ip.isTentative(iface, this.target)) {
      if (info.src.isUnspecified) this.duplicate(iface);
      return Drop.IP_TENTATIVE_ADDRESS;
    }
    if (!this.ip.hasAddress(iface, this.target)) return Drop.ND_NOT_FOR_US;
    if (info.src.isUnspecified) {
      this.advertise(iface, this.target, null);
      return Drop.NONE;
    }
    const mac = wire.linkAddressAt(b, at, info.end, wire.OPTION_SOURCE_LINK_ADDRESS);
    if (mac >= 0) {
      const high = ethernet.high(b, mac);
      this.ip.neighbours.heard(iface, info.src, high, ethernet.low(b, mac), Heard.SPOKE);
    }
    this.advertise(iface, this.target, info.src.copy());
    return Drop.NONE;
  }

  /** RFC 4861 §7.2.5. */
  private takeAdvertisement(iface: Interface, info: PacketInfo): Drop {
    const b = this.ip.bytes;
    const at = info.l4At;
    this.target.read6(b, at + wire.TARGET);
    if (this.ip.isTentative(iface, this.target)) {
      this.duplicate(iface);
      return Drop.IP_TENTATIVE_ADDRESS;
    }
    if (this.ip.hasAddress(iface, this.target)) {
      this.ip.count("addressConflicts");
      return Drop.ND_BAD_ADDRESS;
    }
    const n = this.ip.neighbours.find(iface, this.target);
    if (n === null || n.state === NeighbourState.FAILED) return Drop.ND_NOT_FOR_US;
    const mac = wire.linkAddressAt(b, at, info.end, wire.OPTION_TARGET_LINK_ADDRESS);
    if (mac < 0 && n.state === NeighbourState.INCOMPLETE) return Drop.ND_BAD_OPTION;
    this.learn(n, wire.flags(b, at), mac);
    return Drop.NONE;
  }

  private learn(n: Neighbour, flags: number, mac: number): void {
    const { bytes, neighbours } = this.ip;
    const high = mac < 0 ? n.macHigh : ethernet.high(bytes, mac);
    const low = mac < 0 ? n.macLow : ethernet.low(bytes, mac);
    const differs = high !== n.macHigh || low !== n.macLow;
    const isKnown = n.state !== NeighbourState.INCOMPLETE;
    if (isKnown && differs && (flags & wire.OVERRIDE) === 0) {
      neighbours.doubt(n);
      return;
    }
    const isRouter = (flags & wire.ROUTER) !== 0;
    if (n.isRouter && !isRouter) this.ip.routers.forget(n);
    n.isRouter = isRouter;
    const how = (flags & wire.SOLICITED) !== 0 ? Heard.ANSWER : Heard.MENTIONED;
    neighbours.heard(n.iface, n.address, high, low, how);
  }

  /** Asks for a neighbour's hardware address: itself when PROBE, its solicited-node group otherwise. */
  solicit(n: Neighbour): void {
    let path: Path | null;
    if (n.state === NeighbourState.PROBE) {
      path = this.ip.resolve(n.address, null, n.iface.index);
    } else {
      wire.solicitedNode(n.address, this.group);
      path = this.ip.resolve(this.group, null, n.iface.index);
    }
    if (path === null) return;
    const slot = this.takePacket();
    if (slot === NO_SLOT) return;
    const { pool } = this.ip;
    pool.end[slot] = wire.writeSolicitation(pool.bytes, pool.at[slot]!, n.address, n.iface.mac);
    this.ip.icmp6.finishAndSend(slot, path, this.options);
  }

  /** Advertises an address of ours: to who asked, or to all nodes (null). */
  advertise(iface: Interface, address: IpAddress, to: IpAddress | null): void {
    const path =
      to === null
        ? this.ip.resolver.groupPath(iface, ALL_NODES, address)
        : this.ip.resolve(to, address, iface.index);
    if (path === null) return;
    const slot = this.takePacket();
    if (slot === NO_SLOT) return;
    const { pool } = this.ip;
    const flags = wire.OVERRIDE | (to === null ? 0 : wire.SOLICITED);
    const at = pool.at[slot]!;
    pool.end[slot] = wire.writeAdvertisement(pool.bytes, at, flags, address, iface.mac);
    this.ip.icmp6.finishAndSend(slot, path, this.options);
  }

  /** Starts duplicate address detection for a tentative address (RFC 4862 §5.4.2). */
  detectDuplicates(iface: Interface, address: InterfaceAddress): void {
    wire.solicitedNode(address.address, this.group);
    const path = this.ip.resolver.groupPath(iface, this.group.copy(), ANY6);
    this.checks.push({ iface, address, atUs: this.ip.nowUs + DAD_WAIT_US });
    this.ip.deadline.lower(this.ip.nowUs + DAD_WAIT_US);
    const slot = this.takePacket();
    if (slot === NO_SLOT) return;
    const { pool } = this.ip;
    const at = pool.at[slot]!;
    pool.end[slot] = wire.writeSolicitation(pool.bytes, at, address.address, null);
    this.ip.icmp6.finishAndSend(slot, path, this.options);
  }

  /** `target`, under test on this interface, belongs to somebody else: it is given up (§5.4.5). */
  private duplicate(iface: Interface): void {
    this.ip.count("duplicateAddresses");
    this.checks = this.checks.filter((c) => !c.address.address.equals(this.target));
    this.ip.removeAddress(iface, this.target);
  }

  nextDeadlineUs(): number {
    let soonest = NEVER;
    for (const c of this.checks) soonest = Math.min(soonest, c.atUs);
    return soonest;
  }

  runTimers(nowUs: number): void {
    if (this.checks.length === 0) return;
    const due = this.checks.filter((c) => c.atUs <= nowUs);
    if (due.length === 0) return;
    this.checks = this.checks.filter((c) => c.atUs > nowUs);
    for (const c of due) {
      c.address.isTentative = false;
      this.ip.addressesChanged();
    }
  }

  /** A slot whose `at` is where the ICMPv6 message goes. */
  takePacket(): number {
    const { pool } = this.ip;
    const slot = pool.take();
    if (slot === NO_SLOT) {
      this.ip.lost(Drop.POOL_EMPTY);
      return NO_SLOT;
    }
    pool.at[slot] = pool.base(slot) + HEADROOM_BYTES;
    pool.flags[slot] = 0;
    return slot;
  }
}
