/**
 * The error queue of a socket (IP_RECVERR, IPV6_RECVERR): ICMP errors with what they were about.
 * Bounded; the oldest stay, as in Linux.
 */
import { IpAddress } from "../base/ip-address.js";
import type { PathError } from "./transport.js";

/** Values of Linux's `ee_origin`. */
export const ErrorOrigin = { LOCAL: 1, ICMP: 2, ICMP6: 3 } as const;

const MAX_ENTRIES = 64;
const QUOTED_BYTES = 576;

export class ErrorEntry {
  errno = 0;
  /** {@link ErrorOrigin}. */
  origin = 0;
  type = 0;
  code = 0;
  /** New MTU for EMSGSIZE. */
  info = 0;
  /** Who sent the ICMP message; unspecified for local errors. */
  readonly offender: IpAddress = new IpAddress();
  /** Where the datagram went. */
  readonly to: IpAddress = new IpAddress();
  toPort = 0;
  /** The first bytes of the datagram's payload, as far as they were quoted. */
  data: Uint8Array = new Uint8Array(0);
}

export class ErrorQueue {
  private entries: ErrorEntry[] = [];

  get n(): number {
    return this.entries.length;
  }

  /** Keeps an ICMP error about a datagram whose payload starts `headerBytes` into the quote. */
  put(error: PathError, bytes: Uint8Array, headerBytes: number): void {
    if (this.entries.length >= MAX_ENTRIES) return;
    const e = new ErrorEntry();
    e.errno = error.errno;
    e.origin = error.remote.isV4 ? ErrorOrigin.ICMP : ErrorOrigin.ICMP6;
    e.type = error.type;
    e.code = error.code;
    e.info = error.mtuBytes;
    e.offender.setFrom(error.offender);
    e.to.setFrom(error.remote);
    e.toPort = error.remotePort;
    const from = error.quotedAt + headerBytes;
    const end = Math.min(error.quotedEnd, from + QUOTED_BYTES);
    if (end > from) e.data = bytes.slice(from, end);
    this.entries.push(e);
  }

  /** An error of this host's own: a datagram of the caller's was too long. */
  putLocal(errno: number, to: IpAddress, port: number, mtuBytes: number): void {
    if (this.entries.length >= MAX_ENTRIES) return;
    const e = new ErrorEntry();
    e.errno = errno;
    e.origin = ErrorOrigin.LOCAL;
    e.info = mtuBytes;
    e.to.setFrom(to);
    e.toPort = port;
    this.entries.push(e);
  }

  /** Moves the oldest entry into `into`; false when there is none. */
  take(into: ErrorEntry): boolean {
    const e = this.entries[0];
    if (e === undefined) return false;
    this.entries = this.entries.slice(1);
    into.errno = e.errno;
    into.origin = e.origin;
    into.type = e.type;
    into.code = e.code;
    into.info = e.info;
    into.offender.setFrom(e.offender);
    into.to.setFrom(e.to);
    into.toPort = e.toPort;
    into.data = e.data;
    return true;
  }
}
