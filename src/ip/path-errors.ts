/**
 * From an ICMP error, or a neighbour that did not answer, to the transport whose packet it is about
 * (RFC 1122 §3.2.2, RFC 4443 §2.4). Error numbers are those that Linux gives to sockets.
 */
import { u16 } from "../base/bytes.js";
import * as errnos from "../base/errno.js";
import * as ethernet from "../wire/ethernet.js";
import * as icmp4 from "../wire/icmpv4.js";
import * as icmp6 from "../wire/icmpv6.js";
import * as protocols from "../wire/ip-protocol.js";
import * as ipv4 from "../wire/ipv4.js";
import * as ipv6 from "../wire/ipv6.js";
import * as extensions from "../wire/ipv6-extensions.js";
import * as fragment6 from "../wire/ipv6-fragment.js";
import type { Ip } from "./ip.js";
import { PathError } from "./transport.js";

/** ENONET, which only ICMP "source host isolated" gives. */
const ENONET = 64;

/** By the code of "destination unreachable": error number, negative when the error is soft. */
const UNREACHABLE4: readonly number[] = [
  -errnos.ENETUNREACH,
  -errnos.EHOSTUNREACH,
  errnos.ENOPROTOOPT,
  errnos.ECONNREFUSED,
  -errnos.EMSGSIZE,
  -errnos.EOPNOTSUPP,
  errnos.ENETUNREACH,
  errnos.EHOSTDOWN,
  ENONET,
  errnos.ENETUNREACH,
  errnos.EHOSTUNREACH,
  -errnos.ENETUNREACH,
  -errnos.EHOSTUNREACH,
  errnos.EHOSTUNREACH,
  errnos.EHOSTUNREACH,
  errnos.EHOSTUNREACH,
];
const UNREACHABLE6: readonly number[] = [
  -errnos.ENETUNREACH,
  errnos.EACCES,
  -errnos.EHOSTUNREACH,
  -errnos.EHOSTUNREACH,
  errnos.ECONNREFUSED,
  errnos.EACCES,
  errnos.EACCES,
];

/** Error number of an ICMP message: negative when soft, 0 when it is no error that counts. */
function meaning(isV4: boolean, type: number, code: number): number {
  if (isV4) {
    if (type === icmp4.UNREACHABLE) return UNREACHABLE4[code] ?? 0;
    if (type === icmp4.TIME_EXCEEDED) return -errnos.EHOSTUNREACH;
    return type === icmp4.PARAMETER_PROBLEM ? errnos.EPROTO : 0;
  }
  if (type === icmp6.UNREACHABLE) return UNREACHABLE6[code] ?? 0;
  if (type === icmp6.PACKET_TOO_BIG) return -errnos.EMSGSIZE;
  if (type === icmp6.TIME_EXCEEDED) return -errnos.EHOSTUNREACH;
  return type === icmp6.PARAMETER_PROBLEM ? errnos.EPROTO : 0;
}

export class PathErrors {
  private readonly ip: Ip;
  private readonly error = new PathError();

  constructor(ip: Ip) {
    this.ip = ip;
  }

  /** The addresses of the quoted packet, after {@link quote}. Borrowed. */
  get remote(): PathError["remote"] {
    return this.error.remote;
  }

  /** Takes a quoted packet apart; false when it is cut short, or was not sent by this host. */
  quote(at: number, end: number, isV4: boolean): boolean {
    return isV4 ? this.quote4(at, end) : this.quote6(at, end);
  }

  private quote4(at: number, end: number): boolean {
    const b = this.ip.bytes;
    const e = this.error;
    if (ipv4.checkQuoted(b, at, end) !== 0) return false;
    if ((u16(b, at + 6) & 0x1fff) !== 0) return false; // not the first fragment: no ports
    e.local.read4(b, at + ipv4.SRC);
    e.remote.read4(b, at + ipv4.DST);
    e.protocol = ipv4.protocol(b, at);
    return this.quoteTransport(ipv4.payloadAt(b, at), end);
  }

  private quote6(at: number, end: number): boolean {
    const b = this.ip.bytes;
    const e = this.error;
    if (ipv6.checkQuoted(b, at, end) !== 0) return false;
    e.local.read6(b, at + ipv6.SRC);
    e.remote.read6(b, at + ipv6.DST);
    let protocol = ipv6.nextHeader(b, at);
    let payloadAt = at + ipv6.HEADER_BYTES;
    for (let n = 0; n < extensions.MAX_EXTENSIONS && extensions.isExtension(protocol); n++) {
      if (end - payloadAt < 8) return false;
      const isFragment = protocol === protocols.FRAGMENT;
      if (isFragment && fragment6.offsetBytes(b, payloadAt) !== 0) return false;
      const units =
        protocol === protocols.AH ? (b[payloadAt + 1]! + 2) << 2 : (b[payloadAt + 1]! + 1) << 3;
      protocol = b[payloadAt]!;
      payloadAt += isFragment ? fragment6.HEADER_BYTES : units;
    }
    e.protocol = protocol;
    return this.quoteTransport(payloadAt, end);
  }

  private quoteTransport(at: number, end: number): boolean {
    const e = this.error;
    if (end - at < 8 || !this.ip.isLocal(e.local)) return false;
    e.quotedAt = at;
    e.quotedEnd = end;
    e.localPort = u16(this.ip.bytes, at);
    e.remotePort = u16(this.ip.bytes, at + 2);
    return true;
  }

  /** Whether the transport of the packet that was {@link quote}d holds the error for possible. */
  get isBelieved(): boolean {
    const transport = this.ip.transports[this.error.protocol] ?? null;
    return transport !== null && (transport.believes?.(this.error) ?? true);
  }

  /** Tells the transport of the packet that was {@link quote}d; `mtuBytes` is 0 when not about size. */
  report(isV4: boolean, type: number, code: number, mtuBytes: number): void {
    const errno = meaning(isV4, type, code);
    if (errno === 0) return;
    const e = this.error;
    e.offender.setFrom(this.ip.info.src);
    e.type = type;
    e.code = code;
    e.errno = Math.abs(errno);
    e.isHard = errno > 0;
    e.mtuBytes = mtuBytes;
    e.nowUs = this.ip.nowUs;
    this.ip.transports[e.protocol]?.pathError(e);
  }

  /** The frame in `slot` (link header first) cannot be sent: its next hop does not answer. */
  neighbourFailed(slot: number): void {
    const { pool } = this.ip;
    const at = pool.at[slot]! + ethernet.HEADER_BYTES;
    const isV4 = ethernet.type(pool.bytes, pool.at[slot]!) === ethernet.TYPE_IPV4;
    if (!this.quote(at, pool.end[slot]!, isV4)) return;
    this.ip.info.src.setFrom(this.error.local); // this host says so itself, as Linux does
    if (isV4) this.report(true, icmp4.UNREACHABLE, icmp4.HOST_UNREACHABLE, 0);
    else this.report(false, icmp6.UNREACHABLE, icmp6.ADDRESS_UNREACHABLE, 0);
  }
}
