/**
 * Socket options of TCP sockets: each takes effect, is remembered for the layer that acts on it, or
 * gives the error number that Linux gives.
 *
 * Options whose values are no integers have methods of their own: `setLinger`, `bindToDevice`,
 * `info`. Those of other levels than the family's are refused as in Linux: IPPROTO_IPV6 on an
 * AF_INET socket gives -ENOPROTOOPT, IPPROTO_IP on an AF_INET6 socket works.
 */
import { EACCES, EINVAL, ENODEV, ENOPROTOOPT, ENOTCONN, EPERM, EPROTO } from "../base/errno.js";
import { State } from "../tcp/state.js";
import { TcpOption } from "../tcp/tcp-option.js";
import {
  Family,
  IpOption,
  Ipv6Option,
  Level,
  So,
  SocketType,
  TcpLevelOption,
} from "./linux-options.js";
import { TCP_PROTOCOL } from "./tcp-input.js";
import { MIN_TTL_SHIFT, PMTU_SHIFT, RowFlags, type TcpRows } from "./tcp-rows.js";
import type { TcpSocket } from "./tcp-socket.js";

const DEFAULT_TTL = 64;
/** IPV6_MIN_MTU, RFC 8200 §5. */
const MIN_MTU6_BYTES = 1_280;
const ECN_BITS = 3;
/** SOL_SOCKET options that the engine knows under their number plus this. */
const ENGINE_SOCKET = 256;

export function setTcpOption(s: TcpSocket, level: number, option: number, value: number): number {
  switch (level) {
    case Level.SOCKET:
      return setSocketLevel(s, option, value);
    case Level.TCP:
      return setTcpLevel(s, option, value);
    case Level.IP:
      return setIp(s, option, value);
    case Level.IPV6:
      return s.family === Family.INET6 ? setIpv6(s, option, value) : -ENOPROTOOPT;
    default:
      return -ENOPROTOOPT;
  }
}

export function getTcpOption(s: TcpSocket, level: number, option: number): number {
  switch (level) {
    case Level.SOCKET:
      return getSocketLevel(s, option);
    case Level.TCP:
      return getTcpLevel(s, option);
    case Level.IP:
      return getIp(s, option);
    case Level.IPV6:
      return s.family === Family.INET6 ? getIpv6(s, option) : -ENOPROTOOPT;
    default:
      return -ENOPROTOOPT;
  }
}

function read(s: TcpSocket, value: number): number {
  s.optionOut = value;
  return 0;
}

function setFlag(s: TcpSocket, flag: number, value: number): number {
  s.stack.tcpRows.set(s.row, flag, value !== 0);
  return 0;
}

const getFlag = (s: TcpSocket, flag: number): number =>
  read(s, s.stack.tcpRows.has(s.row, flag) ? 1 : 0);

const setEngine = (s: TcpSocket, option: number, value: number): number =>
  s.stack.tcp.setOption(s.row, option, value, s.stack.nowUs);

/** The engine's own options are never negative but for LINGER and LINGER2's -1. */
function getEngine(s: TcpSocket, option: number): number {
  const value = s.stack.tcp.getOption(s.row, option);
  if (value < -1) return value;
  return read(s, value);
}

function setSocketLevel(s: TcpSocket, option: number, value: number): number {
  switch (option) {
    case So.SO_REUSEADDR:
      return setFlag(s, RowFlags.REUSE_ADDRESS, value);
    case So.SO_REUSEPORT:
      return setFlag(s, RowFlags.REUSE_PORT, value);
    case So.SO_SNDBUF:
    case So.SO_RCVBUF:
    case So.SO_KEEPALIVE:
    case So.SO_OOBINLINE:
    case So.SO_RCVLOWAT:
      return setEngine(s, ENGINE_SOCKET + option, value);
    case So.SO_BINDTOIFINDEX:
      return bindToIndex(s, value);
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
    case So.SO_BROADCAST:
    case So.SO_DONTROUTE:
    case So.SO_PRIORITY:
    case So.SO_TIMESTAMP:
    case So.SO_TIMESTAMPNS:
    case So.SO_BUSY_POLL:
      return s.keep(Level.SOCKET, option, value);
    case So.SO_BSDCOMPAT:
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

function bindToIndex(s: TcpSocket, ifIndex: number): number {
  if (ifIndex < 0) return -EINVAL;
  if (ifIndex !== 0 && s.stack.interfaceByIndex(ifIndex) === null) return -ENODEV;
  s.stack.tcpRows.ifIndex[s.row] = ifIndex;
  return 0;
}

function getSocketLevel(s: TcpSocket, option: number): number {
  switch (option) {
    case So.SO_REUSEADDR:
      return getFlag(s, RowFlags.REUSE_ADDRESS);
    case So.SO_REUSEPORT:
      return getFlag(s, RowFlags.REUSE_PORT);
    case So.SO_SNDBUF:
    case So.SO_RCVBUF:
    case So.SO_KEEPALIVE:
    case So.SO_OOBINLINE:
    case So.SO_RCVLOWAT:
      return getEngine(s, ENGINE_SOCKET + option);
    case So.SO_LINGER:
      return getEngine(s, TcpOption.LINGER);
    case So.SO_BINDTOIFINDEX:
      return read(s, s.stack.tcpRows.ifIndex[s.row]!);
    case So.SO_ERROR:
      return read(s, s.takeError());
    case So.SO_TYPE:
      return read(s, SocketType.STREAM);
    case So.SO_PROTOCOL:
      return read(s, TCP_PROTOCOL);
    case So.SO_DOMAIN:
      return read(s, s.family);
    case So.SO_ACCEPTCONN:
      return read(s, s.state === State.LISTEN ? 1 : 0);
    case So.SO_SNDLOWAT:
      return read(s, 1);
    case So.SO_COOKIE:
      return read(s, s.id);
    case So.SO_DEBUG:
    case So.SO_BSDCOMPAT:
    case So.SO_MARK:
    case So.SO_INCOMING_CPU:
      return read(s, 0);
    case So.SO_BROADCAST:
    case So.SO_DONTROUTE:
    case So.SO_PRIORITY:
    case So.SO_TIMESTAMP:
    case So.SO_TIMESTAMPNS:
    case So.SO_BUSY_POLL:
      return s.recall(Level.SOCKET, option);
    default:
      return -ENOPROTOOPT;
  }
}

function setTcpLevel(s: TcpSocket, option: number, value: number): number {
  switch (option) {
    case TcpLevelOption.TCP_INFO:
    case TcpLevelOption.TCP_CONGESTION: // its value is a name
      return -EINVAL;
    case TcpLevelOption.TCP_INQ:
      if (value !== 0 && value !== 1) return -EINVAL;
      return s.keep(Level.TCP, option, value);
    default:
      return option >= ENGINE_SOCKET ? -ENOPROTOOPT : setEngine(s, option, value);
  }
}

function getTcpLevel(s: TcpSocket, option: number): number {
  if (option === TcpLevelOption.TCP_INQ) return s.recall(Level.TCP, option);
  return option >= ENGINE_SOCKET ? -ENOPROTOOPT : getEngine(s, option);
}

/** Options that only say what `receive` should report beside the data; the layer above reports it. */
function isReport4(option: number): boolean {
  return (
    option === IpOption.IP_RECVERR ||
    option === IpOption.IP_PKTINFO ||
    option === IpOption.IP_RECVORIGDSTADDR ||
    option === IpOption.IP_RECVTTL ||
    option === IpOption.IP_RECVTOS ||
    option === IpOption.IP_RECVOPTS ||
    option === IpOption.IP_RETOPTS ||
    option === IpOption.IP_FREEBIND ||
    option === IpOption.IP_BIND_ADDRESS_NO_PORT ||
    option === IpOption.IP_MULTICAST_LOOP ||
    option === IpOption.IP_MULTICAST_ALL
  );
}

function setIp(s: TcpSocket, option: number, value: number): number {
  switch (option) {
    case IpOption.IP_TOS:
      return setTos(s.stack.tcpRows.changeIp4(), s.row, value);
    case IpOption.IP_TTL:
      return setTtl(s.stack.tcpRows.changeIp4(), s.row, value, 1);
    case IpOption.IP_MINTTL:
      return setMinTtl(s.stack.tcpRows, s.stack.tcpRows.changeIp4(), s.row, value);
    case IpOption.IP_MTU_DISCOVER:
      return setPmtu(s.stack.tcpRows.changeIp4(), s.row, value);
    case IpOption.IP_TRANSPARENT:
      return value === 0 ? 0 : -EPERM;
    case IpOption.IP_MULTICAST_TTL:
    case IpOption.IP_MULTICAST_IF:
      return -EINVAL;
    case IpOption.IP_ADD_MEMBERSHIP:
    case IpOption.IP_DROP_MEMBERSHIP:
      return -EPROTO;
    default:
      return isReport4(option) ? s.keep(Level.IP, option, value === 0 ? 0 : 1) : -ENOPROTOOPT;
  }
}

function getIp(s: TcpSocket, option: number): number {
  const settings = s.stack.tcpRows.ip4[s.row]!;
  switch (option) {
    case IpOption.IP_TOS:
      return read(s, (settings >>> 8) & 0xff);
    case IpOption.IP_TTL:
      return read(s, settings & 0xff || DEFAULT_TTL);
    case IpOption.IP_MINTTL:
      return read(s, settings >>> MIN_TTL_SHIFT);
    case IpOption.IP_MTU_DISCOVER:
      return read(s, pmtuOf(settings));
    case IpOption.IP_MTU:
      return readMtu(s);
    case IpOption.IP_TRANSPARENT:
      return read(s, 0);
    case IpOption.IP_MULTICAST_LOOP:
    case IpOption.IP_MULTICAST_ALL:
      return s.recall(Level.IP, option, 1);
    default:
      return isReport4(option) ? s.recall(Level.IP, option) : -ENOPROTOOPT;
  }
}

function isReport6(option: number): boolean {
  return (
    option === Ipv6Option.IPV6_RECVERR ||
    option === Ipv6Option.IPV6_RECVPKTINFO ||
    option === Ipv6Option.IPV6_RECVHOPLIMIT ||
    option === Ipv6Option.IPV6_RECVTCLASS ||
    option === Ipv6Option.IPV6_DONTFRAG ||
    option === Ipv6Option.IPV6_AUTOFLOWLABEL ||
    option === Ipv6Option.IPV6_FREEBIND
  );
}

function setIpv6(s: TcpSocket, option: number, value: number): number {
  switch (option) {
    case Ipv6Option.IPV6_V6ONLY:
      return s.hasPort ? -EINVAL : setFlag(s, RowFlags.V6ONLY, value);
    case Ipv6Option.IPV6_TCLASS:
      if (value < -1 || value > 0xff) return -EINVAL;
      return setTos(s.stack.tcpRows.changeIp6(), s.row, value === -1 ? 0 : value);
    case Ipv6Option.IPV6_UNICAST_HOPS:
      return setTtl(s.stack.tcpRows.changeIp6(), s.row, value, 0);
    case Ipv6Option.IPV6_MINHOPCOUNT:
      return setMinTtl(s.stack.tcpRows, s.stack.tcpRows.changeIp6(), s.row, value);
    case Ipv6Option.IPV6_MTU_DISCOVER:
      return setPmtu(s.stack.tcpRows.changeIp6(), s.row, value);
    case Ipv6Option.IPV6_MTU: // no effect on TCP, which has its segments' size of the path
      return value !== 0 && value < MIN_MTU6_BYTES ? -EINVAL : 0;
    case Ipv6Option.IPV6_JOIN_GROUP:
    case Ipv6Option.IPV6_LEAVE_GROUP:
      return -EPROTO;
    default:
      return isReport6(option) ? s.keep(Level.IPV6, option, value === 0 ? 0 : 1) : -ENOPROTOOPT;
  }
}

function getIpv6(s: TcpSocket, option: number): number {
  const settings = s.stack.tcpRows.ip6[s.row]!;
  switch (option) {
    case Ipv6Option.IPV6_V6ONLY:
      return getFlag(s, RowFlags.V6ONLY);
    case Ipv6Option.IPV6_TCLASS:
      return read(s, (settings >>> 8) & 0xff);
    case Ipv6Option.IPV6_UNICAST_HOPS:
      return read(s, settings & 0xff || DEFAULT_TTL);
    case Ipv6Option.IPV6_MINHOPCOUNT:
      return read(s, settings >>> MIN_TTL_SHIFT);
    case Ipv6Option.IPV6_MTU_DISCOVER:
      return read(s, pmtuOf(settings));
    case Ipv6Option.IPV6_MTU:
      return readMtu(s);
    case Ipv6Option.IPV6_AUTOFLOWLABEL:
      return s.recall(Level.IPV6, option, 1);
    default:
      return isReport6(option) ? s.recall(Level.IPV6, option) : -ENOPROTOOPT;
  }
}

/** The ECN bits are TCP's own. */
function setTos(column: Int32Array, row: number, value: number): number {
  column[row] = (column[row]! & ~0xff00) | ((value & 0xff & ~ECN_BITS) << 8);
  return 0;
}

function setTtl(column: Int32Array, row: number, value: number, least: number): number {
  if (value !== -1 && (value < least || value > 0xff)) return -EINVAL;
  column[row] = (column[row]! & ~0xff) | (value === -1 ? 0 : value);
  return 0;
}

function setMinTtl(rows: TcpRows, column: Int32Array, row: number, value: number): number {
  if (value < 0 || value > 0xff) return -EINVAL;
  column[row] = (column[row]! & 0x00ffffff) | (value << MIN_TTL_SHIFT);
  if (value > 0) rows.hasMinTtl = true;
  return 0;
}

/** IP_PMTUDISC_DONT 0 to OMIT 5 are kept as 1 to 6, so that 0 is the default, WANT. */
function setPmtu(column: Int32Array, row: number, value: number): number {
  if (value < 0 || value > 5) return -EINVAL;
  column[row] = (column[row]! & ~(7 << PMTU_SHIFT)) | ((value + 1) << PMTU_SHIFT);
  return 0;
}

const PMTU_WANT = 1;
function pmtuOf(settings: number): number {
  const kept = (settings >>> PMTU_SHIFT) & 7;
  return kept === 0 ? PMTU_WANT : kept - 1;
}

function readMtu(s: TcpSocket): number {
  const c = s.view();
  const path = c.path === 0 ? null : s.stack.ip.path(c.path);
  return path === null ? -ENOTCONN : read(s, path.mtuBytes);
}
