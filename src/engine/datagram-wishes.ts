/**
 * What a program may want of a single datagram: a TTL, TOS or source of its own when it sends (IP_TTL, IP_TOS,
 * IP_PKTINFO and IPv6's), the time at which it came when it receives (SO_TIMESTAMP and the like).
 */
import { IpAddress } from "../base/ip-address.js";
import { DatagramAt, DatagramFlag } from "../ring/engine-layout.js";
import type { UdpSocket } from "../socket/udp-socket.js";
import type { SharedAddress } from "./shared-address.js";

/** The header of a datagram in a program's ring. */
export interface AskedDatagram {
  readonly view: DataView;
  readonly at: number;
  /** Already read from it. Family 0: where the socket is connected to. */
  readonly peer: SharedAddress;
  readonly flags: number;
}

const own = new IpAddress();

/** Sends `n` bytes at `from` as the header says; what `UdpSocket.send` says. */
export function sendAsAsked(
  socket: UdpSocket,
  asked: AskedDatagram,
  bytes: Uint8Array,
  from: number,
  n: number,
  ifIndex: number,
): number {
  const { view, at, peer, flags } = asked;
  const { endpoint } = socket;
  const { ttl, tos, multicastTtl } = endpoint;
  if ((flags & DatagramFlag.TTL) !== 0) {
    endpoint.ttl = view.getUint8(at + DatagramAt.ttl);
    endpoint.multicastTtl = endpoint.ttl;
  }
  if ((flags & DatagramFlag.TOS) !== 0) endpoint.tos = view.getUint8(at + DatagramAt.tos);
  const to = peer.family === 0 ? null : peer.address;
  const isV4 = to === null ? socket.remoteAddress.isV4 : to.isV4;
  const source = (flags & DatagramFlag.SOURCE) === 0 ? null : sourceOf(view, at, isV4);
  const result = socket.sendFrom(source, bytes, from, n, to, peer.port, ifIndex);
  endpoint.ttl = ttl;
  endpoint.tos = tos;
  endpoint.multicastTtl = multicastTtl;
  return result;
}

/** Null: the stack chooses. */
function sourceOf(view: DataView, at: number, isV4: boolean): IpAddress | null {
  const word = (i: number): number => view.getInt32(at + DatagramAt.own + 4 * i);
  if (isV4) {
    // IP_PKTINFO gives four bytes, IPV6_PKTINFO sixteen, mapped ones included.
    const isMapped = word(0) === 0 && word(2) === 0xffff;
    own.set(0, 0, 0xffff, word(isMapped ? 3 : 0));
  } else {
    own.set(word(0), word(1), word(2), word(3));
  }
  return own.isUnspecified ? null : own;
}

/** Hot path. Nanoseconds as two halves: they are more than a double holds. */
export function writeDatagramTime(view: DataView, at: number, us: number): void {
  const low = (us % 0x1_0000_0000) * 1_000;
  const high = Math.floor(us / 0x1_0000_0000) * 1_000 + Math.floor(low / 0x1_0000_0000);
  view.setInt32(at + DatagramAt.timeLow, (low % 0x1_0000_0000) | 0, true);
  view.setInt32(at + DatagramAt.timeHigh, high, true);
}
