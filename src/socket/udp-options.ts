/**
 * Socket options of UDP sockets: each takes effect, is remembered for the layer that acts on it, or
 * gives the error number that Linux gives.
 *
 * Deviation: a dual-stack socket has one TTL, TOS, multicast TTL and path MTU setting for both
 * families; the last one set, IPv4's or IPv6's, holds.
 */
import {
  EACCES,
  EADDRNOTAVAIL,
  EINVAL,
  ENODEV,
  ENOPROTOOPT,
  ENOTCONN,
  EPERM,
} from "../base/errno.js";
import { IpAddress } from "../base/ip-address.js";
import {
  Family,
  IpOption,
  Ipv6Option,
  Level,
  So,
  SocketType,
  UdpLevelOption,
} from "./linux-options.js";
import type { UdpSocket } from "./udp-socket.js";

const UDP_PROTOCOL = 17;
const DEFAULT_TTL = 64;
/** IPV6_MIN_MTU, RFC 8200 §5. */
const MIN_MTU6_BYTES = 1_280;
/** net.core.rmem_max and wmem_max; the kernel doubles what it is asked for. */
const MAX_BUFFER_BYTES = 212_992;
/** The kernel's own: a buffer holds two small packets with what the kernel keeps of each. */
const MIN_RECEIVE_BYTES = 2_304;
const MIN_SEND_BYTES = 4_608;

export function setUdpOption(s: UdpSocket, level: number, option: number, value: number): number {
  switch (level) {
    case Level.SOCKET:
      return setSocketLevel(s, option, value);
    case Level.UDP:
      return setUdpLevel(s, option, value);
    case Level.IP:
      return setIp(s, option, value);
    case Level.IPV6:
      return s.family === Family.INET6 ? setIpv6(s, option, value) : -ENOPROTOOPT;
    default:
      return -ENOPROTOOPT;
  }
}

export function getUdpOption(s: UdpSocket, level: number, option: number): number {
  switch (level) {
    case Level.SOCKET:
      return getSocketLevel(s, option);
    case Level.UDP:
      return getUdpLevel(s, option);
    case Level.IP:
      return getIp(s, option);
    case Level.IPV6:
      return s.family === Family.INET6 ? getIpv6(s, option) : -ENOPROTOOPT;
    default:
      return -ENOPROTOOPT;
  }
}

function read(s: UdpSocket, value: number | boolean): number {
  s.optionOut = Number(value);
  return 0;
}

/** SOL_SOCKET options that are remembered only. */
function isKept(option: number): boolean {
  return (
    option === So.SO_DONTROUTE ||
    option === So.SO_KEEPALIVE ||
    option === So.SO_OOBINLINE ||
    option === So.SO_PRIORITY ||
    option === So.SO_RCVLOWAT ||
    option === So.SO_TIMESTAMP ||
    option === So.SO_TIMESTAMPNS ||
    option === So.SO_RXQ_OVFL ||
    option === So.SO_BUSY_POLL ||
    option === So.SO_SNDBUF
  );
}

function setSocketLevel(s: UdpSocket, option: number, value: number): number {
  const e = s.endpoint;
  switch (option) {
    case So.SO_REUSEADDR:
      e.reuseAddress = value !== 0;
      return 0;
    case So.SO_REUSEPORT:
      e.reusePort = value !== 0;
      e.optionsChanged();
      return 0;
    case So.SO_BROADCAST:
      e.broadcast = value !== 0;
      e.optionsChanged();
      return 0;
    case So.SO_NO_CHECK:
      e.checksumOff = value !== 0;
      return 0;
    case So.SO_RCVBUF:
      e.receiveBufferBytes = doubled(value, MIN_RECEIVE_BYTES);
      return 0;
    case So.SO_SNDBUF:
      return s.keep(Level.SOCKET, option, doubled(value, MIN_SEND_BYTES));
    case So.SO_BINDTOIFINDEX:
      return value < 0 ? -EINVAL : s.bindToIndex(value);
    case So.SO_DEBUG:
      return value === 0 ? 0 : -EACCES;
    case So.SO_SNDBUFFORCE:
    case So.SO_RCVBUFFORCE:
    case So.SO_MARK:
      return -EPERM;
    case So.SO_LINGER:
    case So.SO_RCVTIMEO:
    case So.SO_SNDTIMEO:
      return -EINVAL; // their values are structures
    case So.SO_BSDCOMPAT:
      return 0;
    default:
      return isKept(option) ? s.keep(Level.SOCKET, option, value) : -ENOPROTOOPT;
  }
}

const doubled = (bytes: number, leastBytes: number): number =>
  Math.max(leastBytes, Math.min(bytes, MAX_BUFFER_BYTES) * 2);

function getSocketLevel(s: UdpSocket, option: number): number {
  const e = s.endpoint;
  switch (option) {
    case So.SO_REUSEADDR:
      return read(s, e.reuseAddress);
    case So.SO_REUSEPORT:
      return read(s, e.reusePort);
    case So.SO_BROADCAST:
      return read(s, e.broadcast);
    case So.SO_NO_CHECK:
      return read(s, e.checksumOff);
    case So.SO_RCVBUF:
      return read(s, e.receiveBufferBytes);
    case So.SO_SNDBUF:
      return s.recall(Level.SOCKET, option, MAX_BUFFER_BYTES);
    case So.SO_RCVLOWAT:
      return s.recall(Level.SOCKET, option, 1);
    case So.SO_BINDTOIFINDEX:
      return read(s, e.ifIndex);
    case So.SO_ERROR:
      return read(s, s.takeError());
    case So.SO_TYPE:
      return read(s, SocketType.DGRAM);
    case So.SO_PROTOCOL:
      return read(s, UDP_PROTOCOL);
    case So.SO_DOMAIN:
      return read(s, s.family);
    case So.SO_COOKIE:
      return read(s, s.id);
    case So.SO_SNDLOWAT:
      return read(s, 1);
    case So.SO_ACCEPTCONN:
    case So.SO_BSDCOMPAT:
    case So.SO_DEBUG:
    case So.SO_MARK:
    case So.SO_INCOMING_CPU:
      return read(s, 0);
    default:
      return isKept(option) ? s.recall(Level.SOCKET, option) : -ENOPROTOOPT;
  }
}

function setUdpLevel(s: UdpSocket, option: number, value: number): number {
  switch (option) {
    case UdpLevelOption.UDP_SEGMENT:
      if (value < 0 || value > 0xffff) return -EINVAL;
      s.endpoint.gsoBytes = value;
      return 0;
    case UdpLevelOption.UDP_GRO:
      return s.keep(Level.UDP, option, value === 0 ? 0 : 1); // datagrams are always given one by one
    default:
      return -ENOPROTOOPT;
  }
}

function getUdpLevel(s: UdpSocket, option: number): number {
  switch (option) {
    case UdpLevelOption.UDP_SEGMENT:
      return read(s, s.endpoint.gsoBytes);
    case UdpLevelOption.UDP_GRO:
      return s.recall(Level.UDP, option);
    default:
      return -ENOPROTOOPT;
  }
}

/** Options that only say what `receive` reports; the socket always knows it. */
function isReport4(option: number): boolean {
  return (
    option === IpOption.IP_PKTINFO ||
    option === IpOption.IP_RECVTTL ||
    option === IpOption.IP_RECVTOS ||
    option === IpOption.IP_RECVOPTS ||
    option === IpOption.IP_RETOPTS ||
    option === IpOption.IP_RECVORIGDSTADDR ||
    option === IpOption.IP_BIND_ADDRESS_NO_PORT
  );
}

function setIp(s: UdpSocket, option: number, value: number): number {
  const e = s.endpoint;
  switch (option) {
    case IpOption.IP_TOS:
      e.tos = value & 0xff;
      return 0;
    case IpOption.IP_TTL:
      return setTtl(s, value, 1);
    case IpOption.IP_MINTTL:
      return setMinTtl(s, value);
    case IpOption.IP_MTU_DISCOVER:
      return setPmtu(s, value);
    case IpOption.IP_RECVERR:
      e.recvErr = value !== 0;
      return 0;
    case IpOption.IP_MULTICAST_TTL:
      return setMulticastTtl(s, value);
    case IpOption.IP_MULTICAST_LOOP:
      e.multicastLoop = value !== 0;
      return 0;
    case IpOption.IP_MULTICAST_ALL:
      if (value !== 0 && value !== 1) return -EINVAL;
      e.memberships.all = value !== 0;
      return 0;
    case IpOption.IP_MULTICAST_IF:
      return setMulticastAddress(s, value);
    case IpOption.IP_TRANSPARENT:
      return value === 0 ? 0 : -EPERM;
    default:
      return isReport4(option) ? s.keep(Level.IP, option, value === 0 ? 0 : 1) : -ENOPROTOOPT;
  }
}

function getIp(s: UdpSocket, option: number): number {
  const e = s.endpoint;
  switch (option) {
    case IpOption.IP_TOS:
      return read(s, e.tos);
    case IpOption.IP_TTL:
      return read(s, e.ttl || DEFAULT_TTL);
    case IpOption.IP_MINTTL:
      return read(s, e.minTtl);
    case IpOption.IP_MTU_DISCOVER:
      return read(s, e.pmtuDiscover);
    case IpOption.IP_MTU:
      return readMtu(s);
    case IpOption.IP_RECVERR:
      return read(s, e.recvErr);
    case IpOption.IP_MULTICAST_TTL:
      return read(s, e.multicastTtl);
    case IpOption.IP_MULTICAST_LOOP:
      return read(s, e.multicastLoop);
    case IpOption.IP_MULTICAST_ALL:
      return read(s, e.memberships.all);
    case IpOption.IP_MULTICAST_IF:
      return read(s, s.recalled(Level.IP, option));
    case IpOption.IP_TRANSPARENT:
      return read(s, 0);
    default:
      return isReport4(option) ? s.recall(Level.IP, option) : -ENOPROTOOPT;
  }
}

function isReport6(option: number): boolean {
  return (
    option === Ipv6Option.IPV6_RECVPKTINFO ||
    option === Ipv6Option.IPV6_RECVHOPLIMIT ||
    option === Ipv6Option.IPV6_RECVTCLASS ||
    option === Ipv6Option.IPV6_AUTOFLOWLABEL
  );
}

function setIpv6(s: UdpSocket, option: number, value: number): number {
  const e = s.endpoint;
  switch (option) {
    case Ipv6Option.IPV6_V6ONLY:
      if (e.localPort !== 0) return -EINVAL;
      e.v6only = value !== 0;
      e.optionsChanged();
      return 0;
    case Ipv6Option.IPV6_TCLASS:
      if (value < -1 || value > 0xff) return -EINVAL;
      e.tos = value === -1 ? 0 : value;
      return 0;
    case Ipv6Option.IPV6_UNICAST_HOPS:
      return setTtl(s, value, 0);
    case Ipv6Option.IPV6_MINHOPCOUNT:
      return setMinTtl(s, value);
    case Ipv6Option.IPV6_MTU_DISCOVER:
      return setPmtu(s, value);
    case Ipv6Option.IPV6_DONTFRAG:
      return setPmtu(s, value === 0 ? 1 : 2);
    case Ipv6Option.IPV6_MTU:
      if (value !== 0 && value < MIN_MTU6_BYTES) return -EINVAL;
      e.mtu6Bytes = value;
      return 0;
    case Ipv6Option.IPV6_RECVERR:
      e.recvErr6 = value !== 0;
      return 0;
    case Ipv6Option.IPV6_MULTICAST_HOPS:
      return setMulticastTtl(s, value);
    case Ipv6Option.IPV6_MULTICAST_LOOP:
      if (value !== 0 && value !== 1) return -EINVAL;
      e.multicastLoop = value !== 0;
      return 0;
    case Ipv6Option.IPV6_MULTICAST_ALL:
      if (value !== 0 && value !== 1) return -EINVAL;
      e.memberships.all = value !== 0;
      return 0;
    case Ipv6Option.IPV6_MULTICAST_IF:
      if (value !== 0 && s.stack.interfaceByIndex(value) === null) return -ENODEV;
      e.multicastIf = value;
      e.optionsChanged();
      return 0;
    default:
      return isReport6(option) ? s.keep(Level.IPV6, option, value === 0 ? 0 : 1) : -ENOPROTOOPT;
  }
}

function getIpv6(s: UdpSocket, option: number): number {
  const e = s.endpoint;
  switch (option) {
    case Ipv6Option.IPV6_V6ONLY:
      return read(s, e.v6only);
    case Ipv6Option.IPV6_TCLASS:
      return read(s, e.tos);
    case Ipv6Option.IPV6_UNICAST_HOPS:
      return read(s, e.ttl || DEFAULT_TTL);
    case Ipv6Option.IPV6_MINHOPCOUNT:
      return read(s, e.minTtl);
    case Ipv6Option.IPV6_MTU_DISCOVER:
      return read(s, e.pmtuDiscover);
    case Ipv6Option.IPV6_DONTFRAG:
      return read(s, e.pmtuDiscover >= 2);
    case Ipv6Option.IPV6_MTU:
      return readMtu(s);
    case Ipv6Option.IPV6_RECVERR:
      return read(s, e.recvErr6);
    case Ipv6Option.IPV6_MULTICAST_HOPS:
      return read(s, e.multicastTtl);
    case Ipv6Option.IPV6_MULTICAST_LOOP:
      return read(s, e.multicastLoop);
    case Ipv6Option.IPV6_MULTICAST_ALL:
      return read(s, e.memberships.all);
    case Ipv6Option.IPV6_MULTICAST_IF:
      return read(s, e.multicastIf);
    case Ipv6Option.IPV6_AUTOFLOWLABEL:
      return s.recall(Level.IPV6, option, 1);
    default:
      return isReport6(option) ? s.recall(Level.IPV6, option) : -ENOPROTOOPT;
  }
}

function setTtl(s: UdpSocket, value: number, least: number): number {
  if (value !== -1 && (value < least || value > 0xff)) return -EINVAL;
  s.endpoint.ttl = value === -1 ? 0 : value;
  return 0;
}

function setMinTtl(s: UdpSocket, value: number): number {
  if (value < 0 || value > 0xff) return -EINVAL;
  s.endpoint.minTtl = value;
  return 0;
}

function setMulticastTtl(s: UdpSocket, value: number): number {
  if (value < -1 || value > 0xff) return -EINVAL;
  s.endpoint.multicastTtl = value === -1 ? 1 : value;
  return 0;
}

/** IP_PMTUDISC_INTERFACE (4) and OMIT (5) never set DF, as DONT. */
function setPmtu(s: UdpSocket, value: number): number {
  if (value < 0 || value > 5) return -EINVAL;
  s.endpoint.pmtuDiscover = value > 3 ? 0 : value;
  return 0;
}

/** IP_MULTICAST_IF by an interface's IPv4 address, as a word in network order; 0 for any. */
function setMulticastAddress(s: UdpSocket, word: number): number {
  const iface = word === 0 ? null : s.stack.ip.interfaceOf(IpAddress.v4(word));
  if (word !== 0 && iface === null) return -EADDRNOTAVAIL;
  s.endpoint.multicastIf = iface?.index ?? 0;
  s.endpoint.optionsChanged();
  return s.keep(Level.IP, IpOption.IP_MULTICAST_IF, word);
}

function readMtu(s: UdpSocket): number {
  if (s.remotePort === 0) return -ENOTCONN;
  const path = s.stack.ip.resolve(s.remoteAddress, null, s.endpoint.ifIndex);
  return path === null ? -ENOTCONN : read(s, path.mtuBytes);
}
