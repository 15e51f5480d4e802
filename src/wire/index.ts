/**
 * The public face of `millrace/wire`: every packet format as a namespace, the drop reasons, capture
 * files and packets as text.
 */
export * as arp from "./arp.js";
export {
  CapturedPacket,
  type CaptureError,
  type CaptureInterface,
  type CaptureWriter,
  Direction,
} from "./capture-file.js";
export { CaptureReader } from "./capture-reader.js";
export { DROP_COUNT, DROP_MEANINGS, Drop, type DropName, dropName } from "./drop.js";
export * as ethernet from "./ethernet.js";
export * as icmpv4 from "./icmpv4.js";
export * as icmpv6 from "./icmpv6.js";
export * as igmp from "./igmp.js";
export * as ipProtocol from "./ip-protocol.js";
export * as ipv4 from "./ipv4.js";
export * as ipv4Options from "./ipv4-options.js";
export * as ipv6 from "./ipv6.js";
export * as ipv6Extensions from "./ipv6-extensions.js";
export * as ipv6Fragment from "./ipv6-fragment.js";
export * as linkType from "./link-type.js";
export * as mld from "./mld.js";
export * as nd from "./nd.js";
export { type FilterError, PacketFilter, parseFilter } from "./packet-filter.js";
export { type PcapOptions, PcapWriter } from "./pcap.js";
export { type InterfaceCounts, type InterfaceDescription, PcapngWriter } from "./pcapng-writer.js";
export { PacketPrinter, type PrintOptions } from "./print.js";
export * as pseudoHeader from "./pseudo-header.js";
export * as tcp from "./tcp.js";
export * as tcpOptions from "./tcp-options.js";
export * as udp from "./udp.js";
export * as vlan from "./vlan.js";
