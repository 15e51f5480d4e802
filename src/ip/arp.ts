/**
 * ARP for IPv4 over Ethernet (RFC 826): answers, asks, announces; conflicts are noticed and defended
 * against as RFC 5227 §2.4 (b) says: one announcement in ten seconds, and the address is kept.
 *
 * The state machine is `neighbours.ts`. Not here: probing before use (RFC 5227 §2.1), proxy ARP.
 */
import { IpAddress } from "../base/ip-address.js";
import { US_PER_S } from "../base/time.js";
import { HEADROOM_BYTES, NO_SLOT } from "../ring/pool.js";
import * as wire from "../wire/arp.js";
import { Drop } from "../wire/drop.js";
import * as ethernet from "../wire/ethernet.js";
import type { Interface } from "./interface.js";
import type { Ip } from "./ip.js";
import { type Neighbour, NeighbourState } from "./neighbour.js";
import { Heard } from "./neighbours.js";

/** RFC 5227 §1.1, DEFEND_INTERVAL. */
export const DEFEND_INTERVAL_US = 10 * US_PER_S;

export class Arp {
  private readonly ip: Ip;
  private readonly sender = new IpAddress();
  private readonly target = new IpAddress();
  private defendedAtUs = Number.NEGATIVE_INFINITY;

  constructor(ip: Ip) {
    this.ip = ip;
  }

  /** An ARP packet at `at` of a received frame; takes the slot. */
  receive(iface: Interface, slot: number, at: number): void {
    const { pool } = this.ip;
    const b = pool.bytes;
    const isKernels = iface.kernelIndex !== 0;
    const reason = isKernels ? Drop.ARP_NOT_FOR_US : wire.check(b, at, pool.end[slot]!);
    if (reason !== Drop.NONE) {
      this.ip.drop(slot, reason);
      return;
    }
    this.sender.read4(b, at + wire.SENDER_IP);
    this.target.read4(b, at + wire.TARGET_IP);
    const high = ethernet.high(b, at + wire.SENDER_MAC);
    const low = ethernet.low(b, at + wire.SENDER_MAC);
    if (!this.sender.isUnspecified && this.ip.hasAddress(iface, this.sender)) {
      if (high !== iface.macHigh || low !== iface.macLow) this.defend(iface);
      this.ip.drop(slot, Drop.ARP_BAD_ADDRESS);
      return;
    }
    const isForUs = this.ip.hasAddress(iface, this.target);
    if (!this.sender.isUnspecified && !this.sender.isMulticast) {
      this.learn(iface, wire.operation(b, at), high, low, isForUs);
    }
    if (!isForUs) {
      this.ip.drop(slot, Drop.ARP_NOT_FOR_US);
      return;
    }
    if (wire.operation(b, at) === wire.REQUEST) this.reply(iface, at);
    pool.give(slot);
  }

  private learn(
    iface: Interface,
    operation: number,
    high: number,
    low: number,
    isForUs: boolean,
  ): void {
    let how: number = Heard.MENTIONED;
    if (isForUs && operation === wire.REQUEST) how = Heard.SPOKE;
    else if (isForUs) how = Heard.ANSWER;
    this.ip.neighbours.heard(iface, this.sender, high, low, how);
  }

  private reply(iface: Interface, requestAt: number): void {
    const slot = this.takePacket();
    if (slot === NO_SLOT) return;
    const b = this.ip.bytes;
    const at = this.ip.pool.at[slot]!;
    wire.writeReply(b, at, iface.mac, b, requestAt);
    const mac = requestAt + wire.SENDER_MAC;
    this.put(iface, slot, ethernet.high(b, mac), ethernet.low(b, mac));
  }

  /** Asks for a neighbour's hardware address: the neighbour itself when PROBE, everybody otherwise. */
  solicit(n: Neighbour): void {
    const from = this.ip.addresses.sourceOnLink4(n.iface, n.address);
    if (from === null) return;
    const slot = this.takePacket();
    if (slot === NO_SLOT) return;
    wire.writeRequest(this.ip.bytes, this.ip.pool.at[slot]!, n.iface.mac, from.w3, n.address.w3);
    if (n.state === NeighbourState.PROBE) this.put(n.iface, slot, n.macHigh, n.macLow);
    else this.put(n.iface, slot, 0xffff, -1);
  }

  /** Tells everybody that an address is here (RFC 5227 §2.3): neighbours update their tables. */
  announce(iface: Interface, address: IpAddress): void {
    const slot = this.takePacket();
    if (slot === NO_SLOT) return;
    const at = this.ip.pool.at[slot]!;
    wire.writeRequest(this.ip.bytes, at, iface.mac, address.w3, address.w3);
    this.put(iface, slot, 0xffff, -1);
  }

  private defend(iface: Interface): void {
    this.ip.count("addressConflicts");
    if (this.ip.nowUs - this.defendedAtUs < DEFEND_INTERVAL_US) return;
    this.defendedAtUs = this.ip.nowUs;
    this.announce(iface, this.sender);
  }

  /** A slot with `at` and `end` around an ARP packet, behind room for the link header. */
  private takePacket(): number {
    const { pool } = this.ip;
    const slot = pool.take();
    if (slot === NO_SLOT) {
      this.ip.lost(Drop.POOL_EMPTY);
      return NO_SLOT;
    }
    const at = pool.base(slot) + HEADROOM_BYTES;
    pool.at[slot] = at;
    pool.end[slot] = at + wire.PACKET_BYTES;
    pool.flags[slot] = 0;
    return slot;
  }

  private put(iface: Interface, slot: number, high: number, low: number): void {
    const { pool } = this.ip;
    const at = pool.at[slot]! - ethernet.HEADER_BYTES;
    ethernet.putAddress(pool.bytes, at + ethernet.DST, high, low);
    ethernet.putAddress(pool.bytes, at + ethernet.SRC, iface.macHigh, iface.macLow);
    pool.bytes[at + ethernet.TYPE] = ethernet.TYPE_ARP >>> 8;
    pool.bytes[at + ethernet.TYPE + 1] = ethernet.TYPE_ARP & 0xff;
    pool.at[slot] = at;
    iface.put(slot);
  }
}
