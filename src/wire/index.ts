/** The public face of `millrace/wire`: every packet format as a namespace, and the drop reasons. */
export * as arp from "./arp.js";
export { DROP_COUNT, DROP_MEANINGS, Drop, type DropName, dropName } from "./drop.js";
export * as ethernet from "./ethernet.js";
export * as icmpv4 from "./icmpv4.js";
export * as icmpv6 from "./icmpv6.js";
export * as ipProtocol from "./ip-protocol.js";
export * as ipv4 from "./ipv4.js";
export * as ipv6 from "./ipv6.js";
export * as pseudoHeader from "./pseudo-header.js";
export * as tcp from "./tcp.js";
export * as udp from "./udp.js";
export * as vlan from "./vlan.js";
