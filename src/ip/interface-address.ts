/** What follows from an address of an interface: its broadcast address, its solicited-node group. */
import { ANY4, type IpAddress } from "../base/ip-address.js";
import * as nd from "../wire/nd.js";
import type { Interface } from "./interface.js";

/** IPv4 broadcast address of a subnet as a word, 0 where there is none (RFC 3021, host routes). */
export function broadcastOf(address: IpAddress, bits: number, iface: Interface): number {
  return iface.isLoopback ? 0 : broadcastWord(address, bits);
}

/** As {@link broadcastOf}, for an address on any link but loopback. */
export function broadcastWord(address: IpAddress, bits: number): number {
  if (!address.isV4 || bits >= 31 || bits === 0) return 0;
  return address.w3 | (-1 >>> bits);
}

/** The group that an IPv6 address's neighbour solicitations go to (RFC 4291 §2.7.1). */
export function solicitedNode(address: IpAddress): IpAddress {
  const group = ANY4.copy();
  nd.solicitedNode(address, group);
  return group;
}
