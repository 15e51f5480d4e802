/**
 * Ethernet frames in: whether they are for this station, and which protocol takes them.
 *
 * Untagged frames and priority tags (VLAN 0) are taken; VLANs are `link/`'s. Devices may vouch for
 * checksums (`FrameFlags`); the link flags are set here from the destination address.
 */
import type { Batch } from "../ring/batch.js";
import { FrameFlags, type Pool } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as ethernet from "../wire/ethernet.js";
import * as protocols from "../wire/ip-protocol.js";
import * as vlan from "../wire/vlan.js";
import { type FramePrediction, NO_PREDICTION } from "./frame-prediction.js";
import type { Interface } from "./interface.js";
import type { Ip } from "./ip.js";
import type { UdpPrediction } from "./udp-prediction.js";

const LINK_FLAGS: number =
  FrameFlags.LINK_BROADCAST | FrameFlags.LINK_MULTICAST | FrameFlags.LOOPED;

/** Where the protocol is if the frame is IPv4: it lies in the slot, however short the frame is. */
const PROTOCOL_AT = 23;
const TCP: number = protocols.TCP;

export class FrameInput {
  private readonly ip: Ip;
  private readonly pool: Pool;
  private readonly view: DataView;
  private readonly prediction: UdpPrediction;
  private readonly framesIn: number;
  /** Asked for a frame that comes alone; set once, before any comes. */
  alone: FramePrediction = NO_PREDICTION;

  constructor(ip: Ip) {
    this.ip = ip;
    this.pool = ip.pool;
    this.view = ip.view;
    this.prediction = ip.prediction;
    this.framesIn = ip.counters.index("framesIn");
  }

  /** Hot path. Frames from a wire. */
  take(iface: Interface, batch: Batch): void {
    const { pool, prediction } = this;
    const { slots, n } = batch;
    this.ip.counters.add(this.framesIn, n);
    for (let i = 0; i < n; i++) {
      const slot = slots[i]!;
      const at = pool.at[slot]!;
      if (n === 1 && this.view.getUint8(at + PROTOCOL_AT) === TCP) {
        if (this.alone.take(iface, slot, at, this.ip.nowUs)) return;
      } else if (prediction.take(iface, slot, at)) continue;
      const reason = this.check(iface, slot, at);
      if (reason !== Drop.NONE) this.ip.drop(slot, reason);
      else this.dispatch(iface, slot, at);
    }
  }

  /** Frames that this host sent to itself; they are in order. */
  takeLooped(batch: Batch): void {
    const { pool } = this.ip;
    for (let i = 0; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      const iface = this.ip.interfaceAt(pool.ifIndex[slot]!);
      if (iface === null) this.ip.drop(slot, Drop.DEVICE_GONE);
      else this.dispatch(iface, slot, pool.at[slot]!);
    }
  }

  /** Hot path. Whether the frame is for this station; sets its link flags. */
  private check(iface: Interface, slot: number, at: number): Drop {
    const { pool } = this.ip;
    const { view } = this;
    if (pool.end[slot]! - at < ethernet.HEADER_BYTES) return Drop.ETH_TRUNCATED;
    const high = view.getUint16(at);
    const low = view.getInt32(at + 2);
    let flags = pool.flags[slot]! & ~LINK_FLAGS;
    if ((high & 0x100) !== 0) {
      const isBroadcast = high === 0xffff && low === -1;
      flags |= isBroadcast ? FrameFlags.LINK_BROADCAST : FrameFlags.LINK_MULTICAST;
    } else if (high !== iface.macHigh || low !== iface.macLow) return Drop.ETH_NOT_FOR_US;
    pool.flags[slot] = flags;
    if (view.getInt32(at + 8) === iface.macLow && view.getUint16(at + 6) === iface.macHigh) {
      return Drop.ETH_OWN_ECHO;
    }
    return Drop.NONE;
  }

  /** Hot path. */
  private dispatch(iface: Interface, slot: number, at: number): void {
    const type = this.view.getUint16(at + ethernet.TYPE);
    const l3At = at + ethernet.HEADER_BYTES;
    if (type === ethernet.TYPE_IPV4) this.ip.input4.receive(iface, slot, l3At);
    else if (type === ethernet.TYPE_IPV6) this.ip.input6.receive(iface, slot, l3At);
    else if (type === ethernet.TYPE_ARP) this.ip.arp.receive(iface, slot, l3At);
    else this.dispatchOther(iface, slot, at);
  }

  private dispatchOther(iface: Interface, slot: number, at: number): void {
    const { pool } = this.ip;
    const reason = ethernet.check(pool.bytes, at, pool.end[slot]!);
    if (reason !== Drop.NONE) {
      this.ip.drop(slot, reason);
    } else if (ethernet.tagsOut === 0) {
      this.ip.drop(slot, Drop.ETH_TYPE_UNKNOWN);
    } else if (vlan.id(pool.bytes, vlan.tagAt(at, 0)) !== vlan.ID_NONE || ethernet.tagsOut > 1) {
      this.ip.drop(slot, Drop.ETH_VLAN_UNKNOWN);
    } else {
      pool.at[slot] = vlan.strip(pool.bytes, at);
      this.dispatch(iface, slot, pool.at[slot]!);
    }
  }
}
