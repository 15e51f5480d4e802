/**
 * Options of level IPPROTO_IP and IPPROTO_IPV6 whose values are structures: groups, their sources,
 * and the interface for multicasts (ip(7), ipv6(7), RFC 3678).
 */
import { EADDRNOTAVAIL, EINVAL, ENODEV, ENOPROTOOPT } from "../base/errno.js";
import { IpAddress } from "../base/ip-address.js";
import { FilterMode } from "../ip/source-filter.js";
import { Family, IpOption, Ipv6Option, Level } from "../socket/linux-options.js";
import type { UdpSocket } from "../socket/udp-socket.js";

/** A structure of the program's. */
export interface OptionValue {
  readonly view: DataView;
  readonly at: number;
  readonly bytes: number;
}

const SOCKADDR_STORAGE_BYTES = 128;
const GROUP_REQ_BYTES = 8 + SOCKADDR_STORAGE_BYTES;
const GROUP_SOURCE_REQ_BYTES = GROUP_REQ_BYTES + SOCKADDR_STORAGE_BYTES;
/** ip_mreq, ip_mreqn, ip_mreq_source, ipv6_mreq, and what comes before the sources of filters. */
const MREQ_BYTES = 8;
const MREQN_BYTES = 12;
const MREQ6_BYTES = 20;
const MSFILTER_BYTES = 16;
const GROUP_FILTER_BYTES = GROUP_REQ_BYTES + 8;

/** Sets such an option; null when it is none. */
export function setGroupOption(
  s: UdpSocket,
  level: number,
  option: number,
  v: OptionValue,
): number | null {
  if (level === Level.IP || level === Level.IPV6) {
    const result = setProtocolIndependent(s, option, v);
    if (result !== null) return result;
  }
  if (level === Level.IP) return setIp(s, option, v);
  return level === Level.IPV6 && s.family === Family.INET6 ? setIpv6(s, option, v) : null;
}

function setIp(s: UdpSocket, option: number, v: OptionValue): number | null {
  switch (option) {
    case IpOption.IP_ADD_MEMBERSHIP:
    case IpOption.IP_DROP_MEMBERSHIP: {
      if (v.bytes < MREQ_BYTES) return -EINVAL;
      const ifIndex = interfaceOfMreq(s, v);
      if (ifIndex < 0) return ifIndex;
      const group = v4(v, 0);
      return option === IpOption.IP_ADD_MEMBERSHIP
        ? s.joinGroup(group, ifIndex)
        : s.leaveGroup(group, ifIndex);
    }
    case IpOption.IP_ADD_SOURCE_MEMBERSHIP:
    case IpOption.IP_DROP_SOURCE_MEMBERSHIP:
    case IpOption.IP_BLOCK_SOURCE:
    case IpOption.IP_UNBLOCK_SOURCE: {
      if (v.bytes < MREQN_BYTES) return -EINVAL;
      const ifIndex = interfaceOfAddress(s, v4(v, 4));
      return ifIndex < 0 ? ifIndex : changeSource(s, option, v4(v, 0), v4(v, 8), ifIndex);
    }
    case IpOption.IP_MULTICAST_IF:
      return setMulticastIf(s, v);
    case IpOption.IP_MSFILTER:
      return setFilter4(s, v);
    default:
      return null;
  }
}

function changeSource(
  s: UdpSocket,
  option: number,
  group: IpAddress,
  source: IpAddress,
  ifIndex: number,
): number {
  switch (option) {
    case IpOption.IP_ADD_SOURCE_MEMBERSHIP:
    case IpOption.MCAST_JOIN_SOURCE_GROUP:
      return s.joinSource(group, source, ifIndex);
    case IpOption.IP_DROP_SOURCE_MEMBERSHIP:
    case IpOption.MCAST_LEAVE_SOURCE_GROUP:
      return s.leaveSource(group, source, ifIndex);
    case IpOption.IP_BLOCK_SOURCE:
    case IpOption.MCAST_BLOCK_SOURCE:
      return s.blockSource(group, source, ifIndex);
    default:
      return s.unblockSource(group, source, ifIndex);
  }
}

function setIpv6(s: UdpSocket, option: number, v: OptionValue): number | null {
  if (option !== Ipv6Option.IPV6_JOIN_GROUP && option !== Ipv6Option.IPV6_LEAVE_GROUP) return null;
  if (v.bytes < MREQ6_BYTES) return -EINVAL;
  const ifIndex = v.view.getInt32(v.at + 16, true);
  const group = v6(v, 0);
  return option === Ipv6Option.IPV6_JOIN_GROUP
    ? s.joinGroup(group, ifIndex)
    : s.leaveGroup(group, ifIndex);
}

function setProtocolIndependent(s: UdpSocket, option: number, v: OptionValue): number | null {
  switch (option) {
    case IpOption.MCAST_JOIN_GROUP:
    case IpOption.MCAST_LEAVE_GROUP: {
      if (v.bytes < GROUP_REQ_BYTES) return -EINVAL;
      const group = sockaddr(v, 8);
      if (group === null) return -EADDRNOTAVAIL;
      const ifIndex = v.view.getInt32(v.at, true);
      return option === IpOption.MCAST_JOIN_GROUP
        ? s.joinGroup(group, ifIndex)
        : s.leaveGroup(group, ifIndex);
    }
    case IpOption.MCAST_JOIN_SOURCE_GROUP:
    case IpOption.MCAST_LEAVE_SOURCE_GROUP:
    case IpOption.MCAST_BLOCK_SOURCE:
    case IpOption.MCAST_UNBLOCK_SOURCE: {
      if (v.bytes < GROUP_SOURCE_REQ_BYTES) return -EINVAL;
      const group = sockaddr(v, 8);
      const source = sockaddr(v, GROUP_REQ_BYTES);
      if (group === null || source === null) return -EADDRNOTAVAIL;
      return changeSource(s, option, group, source, v.view.getInt32(v.at, true));
    }
    case IpOption.MCAST_MSFILTER:
      return setGroupFilter(s, v);
    default:
      return null;
  }
}

function setFilter4(s: UdpSocket, v: OptionValue): number {
  if (v.bytes < MSFILTER_BYTES) return -EINVAL;
  const n = v.view.getUint32(v.at + 12, true);
  if (n > 64 || v.bytes < MSFILTER_BYTES + 4 * n) return -EINVAL;
  const ifIndex = interfaceOfAddress(s, v4(v, 4));
  if (ifIndex < 0) return ifIndex;
  const sources = Array.from({ length: n }, (_, i) => v4(v, MSFILTER_BYTES + 4 * i));
  return replaceFilter(s, v4(v, 0), ifIndex, v.view.getUint32(v.at + 8, true), sources);
}

function setGroupFilter(s: UdpSocket, v: OptionValue): number {
  if (v.bytes < GROUP_FILTER_BYTES) return -EINVAL;
  const n = v.view.getUint32(v.at + GROUP_REQ_BYTES + 4, true);
  if (n > 64 || v.bytes < GROUP_FILTER_BYTES + SOCKADDR_STORAGE_BYTES * n) return -EINVAL;
  const group = sockaddr(v, 8);
  const sources: IpAddress[] = [];
  for (let i = 0; i < n; i++) {
    const source = sockaddr(v, GROUP_FILTER_BYTES + SOCKADDR_STORAGE_BYTES * i);
    if (source === null) return -EADDRNOTAVAIL;
    sources.push(source);
  }
  if (group === null) return -EADDRNOTAVAIL;
  const mode = v.view.getUint32(v.at + GROUP_REQ_BYTES, true);
  return replaceFilter(s, group, v.view.getInt32(v.at, true), mode, sources);
}

function replaceFilter(
  s: UdpSocket,
  group: IpAddress,
  ifIndex: number,
  mode: number,
  sources: IpAddress[],
): number {
  if (mode > 1) return -EINVAL;
  const { memberships } = s.endpoint;
  const filter = { mode: mode === 0 ? FilterMode.EXCLUDE : FilterMode.INCLUDE, sources };
  return memberships.setFilter(group, ifIndex, filter);
}

/** in_addr, ip_mreq or ip_mreqn. */
function setMulticastIf(s: UdpSocket, v: OptionValue): number {
  if (v.bytes < 4) return -EINVAL;
  const ifIndex = v.bytes >= MREQN_BYTES ? v.view.getInt32(v.at + 8, true) : 0;
  if (ifIndex === 0) {
    const word = v.view.getInt32(v.at + (v.bytes >= MREQ_BYTES ? 4 : 0));
    return s.setOption(Level.IP, IpOption.IP_MULTICAST_IF, word);
  }
  if (s.stack.interfaceByIndex(ifIndex) === null) return -EADDRNOTAVAIL;
  s.endpoint.multicastIf = ifIndex;
  s.endpoint.optionsChanged();
  return 0;
}

/** The interface that an ip_mreq or ip_mreqn names; 0 for any. */
function interfaceOfMreq(s: UdpSocket, v: OptionValue): number {
  const ifIndex = v.bytes >= MREQN_BYTES ? v.view.getInt32(v.at + 8, true) : 0;
  if (ifIndex !== 0) return s.stack.interfaceByIndex(ifIndex) === null ? -ENODEV : ifIndex;
  return interfaceOfAddress(s, v4(v, 4));
}

function interfaceOfAddress(s: UdpSocket, address: IpAddress): number {
  if (address.isUnspecified) return 0;
  return s.stack.ip.interfaceOf(address)?.index ?? -ENODEV;
}

const v4 = (v: OptionValue, offset: number): IpAddress =>
  IpAddress.v4(v.view.getInt32(v.at + offset));

function v6(v: OptionValue, offset: number): IpAddress {
  const at = v.at + offset;
  const { view } = v;
  return new IpAddress(
    view.getInt32(at),
    view.getInt32(at + 4),
    view.getInt32(at + 8),
    view.getInt32(at + 12),
  );
}

/** A sockaddr_storage's address, or null. */
function sockaddr(v: OptionValue, offset: number): IpAddress | null {
  const family = v.view.getUint16(v.at + offset, true);
  if (family === Family.INET) return v4(v, offset + 4);
  return family === Family.INET6 ? v6(v, offset + 8) : null;
}

/** For TCP sockets, which have no groups. */
export const NO_GROUPS: number = -ENOPROTOOPT;
