/**
 * Splits a large TCP segment or UDP payload (GSO frame) into frames of the link's size, as a device
 * with segmentation offload would:
 *
 *  - TCP: sequence numbers advance; FIN and PSH only on the last, CWR only on the first (RFC 3168
 *    §6.1.2); everything else, options included, is repeated.
 *  - UDP: every piece is a datagram of its own.
 *  - IPv4: identification counts up; lengths and checksums are made anew.
 *
 * One frame at a time, pulled piece by piece, so that the caller decides when to stop:
 * `begin(slot)`, then `next()` until `more` is false. The frame stays the caller's.
 */
import * as bytes from "../base/bytes.js";
import { finish, fold } from "../base/checksum.js";
import { ArenaChecksum } from "../ring/arena-checksum.js";
import { FrameFlags, GSO_MASK, NO_SLOT, type Pool } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as ethernet from "../wire/ethernet.js";
import * as ipProtocol from "../wire/ip-protocol.js";
import * as ipv4 from "../wire/ipv4.js";
import * as ipv6 from "../wire/ipv6.js";
import * as pseudoHeader from "../wire/pseudo-header.js";
import * as tcp from "../wire/tcp.js";
import * as udp from "../wire/udp.js";
import { putChecksum, takeFor } from "./frame-slots.js";

export class Segmenter {
  private readonly pool: Pool;
  private readonly checksum: ArenaChecksum;
  /** Whether pieces get whole checksums, or stay CHECKSUM_PARTIAL for the device. */
  private readonly completes: boolean;
  private slot = NO_SLOT;
  private isTcp = false;
  private isV6 = false;
  private l3Bytes = 0; // from the frame's start
  private l4Bytes = 0;
  private headerBytes = 0; // all headers
  private pieceBytes = 0;
  private sentBytes = 0;
  private payloadBytes = 0;
  private pieces = 0;

  constructor(pool: Pool, completes: boolean) {
    this.pool = pool;
    this.checksum = new ArenaChecksum(pool.memory.arena);
    this.completes = completes;
  }

  /** Hot path. Whether the frame in work has pieces left. */
  get more(): boolean {
    return this.slot !== NO_SLOT && this.sentBytes < this.payloadBytes;
  }

  /** Hot path. Starts on a GSO frame. False when its headers or its metadata make no sense. */
  begin(slot: number): boolean {
    this.slot = NO_SLOT;
    const pool = this.pool;
    const b = pool.bytes;
    const at = pool.at[slot]!;
    const end = pool.end[slot]!;
    if (ethernet.check(b, at, end) !== Drop.NONE) return false;
    const l3At = ethernet.payloadAtOut;
    this.isV6 = ethernet.etherTypeOut === ethernet.TYPE_IPV6;
    if (!this.isV6 && ethernet.etherTypeOut !== ethernet.TYPE_IPV4) return false;
    this.isTcp = (pool.flags[slot]! & GSO_MASK) !== FrameFlags.GSO_UDP;
    const ip = this.isV6 ? ipv6.check(b, l3At, end) : ipv4.check(b, l3At, end);
    const l4At = pool.csumStart[slot]!;
    if (ip !== Drop.NONE || l4At <= l3At || l4At >= end) return false;
    const l4 = this.isTcp ? tcp.check(b, l4At, end) : udp.check(b, l4At, end);
    if (l4 !== Drop.NONE || pool.gsoBytes[slot]! <= 0) return false;
    const payloadAt = this.isTcp ? tcp.payloadAt(b, l4At) : l4At + udp.HEADER_BYTES;
    this.l3Bytes = l3At - at;
    this.l4Bytes = l4At - at;
    this.headerBytes = payloadAt - at;
    this.payloadBytes = end - payloadAt;
    this.pieceBytes = pool.gsoBytes[slot]!;
    this.sentBytes = 0;
    this.pieces = 0;
    this.slot = slot;
    return this.payloadBytes > 0;
  }

  /** Hot path. The next piece, the caller's; NO_SLOT when the pool is empty. Precondition: `more`. */
  next(): number {
    const pool = this.pool;
    const n = Math.min(this.pieceBytes, this.payloadBytes - this.sentBytes);
    const piece = takeFor(pool, this.headerBytes + n);
    if (piece === NO_SLOT) return NO_SLOT;
    const from = pool.at[this.slot]!;
    const at = pool.at[piece]!;
    const end = pool.end[piece]!;
    bytes.copyWithin(pool.bytes, at, from, this.headerBytes);
    const payloadFrom = from + this.headerBytes + this.sentBytes;
    bytes.copyWithin(pool.bytes, at + this.headerBytes, payloadFrom, n);
    const isLast = this.sentBytes + n === this.payloadBytes;
    const l3At = at + this.l3Bytes;
    const l4At = at + this.l4Bytes;
    this.writeNetwork(l3At, end);
    if (this.isTcp) this.writeTcp(l4At, isLast);
    else bytes.put16(pool.bytes, l4At + UDP_LENGTH, end - l4At);
    this.writeChecksum(piece, l3At, l4At, end);
    pool.ifIndex[piece] = pool.ifIndex[this.slot]!;
    pool.rxTimeUs[piece] = pool.rxTimeUs[this.slot]!;
    this.sentBytes += n;
    this.pieces++;
    return piece;
  }

  private writeNetwork(l3At: number, end: number): void {
    const b = this.pool.bytes;
    if (this.isV6) {
      ipv6.setPayloadLength(b, l3At, end - l3At - ipv6.HEADER_BYTES);
    } else {
      ipv4.setTotalLength(b, l3At, end - l3At);
      ipv4.setId(b, l3At, ipv4.id(b, l3At) + this.pieces);
      ipv4.fillChecksum(b, l3At);
    }
  }

  private writeTcp(l4At: number, isLast: boolean): void {
    const b = this.pool.bytes;
    bytes.put32(b, l4At + TCP_SEQ, tcp.seq(b, l4At) + this.sentBytes);
    let flags = tcp.flags(b, l4At);
    if (!isLast) flags &= ~(tcp.FIN | tcp.PSH);
    if (this.pieces > 0) flags &= ~tcp.CWR;
    bytes.put8(b, l4At + TCP_FLAGS, flags);
  }

  private writeChecksum(piece: number, l3At: number, l4At: number, end: number): void {
    const pool = this.pool;
    const b = pool.bytes;
    const protocol = this.isTcp ? ipProtocol.TCP : ipProtocol.UDP;
    const offset = this.isTcp ? tcp.CHECKSUM_AT : udp.CHECKSUM_AT;
    const pseudo = this.isV6
      ? pseudoHeader.sum6(b, l3At, protocol, end - l4At)
      : pseudoHeader.sum4(b, l3At, protocol, end - l4At);
    pool.csumStart[piece] = l4At;
    pool.csumOffset[piece] = offset;
    if (this.completes) {
      bytes.put16(b, l4At + offset, 0);
      const value = finish(this.checksum.sum(l4At, end - l4At, pseudo));
      putChecksum(b, l4At + offset, value, offset);
    } else {
      bytes.put16(b, l4At + offset, fold(pseudo));
      pool.flags[piece] = FrameFlags.CHECKSUM_PARTIAL;
    }
  }
}

const UDP_LENGTH = 4;
const TCP_SEQ = 4;
const TCP_FLAGS = 13;
