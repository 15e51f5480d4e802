/**
 * Ping sockets: ICMP and ICMPv6 echo, as Linux's SOCK_DGRAM with IPPROTO_ICMP. A socket owns an echo
 * identifier; requests get it, and replies with it come back, in order, polled.
 */
import { copy } from "../base/bytes.js";
import { EADDRINUSE, EAGAIN, EMSGSIZE, ENOBUFS } from "../base/errno.js";
import { IpAddress } from "../base/ip-address.js";
import { BIG_SLOT_BYTES, HEADROOM_BYTES, NO_SLOT, SMALL_SLOT_BYTES } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as icmp4 from "../wire/icmpv4.js";
import * as icmp6 from "../wire/icmpv6.js";
import * as protocols from "../wire/ip-protocol.js";
import type { Ip } from "./ip.js";
import type { PacketInfo } from "./packet-info.js";
import type { Path } from "./path.js";
import { DontFragment, SendOptions } from "./send-options.js";
import { SlotQueue } from "./slot-queue.js";
import type { PathError } from "./transport.js";

const HEADER_BYTES = 8;
const MAX_REPLIES = 256;

export class EchoSocket {
  readonly family: 4 | 6;
  readonly id: number;
  readonly options: SendOptions = new SendOptions();
  /** The reply that {@link receive} took last. */
  readonly from: IpAddress = new IpAddress();
  sequence = 0;
  ttl = 0;
  rxTimeUs = 0;
  /** An ICMP error about a request of ours; cleared by {@link takeError}. */
  private pendingErrno = 0;
  private readonly ip: Ip;
  private readonly queue: SlotQueue;
  /** Number that the socket layer knows this socket by. */
  cookie = 0;

  constructor(ip: Ip, family: 4 | 6, id: number) {
    this.ip = ip;
    this.family = family;
    this.id = id;
    this.queue = new SlotQueue(ip.pool);
    this.options.dontFragment = DontFragment.NEVER;
  }

  /** Sends a request with `n` bytes of data; 0 or a negated error number. */
  send(path: Path, sequence: number, bytes: Uint8Array, at: number, n: number): number {
    const { pool } = this.ip;
    const needed = HEADROOM_BYTES + HEADER_BYTES + n;
    if (needed > BIG_SLOT_BYTES) return -EMSGSIZE;
    const slot = needed <= SMALL_SLOT_BYTES ? pool.take() : pool.takeBig();
    if (slot === NO_SLOT) return -ENOBUFS;
    const l4At = pool.base(slot) + HEADROOM_BYTES;
    pool.at[slot] = l4At;
    pool.end[slot] = l4At + HEADER_BYTES + n;
    pool.flags[slot] = 0;
    copy(pool.bytes, l4At + HEADER_BYTES, bytes, at, n);
    if (this.family === 4) {
      icmp4.writeEcho(pool.bytes, l4At, icmp4.ECHO_REQUEST, this.id, sequence);
      icmp4.fillChecksum(pool.bytes, l4At, pool.end[slot]!);
      return this.ip.send(slot, path, protocols.ICMPV4, this.options);
    }
    icmp6.writeEcho(pool.bytes, l4At, icmp6.ECHO_REQUEST, this.id, sequence);
    return this.ip.icmp6.finishAndSend(slot, path, this.options);
  }

  /** Copies the data of the oldest reply and returns its length, or -EAGAIN, or a pending error. */
  receive(bytes: Uint8Array, at: number, n: number): number {
    if (this.pendingErrno !== 0) return -this.takeError();
    const slot = this.queue.take();
    if (slot === NO_SLOT) return -EAGAIN;
    const { pool } = this.ip;
    const b = pool.bytes;
    const l4At = pool.l4At[slot]!;
    const l3At = pool.l3At[slot]!;
    if (this.family === 4) this.from.read4(b, l3At + 12);
    else this.from.read6(b, l3At + 8);
    this.ttl = this.family === 4 ? b[l3At + 8]! : b[l3At + 7]!;
    this.sequence = icmp4.echoSequence(b, l4At);
    this.rxTimeUs = pool.rxTimeUs[slot]!;
    const length = pool.end[slot]! - l4At - HEADER_BYTES;
    copy(bytes, at, b, l4At + HEADER_BYTES, Math.min(n, length));
    pool.give(slot);
    return length;
  }

  /** Replies that wait. */
  get ready(): number {
    return this.queue.n;
  }

  takeError(): number {
    const errno = this.pendingErrno;
    this.pendingErrno = 0;
    return errno;
  }

  /** From the registry: a reply; takes the slot. */
  put(slot: number): void {
    if (this.queue.n >= MAX_REPLIES) {
      this.ip.drop(slot, Drop.SOCKET_QUEUE_FULL);
      return;
    }
    this.queue.put(slot);
    this.ip.readiness.changed(this.cookie);
  }

  /** From the registry: an error about a request. */
  fail(errno: number): void {
    this.pendingErrno = errno;
    this.ip.readiness.changed(this.cookie);
  }

  close(): void {
    for (let slot = this.queue.take(); slot !== NO_SLOT; slot = this.queue.take()) {
      this.ip.drop(slot, Drop.SOCKET_CLOSED);
    }
    this.ip.echo.remove(this);
  }
}

/** Ping sockets by family and identifier. */
export class EchoSockets {
  private readonly ip: Ip;
  private readonly sockets = new Map<number, EchoSocket>();

  constructor(ip: Ip) {
    this.ip = ip;
  }

  /** Opens a socket; identifier 0 means one that is free. Null: it is taken. */
  open(family: 4 | 6, id = 0): EchoSocket | null {
    let chosen = id;
    for (let tries = 0; chosen === 0 && tries < 65_536; tries++) {
      const candidate = 1 + this.ip.random.below(65_535);
      if (!this.sockets.has(keyOf(family, candidate))) chosen = candidate;
    }
    if (chosen === 0 || this.sockets.has(keyOf(family, chosen))) return null;
    const socket = new EchoSocket(this.ip, family, chosen);
    this.sockets.set(keyOf(family, chosen), socket);
    return socket;
  }

  /** Why {@link open} said null. */
  readonly openErrno: number = EADDRINUSE;

  /** An echo reply; takes the slot. */
  receive(slot: number, info: PacketInfo, id: number): void {
    const socket = this.sockets.get(keyOf(info.src.isV4 ? 4 : 6, id));
    if (socket !== undefined) socket.put(slot);
    else this.ip.drop(slot, info.src.isV4 ? Drop.ICMP4_IGNORED : Drop.ICMP6_IGNORED);
  }

  pathError(error: PathError): void {
    const isV4 = error.protocol === protocols.ICMPV4;
    const b = this.ip.bytes;
    const request = isV4 ? icmp4.ECHO_REQUEST : icmp6.ECHO_REQUEST;
    if (icmp4.type(b, error.quotedAt) !== request) return;
    const id = icmp4.echoId(b, error.quotedAt);
    this.sockets.get(keyOf(isV4 ? 4 : 6, id))?.fail(error.errno);
  }

  remove(socket: EchoSocket): void {
    this.sockets.delete(keyOf(socket.family, socket.id));
  }
}

const keyOf = (family: 4 | 6, id: number): number => (family === 4 ? 0 : 0x10000) + id;
