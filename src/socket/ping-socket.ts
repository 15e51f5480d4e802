/**
 * Echo requests and replies (ICMP, ICMPv6), polled: Linux's SOCK_DGRAM with IPPROTO_ICMP. IPv4 and
 * IPv6 have separate identifiers; one socket here opens either when it is first needed.
 */
import { EAGAIN, EBADF, EINVAL, ENOPROTOOPT, EOPNOTSUPP } from "../base/errno.js";
import { IpAddress } from "../base/ip-address.js";
import type { EchoSocket } from "../ip/echo.js";
import { Readiness } from "../tcp/readiness.js";
import { IpOption, Ipv6Option, Level } from "./linux-options.js";
import { PolledSocket } from "./polled-socket.js";
import type { Stack } from "./stack.js";

export class PingSocket extends PolledSocket {
  readonly stack: Stack;
  /** Number in the stack. */
  readonly id: number;
  /** Sender, sequence number, TTL and time of the reply that `receive` took last. */
  readonly from: IpAddress = new IpAddress();
  sequence = 0;
  ttl = 0;
  rxTimeUs = 0;
  private echo4: EchoSocket | null = null;
  private echo6: EchoSocket | null = null;
  private isOpen = true;
  private sendTtl = 0;

  /** For `Stack.pingSocket`. */
  constructor(stack: Stack, id: number) {
    super();
    this.stack = stack;
    this.id = id;
  }

  get isClosed(): boolean {
    return !this.isOpen;
  }

  /** Sends a request with `n` bytes of data: 0 or a negated error number. */
  send(to: IpAddress, sequence: number, bytes: Uint8Array, at = 0, n = bytes.length - at): number {
    if (!this.isOpen) return -EBADF;
    const { ip } = this.stack;
    const path = ip.resolve(to, null, 0);
    if (path === null) return -ip.resolveErrno;
    const echo = this.echoFor(path.isV4);
    if (echo === null) return -ip.echo.openErrno;
    echo.options.ttl = this.sendTtl;
    // Replies would go to the kernel, which knows of no such request.
    if (path.iface.kernelIndex !== 0) return -EOPNOTSUPP;
    return echo.send(path, sequence & 0xffff, bytes, at, n);
  }

  private echoFor(isV4: boolean): EchoSocket | null {
    const known = isV4 ? this.echo4 : this.echo6;
    if (known !== null) return known;
    const opened = this.stack.ip.echo.open(isV4 ? 4 : 6);
    if (opened === null) return null;
    opened.cookie = this.id;
    if (isV4) this.echo4 = opened;
    else this.echo6 = opened;
    return opened;
  }

  /** Copies the data of the oldest reply and returns its length; -EAGAIN, or a pending error. */
  receive(bytes: Uint8Array, at = 0, n = bytes.length - at): number {
    if (!this.isOpen) return -EBADF;
    const got = this.receiveFrom(this.echo4, bytes, at, n);
    return got === -EAGAIN ? this.receiveFrom(this.echo6, bytes, at, n) : got;
  }

  private receiveFrom(echo: EchoSocket | null, bytes: Uint8Array, at: number, n: number): number {
    if (echo === null) return -EAGAIN;
    const got = echo.receive(bytes, at, n);
    if (got < 0) return got;
    this.from.setFrom(echo.from);
    this.sequence = echo.sequence;
    this.ttl = echo.ttl;
    this.rxTimeUs = echo.rxTimeUs;
    return got;
  }

  override readiness(): number {
    if (!this.isOpen) return 0;
    const ready = (this.echo4?.ready ?? 0) + (this.echo6?.ready ?? 0);
    return Readiness.OUT | (ready > 0 ? Readiness.IN : 0);
  }

  override takeError(): number {
    return this.echo4?.takeError() || this.echo6?.takeError() || 0;
  }

  override setOption(level: number, option: number, value: number): number {
    const isTtl =
      (level === Level.IP && option === IpOption.IP_TTL) ||
      (level === Level.IPV6 && option === Ipv6Option.IPV6_UNICAST_HOPS);
    if (!isTtl) return -ENOPROTOOPT;
    if (value < 1 || value > 255) return -EINVAL;
    this.sendTtl = value;
    return 0;
  }

  override getOption(level: number, option: number): number {
    if (level !== Level.IP || option !== IpOption.IP_TTL) return -ENOPROTOOPT;
    this.optionOut = this.sendTtl || 64;
    return 0;
  }

  override close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.echo4?.close();
    this.echo6?.close();
    this.stack.forget(this.id);
    this.forgetWatches();
  }
}
