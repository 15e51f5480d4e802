/**
 * A transport protocol as IP sees it. Transports register by protocol number (`Ip.register`), so
 * that `ip` imports none of them; `socket/stack.ts` joins them.
 */
import { IpAddress } from "../base/ip-address.js";
import type { PacketInfo } from "./packet-info.js";

export interface Transport {
  /**
   * Hot path. A packet for this host; takes the slot. `pool.l3At`, `l4At` and `end` of the slot are
   * set as in `info`. The transport checksum is unverified unless `info.flags` vouches for it.
   */
  receive(slot: number, info: PacketInfo): void;

  /**
   * Whether an ICMP error may change the path's MTU: its quotation fits what is in flight (RFC 5927
   * §4.1). Transports without it believe all that quotes a packet of theirs.
   */
  believes?(error: PathError): boolean;

  /** An ICMP error about a packet that this host sent. `error` is borrowed. */
  pathError(error: PathError): void;
}

/** An ICMP error, taken apart. One object is reused. */
export class PathError {
  /** Addresses of the packet that the error is about: ours and the peer's. */
  readonly local: IpAddress = new IpAddress();
  readonly remote: IpAddress = new IpAddress();
  localPort = 0;
  remotePort = 0;
  protocol = 0;
  /** Who sent the error. */
  readonly offender: IpAddress = new IpAddress();
  /** ICMP or ICMPv6 type and code, as in the message. */
  type = 0;
  code = 0;
  /** The error number that Linux gives to sockets for it (positive): ECONNREFUSED, EHOSTUNREACH… */
  errno = 0;
  /** Hard errors end a UDP `send`/`recv` and a connection attempt (RFC 1122 §4.2.3.9); soft do not. */
  isHard = false;
  /** New path MTU in bytes for "too big" errors, already applied to the path; else 0. */
  mtuBytes = 0;
  /** Offsets of the quoted transport header in the pool's bytes. */
  quotedAt = 0;
  quotedEnd = 0;
  nowUs = 0;
}
