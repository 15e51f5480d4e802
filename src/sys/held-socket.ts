/**
 * A socket of the kernel that carries no data: it holds a port, or a membership in a group, for a
 * stack that shares an interface with the kernel. Calls return a negated error number, never throw:
 * a conflict is an answer here, not a failure.
 */
import type { IpAddress } from "../base/ip-address.js";
import { addon } from "./addon.js";
import { LITTLE_ENDIAN } from "./netlink-message.js";
import { AF_INET, AF_INET6 } from "./rtnetlink.js";

export const SocketType = { STREAM: 1, DATAGRAM: 2 } as const;

/** [level, option] of setsockopt(2), as linux/ has them. */
export const KernelOption = {
  REUSE_ADDRESS: [1, 2],
  RECEIVE_BUFFER: [1, 8],
  REUSE_PORT: [1, 15],
  BIND_TO_INDEX: [1, 62],
  FREE_BIND4: [0, 15],
  V6_ONLY: [41, 26],
  FREE_BIND6: [41, 78],
} as const;

/** Protocol-independent multicast options (RFC 3678 §5.1). */
const MCAST_JOIN_GROUP = 42;
const MCAST_MSFILTER = 48;
const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const STORAGE_BYTES = 128;

export class HeldSocket {
  readonly fd: number;
  private readonly isV6: boolean;
  private isClosed = false;

  private constructor(fd: number, isV6: boolean) {
    this.fd = fd;
    this.isV6 = isV6;
  }

  /** A negated error number when the kernel gives none: EMFILE, or a family that it has not. */
  static open(isV6: boolean, type: number): HeldSocket | number {
    const fd = addon().socketOpen(isV6 ? AF_INET6 : AF_INET, type, 0);
    return fd < 0 ? fd : new HeldSocket(fd, isV6);
  }

  set(option: readonly [level: number, option: number], value: number): number {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setInt32(0, value, LITTLE_ENDIAN);
    return addon().socketSetOption(this.fd, option[0], option[1], bytes);
  }

  /** `linkIndex` is the scope of link-local addresses. */
  bind(address: IpAddress, port: number, linkIndex: number): number {
    return addon().socketBind(this.fd, this.nameOf(address, port, linkIndex));
  }

  listen(): number {
    return addon().socketListen(this.fd, 1);
  }

  /** Its port, or a negated error number. */
  get port(): number {
    const name = new Uint8Array(28);
    const n = addon().socketName(this.fd, name);
    return n < 0 ? n : (name[2]! << 8) | name[3]!;
  }

  /** Whatever reaches it is dropped. */
  dropAll(): number {
    return addon().socketDropAll(this.fd);
  }

  joinGroup(group: IpAddress, linkIndex: number): number {
    const request = new Uint8Array(8 + STORAGE_BYTES);
    new DataView(request.buffer).setUint32(0, linkIndex, LITTLE_ENDIAN);
    request.set(this.nameOf(group, 0, 0), 8);
    return addon().socketSetOption(this.fd, this.ipLevel, MCAST_JOIN_GROUP, request);
  }

  /** After {@link joinGroup}: receives from all but `sources`, or from `sources` only. */
  setGroupFilter(
    group: IpAddress,
    linkIndex: number,
    includes: boolean,
    sources: readonly IpAddress[],
  ): number {
    const request = new Uint8Array(16 + STORAGE_BYTES * (1 + sources.length));
    const view = new DataView(request.buffer);
    view.setUint32(0, linkIndex, LITTLE_ENDIAN);
    request.set(this.nameOf(group, 0, 0), 8);
    view.setUint32(8 + STORAGE_BYTES, includes ? 1 : 0, LITTLE_ENDIAN);
    view.setUint32(12 + STORAGE_BYTES, sources.length, LITTLE_ENDIAN);
    for (const [i, source] of sources.entries()) {
      request.set(this.nameOf(source, 0, 0), 16 + STORAGE_BYTES * (1 + i));
    }
    return addon().socketSetOption(this.fd, this.ipLevel, MCAST_MSFILTER, request);
  }

  /** Idempotent. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    addon().fdClose(this.fd);
  }

  private get ipLevel(): number {
    return this.isV6 ? IPPROTO_IPV6 : IPPROTO_IP;
  }

  /** struct sockaddr_in or sockaddr_in6. */
  private nameOf(address: IpAddress, port: number, linkIndex: number): Uint8Array {
    const name = new Uint8Array(this.isV6 ? 28 : 16);
    const view = new DataView(name.buffer);
    view.setUint16(0, this.isV6 ? AF_INET6 : AF_INET, LITTLE_ENDIAN);
    view.setUint16(2, port);
    if (this.isV6) {
      address.write6(name, 8);
      view.setUint32(24, linkIndex, LITTLE_ENDIAN);
    } else address.write4(name, 4);
    return name;
  }
}
