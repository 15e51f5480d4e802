/**
 * The few fields of a captured packet that filters and summaries ask for: addresses, protocol,
 * ports. Read into one reused record; whatever is missing or cut off stays at "unknown".
 *
 * VLAN tags and IPv6 extension headers are looked through. ARP's two IP addresses count as source
 * and destination, as they do in pcap filters.
 */
import { u8, u16 } from "../base/bytes.js";
import { IpAddress } from "../base/ip-address.js";
import * as arp from "./arp.js";
import type { CapturedPacket } from "./capture-file.js";
import * as ethernet from "./ethernet.js";
import * as ipProtocol from "./ip-protocol.js";
import * as ipv4 from "./ipv4.js";
import * as ipv6 from "./ipv6.js";
import * as linkType from "./link-type.js";

const MAX_TAGS = 4;
const MAX_EXTENSIONS = 8;
const UNKNOWN = -1;

export class PacketFields {
  /** Whether there is an Ethernet header; its addresses are then at `packet.at`. */
  hasEthernet = false;
  /** EtherType after all VLAN tags, -1 when unknown. */
  etherType: number = UNKNOWN;
  /** Id of the outermost VLAN tag, -1 without one. */
  vlanId: number = UNKNOWN;
  /** 4, 6, or 0 when the packet is not IP. */
  ipVersion = 0;
  /** Whether `src` and `dst` are known. */
  hasAddresses = false;
  readonly src: IpAddress = new IpAddress();
  readonly dst: IpAddress = new IpAddress();
  /** IP protocol after extension headers, -1 when unknown. */
  protocol: number = UNKNOWN;
  /** TCP's or UDP's, -1 when there are none (a later fragment has none). */
  srcPort: number = UNKNOWN;
  dstPort: number = UNKNOWN;

  /** Fills all fields from a packet; borrows it for the call. */
  read(packet: CapturedPacket): void {
    this.hasEthernet = false;
    this.etherType = UNKNOWN;
    this.vlanId = UNKNOWN;
    this.ipVersion = 0;
    this.hasAddresses = false;
    this.protocol = UNKNOWN;
    this.srcPort = UNKNOWN;
    this.dstPort = UNKNOWN;
    const { bytes: b, at, end } = packet;
    switch (packet.linkType) {
      case linkType.EN10MB:
        this.readEthernet(packet);
        break;
      case linkType.LINUX_SLL:
        if (end - at >= 16) this.readNetwork(packet, u16(b, at + 14), at + 16);
        break;
      case linkType.LINUX_SLL2:
        if (end - at >= 20) this.readNetwork(packet, u16(b, at), at + 20);
        break;
      case linkType.NULL:
      case linkType.LOOP:
        if (end - at > 4) this.readIp(packet, at + 4);
        break;
      default:
        if (linkType.isRawIp(packet.linkType) && end > at) this.readIp(packet, at);
    }
  }

  private readEthernet(packet: CapturedPacket): void {
    const { bytes: b, at, end } = packet;
    if (end - at < ethernet.HEADER_BYTES) return;
    this.hasEthernet = true;
    let type = u16(b, at + ethernet.TYPE);
    let here = at + ethernet.HEADER_BYTES;
    for (let n = 0; n < MAX_TAGS && ethernet.isTag(type) && end - here >= 4; n++) {
      if (n === 0) this.vlanId = u16(b, here) & 0x0fff;
      type = u16(b, here + 2);
      here += 4;
    }
    this.readNetwork(packet, type, here);
  }

  private readNetwork(packet: CapturedPacket, type: number, at: number): void {
    this.etherType = type;
    if (type === ethernet.TYPE_ARP) this.readArp(packet, at);
    else if (type === ethernet.TYPE_IPV4 || type === ethernet.TYPE_IPV6) this.readIp(packet, at);
  }

  private readArp(packet: CapturedPacket, at: number): void {
    if (packet.end - at < arp.PACKET_BYTES) return;
    this.src.read4(packet.bytes, at + arp.SENDER_IP);
    this.dst.read4(packet.bytes, at + arp.TARGET_IP);
    this.hasAddresses = true;
  }

  private readIp(packet: CapturedPacket, at: number): void {
    if (packet.end <= at) return;
    const version = ipv4.version(packet.bytes, at);
    if (version === 4) this.readIpv4(packet, at);
    else if (version === 6) this.readIpv6(packet, at);
  }

  private readIpv4(packet: CapturedPacket, at: number): void {
    const { bytes: b, end } = packet;
    this.ipVersion = 4;
    this.etherType = ethernet.TYPE_IPV4;
    if (end - at < ipv4.HEADER_BYTES) return;
    this.src.read4(b, at + ipv4.SRC);
    this.dst.read4(b, at + ipv4.DST);
    this.hasAddresses = true;
    this.protocol = ipv4.protocol(b, at);
    if (ipv4.fragmentOffsetBytes(b, at) === 0) this.readPorts(packet, ipv4.payloadAt(b, at));
  }

  private readIpv6(packet: CapturedPacket, at: number): void {
    const { bytes: b, end } = packet;
    this.ipVersion = 6;
    this.etherType = ethernet.TYPE_IPV6;
    if (end - at < ipv6.HEADER_BYTES) return;
    this.src.read6(b, at + ipv6.SRC);
    this.dst.read6(b, at + ipv6.DST);
    this.hasAddresses = true;
    let next = ipv6.nextHeader(b, at);
    let here = at + ipv6.HEADER_BYTES;
    for (let n = 0; n < MAX_EXTENSIONS && isExtension(next) && end - here >= 8; n++) {
      const isFragment = next === ipProtocol.FRAGMENT;
      const isLater = isFragment && (u16(b, here + 2) & 0xfff8) !== 0;
      next = u8(b, here);
      if (isLater) {
        this.protocol = next;
        return;
      }
      here += isFragment ? 8 : (u8(b, here + 1) + 1) * 8;
    }
    this.protocol = next;
    this.readPorts(packet, here);
  }

  private readPorts(packet: CapturedPacket, at: number): void {
    if (this.protocol !== ipProtocol.TCP && this.protocol !== ipProtocol.UDP) return;
    if (packet.end - at < 4) return;
    this.srcPort = u16(packet.bytes, at);
    this.dstPort = u16(packet.bytes, at + 2);
  }
}

function isExtension(next: number): boolean {
  return (
    next === ipProtocol.HOP_BY_HOP ||
    next === ipProtocol.ROUTING ||
    next === ipProtocol.FRAGMENT ||
    next === ipProtocol.DESTINATION_OPTIONS
  );
}
