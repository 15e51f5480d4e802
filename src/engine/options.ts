/**
 * setsockopt(2) and getsockopt(2) of programs' sockets: values as Linux lays them out, the stack's
 * options by number, and Linux's errors. What only the program's side acts on (timeouts, what recvmsg
 * reports) is remembered.
 */
import { EINVAL, ENODEV, ENOENT, ENOPROTOOPT, ENOTCONN } from "../base/errno.js";
import {
  Family,
  IpOption,
  Ipv6Option,
  Level,
  So,
  TcpLevelOption,
} from "../socket/linux-options.js";
import { TcpSocket } from "../socket/tcp-socket.js";
import { UdpSocket } from "../socket/udp-socket.js";
import { State } from "../tcp/state.js";
import type { EngineSocket } from "./engine-socket.js";
import { type OptionValue, setGroupOption } from "./group-options.js";
import { hasNoEffect, KernelValues } from "./kernel-values.js";
import { TCP_INFO_BYTES, writeTcpInfo } from "./tcp-info-bytes.js";

/** Options of newer kernels' numbers that tables of the stack do not have. */
const SO_PEERCRED = 17;
const SO_INCOMING_NAPI_ID = 56;
const SO_RCVTIMEO_NEW = 66;
const SO_SNDTIMEO_NEW = 67;
const SO_TIMESTAMP_NEW = 63;
const SO_TIMESTAMPNS_NEW = 64;
const TCP_CC_INFO = 26;
/** States as TCP_INFO has them. */
const TIME_WAIT = 6;
const CLOSE = 7;
const INT_BYTES = 4;
const LINGER_BYTES = 8;
const TIMEVAL_BYTES = 16;
const NAME_BYTES = 16;
const ALGORITHMS = ["cubic", "reno"];

const isTimeout = (option: number): boolean =>
  option === So.SO_RCVTIMEO ||
  option === So.SO_SNDTIMEO ||
  option === SO_RCVTIMEO_NEW ||
  option === SO_SNDTIMEO_NEW;

/** SOL_SOCKET options that only the program's side acts on, with their initial values. */
const PROGRAMS: ReadonlyMap<number, number> = new Map([
  [So.SO_PEEK_OFF, -1],
  [SO_TIMESTAMP_NEW, 0],
  [SO_TIMESTAMPNS_NEW, 0],
]);

/** What a kernel socket said to an option, as the program's side tells. */
export interface KernelsWord {
  readonly isTaken: boolean;
  readonly keptBytes: number;
}

const NOT_ASKED: KernelsWord = { isTaken: false, keptBytes: 0 };

/**
 * 0, or a negated error number. After the value are `keptBytes` that it reads back as, from a kernel
 * that has taken it: such an option needs no effect if nobody can see that it has none.
 */
export function setOption(
  served: EngineSocket,
  level: number,
  option: number,
  v: OptionValue,
  { keptBytes, isTaken }: KernelsWord = NOT_ASKED,
): number {
  const result = setEffect(served, level, option, v);
  const isEnough = isTaken && hasNoEffect(level, option) && !isTooLate(served, level, option);
  if (result < 0 && !isEnough) return result;
  if (keptBytes > 0) {
    served.kernelValues ??= new KernelValues();
    served.kernelValues.keep(level, option, v.view, v.at + v.bytes, keptBytes);
  }
  return 0;
}

/** A fresh kernel socket takes what one that is connected refuses. */
function isTooLate(served: EngineSocket, level: number, option: number): boolean {
  if (level !== Level.TCP || !(served.socket instanceof TcpSocket)) return false;
  const isOpen = served.socket.state !== State.CLOSED && served.socket.state !== State.LISTEN;
  if (option === TcpLevelOption.TCP_FASTOPEN) return isOpen;
  return option === TcpLevelOption.TCP_FASTOPEN_CONNECT && served.socket.state !== State.CLOSED;
}

function setEffect(served: EngineSocket, level: number, option: number, v: OptionValue): number {
  const { socket } = served;
  const special = setStructure(served, level, option, v);
  if (special !== null) return special;
  if (socket instanceof UdpSocket) {
    const result = setGroupOption(socket, level, option, v);
    if (result !== null) return result;
  }
  const isShort = v.bytes < INT_BYTES && !(v.bytes > 0 && isIpLevel(level));
  // Of IPPROTO_IP nothing is 0.
  if (isShort && level !== Level.IP) {
    // The number of an unknown option is looked at after its length, but for IPPROTO_TCP's.
    return -EINVAL;
  }
  const byte = v.bytes > 0 ? v.view.getUint8(v.at) : 0;
  const value = v.bytes >= INT_BYTES ? v.view.getInt32(v.at, true) : byte;
  if (level === Level.SOCKET && PROGRAMS.has(option)) return socket.keep(level, option, value);
  return socket.setOption(level, option, value);
}

const isIpLevel = (level: number): boolean => level === Level.IP || level === Level.IPV6;

/** Options whose values are no integers; null: it is none of them. */
function setStructure(
  served: EngineSocket,
  level: number,
  option: number,
  v: OptionValue,
): number | null {
  if (level === Level.SOCKET) return setSocketStructure(served, option, v);
  const { socket } = served;
  if (level === Level.TCP && socket instanceof TcpSocket) {
    if (option === TcpLevelOption.TCP_CONGESTION) {
      const algorithm = ALGORITHMS.indexOf(textOf(v));
      if (v.bytes < 1) return -EINVAL;
      return algorithm < 0 ? -ENOENT : socket.setCongestion(algorithm);
    }
    if (option === TcpLevelOption.TCP_ULP) return -ENOENT;
  }
  if (level === Level.IP && option === IpOption.IP_OPTIONS) {
    return v.bytes === 0 ? 0 : -ENOPROTOOPT;
  }
  return null;
}

function setSocketStructure(served: EngineSocket, option: number, v: OptionValue): number | null {
  const { socket } = served;
  if (option === So.SO_LINGER) {
    if (v.bytes < LINGER_BYTES) return -EINVAL;
    const isOn = v.view.getInt32(v.at, true) !== 0;
    const seconds = v.view.getInt32(v.at + 4, true);
    served.keepBytes(option, v);
    return socket instanceof TcpSocket ? socket.setLinger(isOn, Math.max(0, seconds)) : 0;
  }
  if (isTimeout(option)) {
    if (v.bytes < TIMEVAL_BYTES) return -EINVAL;
    served.keepBytes(option, v);
    return 0;
  }
  if (option === So.SO_BINDTODEVICE) {
    const name = textOf(v);
    if (socket instanceof TcpSocket || socket instanceof UdpSocket)
      return socket.bindToDevice(name);
    return -ENODEV;
  }
  if (option === So.SO_DETACH_FILTER) return -ENOENT;
  return null;
}

/** Bytes written at `out`, at most `room` of them, or a negated error number. */
export function getOption(
  served: EngineSocket,
  level: number,
  option: number,
  room: number,
  out: DataView,
  at: number,
): number {
  if (room < 0) return -EINVAL;
  const kept = served.kernelValues?.get(level, option) ?? null;
  if (kept !== null) {
    for (const [i, byte] of kept.entries()) out.setUint8(at + i, byte);
    return Math.min(room, kept.length);
  }
  const special = getStructure(served, level, option, room, out, at);
  if (special !== null) return special;
  const { socket } = served;
  const isPrograms = level === Level.SOCKET && PROGRAMS.has(option);
  const result = isPrograms
    ? socket.recall(level, option, PROGRAMS.get(option)!)
    : socket.getOption(level, option);
  if (result < 0) return result;
  const value = socket.optionOut;
  if (level === Level.SOCKET && option === So.SO_COOKIE) {
    if (room < 8) return -EINVAL;
    out.setBigUint64(at, BigInt(value), true);
    return 8;
  }
  // As Linux: short rooms for options of IP get one byte when the value fits.
  if (level === Level.IP && room > 0 && room < INT_BYTES && value >= 0 && value <= 0xff) {
    out.setUint8(at, value);
    return 1;
  }
  out.setInt32(at, value, true);
  return Math.min(room, INT_BYTES);
}

function getStructure(
  served: EngineSocket,
  level: number,
  option: number,
  room: number,
  out: DataView,
  at: number,
): number | null {
  const { socket } = served;
  if (level === Level.SOCKET) return getSocketStructure(served, option, room, out, at);
  if (level === Level.TCP && socket instanceof TcpSocket) {
    return getTcpStructure(served, socket, option, room, out, at);
  }
  if (level === Level.IP && option === IpOption.IP_MULTICAST_IF && socket instanceof UdpSocket) {
    const result = socket.getOption(level, option);
    if (result < 0) return result;
    out.setInt32(at, socket.optionOut); // an address, in network order
    return Math.min(room, INT_BYTES);
  }
  if (level === Level.IP && option === IpOption.IP_OPTIONS) return 0;
  if (level === Level.IPV6 && option === Ipv6Option.IPV6_FLOWINFO_SEND) return -ENOPROTOOPT;
  return null;
}

function getSocketStructure(
  served: EngineSocket,
  option: number,
  room: number,
  out: DataView,
  at: number,
): number | null {
  if (option === So.SO_LINGER) return served.recallBytes(option, LINGER_BYTES, room, out, at);
  if (isTimeout(option)) return served.recallBytes(option, TIMEVAL_BYTES, room, out, at);
  const int = (value: number): number => {
    out.setInt32(at, value, true);
    return Math.min(room, INT_BYTES);
  };
  if (option === So.SO_ERROR) return int(served.takeError() || served.socket.takeError());
  if (option === SO_INCOMING_NAPI_ID) return int(0);
  if (option === SO_PEERCRED) {
    out.setInt32(at, 0, true);
    out.setInt32(at + 4, -1, true);
    out.setInt32(at + 8, -1, true);
    return Math.min(room, 12);
  }
  if (option === So.SO_BINDTODEVICE) return getDevice(served, room, out, at);
  return null;
}

function getDevice(served: EngineSocket, room: number, out: DataView, at: number): number {
  const { socket } = served;
  const result = socket.getOption(Level.SOCKET, So.SO_BINDTOIFINDEX);
  if (result < 0) return result;
  if (socket.optionOut === 0) return 0;
  if (room < NAME_BYTES) return -EINVAL;
  const known = socket instanceof TcpSocket || socket instanceof UdpSocket;
  const name = known ? (socket.stack.interfaceByIndex(socket.optionOut)?.name ?? "") : "";
  return putText(name, name.length + 1, out, at);
}

function getTcpStructure(
  served: EngineSocket,
  socket: TcpSocket,
  option: number,
  room: number,
  out: DataView,
  at: number,
): number | null {
  switch (option) {
    case TcpLevelOption.TCP_INFO: {
      const info = socket.info();
      if (info === null) return -ENOTCONN;
      // Who waits in TIME-WAIT is no socket's in Linux: that is closed.
      const state = served.tcpState === TIME_WAIT ? CLOSE : served.tcpState;
      writeTcpInfo(out, at, { ...info, state });
      return Math.min(room, TCP_INFO_BYTES);
    }
    case TcpLevelOption.TCP_CONGESTION: {
      const algorithm = socket.congestion;
      if (algorithm < 0) return algorithm;
      return putText(ALGORITHMS[algorithm] ?? "", Math.min(room, NAME_BYTES), out, at);
    }
    case TCP_CC_INFO:
      return 0;
    default:
      return null;
  }
}

/** A string that ends at its first zero byte. */
function textOf(v: OptionValue): string {
  let text = "";
  for (let i = 0; i < Math.min(v.bytes, NAME_BYTES); i++) {
    const c = v.view.getUint8(v.at + i);
    if (c === 0) break;
    text += String.fromCharCode(c);
  }
  return text;
}

/** Writes `n` bytes: the text, then zeros. */
function putText(text: string, n: number, out: DataView, at: number): number {
  for (let i = 0; i < n; i++) out.setUint8(at + i, i < text.length ? text.charCodeAt(i) : 0);
  return n;
}

/** Whether the number is a family that sockets have. */
export const isFamily = (family: number): boolean =>
  family === Family.INET || family === Family.INET6;
