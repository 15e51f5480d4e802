/** Owned interfaces: the stack is the only host behind one, so it does ARP, ND, ICMP and groups itself. */
import { IpAddress as Address, type IpAddress } from "../base/ip-address.js";
import { Capability, type Device } from "../nic/device.js";
import { withOffloads } from "../nic/offload.js";
import * as ipv4 from "../wire/ipv4.js";
import * as ipv6 from "../wire/ipv6.js";
import { AddressOrigin, type Interface } from "./interface.js";
import { addAddress, FOR_EVER } from "./interface-address.js";
import type { Ip } from "./ip.js";
import { STACK } from "./multicast.js";
import { ALL_NODES } from "./nd.js";
import { withEui64 } from "./routers.js";
import { ALL_SOURCES } from "./source-filter.js";

export interface InterfaceOptions {
  /** `10.0.0.1/24`, `fd00::1/64`. */
  readonly addresses?: readonly string[];
  readonly mtuBytes?: number;
  readonly name?: string;
  /** Its number, if that is free; default: the next one. */
  readonly index?: number;
  /** Whether to form a link-local IPv6 address; default true. */
  readonly linkLocal?: boolean;
  /** Whether IPv6 addresses are checked for duplicates before use (a second); default false. */
  readonly detectDuplicates?: boolean;
  /** Whether to ask routers to advertise at start; default false. */
  readonly solicitRouters?: boolean;
  /** Whether received TCP segments are joined in software; default false. */
  readonly coalesce?: boolean;
  /** Whether router advertisements and redirects are obeyed; default true. */
  readonly acceptRouters?: boolean;
}

const ALL_SYSTEMS: IpAddress = Address.parse("224.0.0.1");
const LINK_LOCAL_PREFIX: IpAddress = Address.parse("fe80::");

/** Adds an interface around a device of the stack's pool. Throws `RangeError` for an MTU too small. */
export function addOwnedInterface(ip: Ip, bare: Device, options: InterfaceOptions): Interface {
  const device = withOffloads(bare, ip.pool, options.coalesce === true);
  const mtuBytes = Math.min(options.mtuBytes ?? device.mtuBytes, device.mtuBytes);
  if (!Number.isInteger(mtuBytes) || mtuBytes < ipv4.MIN_MTU_BYTES) {
    throw new RangeError(`mtuBytes: expected ${ipv4.MIN_MTU_BYTES} or more, got ${mtuBytes}`);
  }
  const sumsInSoftware = (bare.capabilities & Capability.TX_CHECKSUM) === 0;
  const { name = device.name, index = 0 } = options;
  const iface = ip.add({ index, device, name, mtuBytes, isLoopback: false, sumsInSoftware });
  iface.acceptsRouters = options.acceptRouters !== false;
  iface.detectsDuplicates = options.detectDuplicates === true;
  joinGroups(ip, iface);
  if (options.linkLocal !== false && mtuBytes >= ipv6.MIN_MTU_BYTES) {
    const address = withEui64(LINK_LOCAL_PREFIX, device.mac);
    const life = { ...FOR_EVER, origin: AddressOrigin.LINK_LOCAL };
    addAddress(ip, iface, { address, bits: 64, life });
  }
  for (const text of options.addresses ?? []) ip.addAddress(iface, text);
  if (options.solicitRouters === true) ip.routers.solicit(iface);
  return iface;
}

/** Those that every host is in, and from now on reports of what is joined and left. */
function joinGroups(ip: Ip, iface: Interface): void {
  ip.igmp.addInterface(iface);
  ip.mld.addInterface(iface);
  iface.filters.listener = {
    filterChanged: (group, before, after) => {
      if (group.isV4) ip.igmp.filterChanged(iface, group, before, after);
      else ip.mld.filterChanged(iface, group, before, after);
    },
  };
  iface.filters.set(STACK, ALL_SYSTEMS, ALL_SOURCES);
  if (iface.mtuBytes >= ipv6.MIN_MTU_BYTES) iface.filters.set(STACK, ALL_NODES, ALL_SOURCES);
}
