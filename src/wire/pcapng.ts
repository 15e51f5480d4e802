/**
 * pcapng capture files (draft-ietf-opsawg-pcapng), reading. Writing is in `pcapng-writer.ts`.
 *
 * A file is a row of blocks, each `type(4) total(4) body total(4)`, padded to 32 bits. A section
 * header block sets the byte order of what follows and forgets the interfaces so far; interface
 * description blocks are numbered from 0 in each section and say how packets' times are to be read.
 *
 * Read: section header, interface description, enhanced, simple and (obsolete) packet blocks, and
 * the counts in interface statistics blocks. Name resolution, decryption secrets, custom and
 * unknown blocks are skipped. `interfaces` runs over all sections.
 */
import type { Bytes } from "../base/bytes.js";
import type {
  CapturedPacket,
  CaptureError,
  CaptureInput,
  CaptureInterface,
  CaptureParser,
} from "./capture-file.js";
import { MAX_DBUS_BYTES, MAX_PACKET_BYTES } from "./capture-file.js";
import * as linkType from "./link-type.js";
import { MICROSECONDS, Timescale } from "./pcapng-time.js";

export const Block = {
  SECTION: 0x0a0d0d0a,
  INTERFACE: 1,
  PACKET: 2,
  SIMPLE: 3,
  STATISTICS: 5,
  ENHANCED: 6,
} as const;

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** Longest block that is believed: a packet, with room for options. */
const MAX_BLOCK_BYTES = 16 * 1024 * 1024 + MAX_DBUS_BYTES;
const FRAME_BYTES = 12; // type and the two lengths

const END_OF_OPTIONS = 0;
const COMMENT = 1;
const IF_NAME = 2;
const IF_DESCRIPTION = 3;
const IF_TSRESOL = 9;
const IF_TSOFFSET = 14;
const EPB_FLAGS = 2;
const ISB_IFRECV = 4;
const ISB_IFDROP = 5;

const text = new TextDecoder();

/** Whether the four bytes at `at` begin a pcapng file. The number reads the same both ways. */
export function looksLikePcapng(b: Bytes, at: number): boolean {
  return b[at] === 0x0a && b[at + 1] === 0x0d && b[at + 2] === 0x0d && b[at + 3] === 0x0a;
}

/** Parses one pcapng file as its bytes arrive in `input`. */
export class PcapngParser implements CaptureParser {
  readonly interfaces: CaptureInterface[] = [];
  error: CaptureError | null = null;

  private readonly input: CaptureInput;
  private readonly timescales: Timescale[] = [];
  private little = true;
  /** Index in `interfaces` of the first one of this section. */
  private firstInterface = 0;

  /** The option that {@link nextOption} stopped at. */
  private optionCode = 0;
  private optionAt = 0;
  private optionBytes = 0;
  private optionNextAt = 0;

  constructor(input: CaptureInput) {
    this.input = input;
  }

  next(packet: CapturedPacket): boolean {
    while (this.error === null) {
      const at = this.input.at;
      const total = this.frameBlock();
      if (total === 0) return false;
      const type = this.u32(at);
      this.input.at += total;
      if (this.takeBlock(type, at + 8, at + total - 4, packet)) return true;
    }
    return false;
  }

  /** Total length of the next block, all of it in `input`; 0 when it is not there (yet) or bad. */
  private frameBlock(): number {
    const { input } = this;
    const { bytes: b, at } = input;
    if (input.readyBytes < FRAME_BYTES) {
      return input.readyBytes > 0 ? this.lacks(FRAME_BYTES) : 0;
    }
    if (looksLikePcapng(b, at) && !this.takeByteOrder(at)) return 0;
    const total = this.u32(at + 4);
    if (total < FRAME_BYTES || total > MAX_BLOCK_BYTES || total % 4 !== 0) {
      const limits = `of ${FRAME_BYTES} to ${MAX_BLOCK_BYTES} bytes, a multiple of 4`;
      return this.fail(at + 4, `expected a block ${limits}, got ${total}`);
    }
    if (input.readyBytes < total) return this.lacks(total);
    const again = this.u32(at + total - 4);
    if (again !== total) {
      return this.fail(at + total - 4, `expected the block's length ${total} again, got ${again}`);
    }
    return total;
  }

  /** A section header says in which byte order it, its own length included, is written. */
  private takeByteOrder(at: number): boolean {
    this.little = true;
    if (this.u32(at + 8) === BYTE_ORDER_MAGIC) return true;
    this.little = false;
    if (this.u32(at + 8) === BYTE_ORDER_MAGIC) return true;
    this.fail(at + 8, "expected the byte-order magic of a section header");
    return false;
  }

  /** True when the block was a packet. `at` is the start of its body, `end` the end. */
  private takeBlock(type: number, at: number, end: number, packet: CapturedPacket): boolean {
    switch (type) {
      case Block.SECTION:
        this.takeSection(at, end);
        return false;
      case Block.INTERFACE:
        this.takeInterface(at, end);
        return false;
      case Block.STATISTICS:
        this.takeStatistics(at, end);
        return false;
      case Block.ENHANCED:
        return this.takeEnhanced(at, end, packet);
      case Block.PACKET:
        return this.takeObsolete(at, end, packet);
      case Block.SIMPLE:
        return this.takeSimple(at, end, packet);
      default:
        return false;
    }
  }

  private takeSection(at: number, end: number): void {
    if (!this.hasBody(at, end, 16, "a section header")) return;
    const major = this.u16(at + 4);
    if (major !== 1) {
      this.fail(at + 4, `expected pcapng version 1, got ${major}.${this.u16(at + 6)}`);
    }
    this.firstInterface = this.interfaces.length;
  }

  private takeInterface(at: number, end: number): void {
    if (!this.hasBody(at, end, 8, "an interface description")) return;
    const found = { name: "", description: "", resolution: MICROSECONDS, offset: 0 };
    this.optionNextAt = at + 8;
    while (this.nextOption(end)) {
      if (this.optionCode === IF_NAME) found.name = this.optionText();
      else if (this.optionCode === IF_DESCRIPTION) found.description = this.optionText();
      else if (this.optionCode === IF_TSRESOL && this.optionBytes === 1) {
        found.resolution = this.input.bytes[this.optionAt]!;
      } else if (this.optionCode === IF_TSOFFSET && this.optionBytes === 8) {
        found.offset = this.i64(this.optionAt);
      }
    }
    this.timescales.push(new Timescale(found.resolution, found.offset));
    this.interfaces.push({
      linkType: this.u16(at),
      name: found.name,
      description: found.description,
      snapBytes: this.u32(at + 4),
      received: -1,
      dropped: -1,
    });
  }

  private takeStatistics(at: number, end: number): void {
    if (!this.hasBody(at, end, 12, "interface statistics")) return;
    const id = this.interfaceId(this.u32(at), at);
    if (id < 0) return;
    const about = this.interfaces[id]!;
    this.optionNextAt = at + 12;
    while (this.nextOption(end)) {
      if (this.optionBytes !== 8) continue;
      if (this.optionCode === ISB_IFRECV) about.received = this.u64(this.optionAt);
      else if (this.optionCode === ISB_IFDROP) about.dropped = this.u64(this.optionAt);
    }
  }

  /** interface(4) time(8) captured(4) length(4) data options */
  private takeEnhanced(at: number, end: number, packet: CapturedPacket): boolean {
    if (!this.hasBody(at, end, 20, "an enhanced packet")) return false;
    const id = this.interfaceId(this.u32(at), at);
    if (id < 0) return false;
    this.setTime(packet, id, at + 4);
    packet.lengthBytes = this.u32(at + 16);
    return (
      this.setData(packet, id, at + 20, this.u32(at + 12), end) &&
      this.takePacketOptions(packet, end)
    );
  }

  /** interface(2) drops(2) time(8) captured(4) length(4) data options */
  private takeObsolete(at: number, end: number, packet: CapturedPacket): boolean {
    if (!this.hasBody(at, end, 20, "a packet")) return false;
    const id = this.interfaceId(this.u16(at), at);
    if (id < 0) return false;
    this.setTime(packet, id, at + 4);
    packet.lengthBytes = this.u32(at + 16);
    return (
      this.setData(packet, id, at + 20, this.u32(at + 12), end) &&
      this.takePacketOptions(packet, end)
    );
  }

  /** length(4) data: the first interface, no time, and cut at that interface's limit. */
  private takeSimple(at: number, end: number, packet: CapturedPacket): boolean {
    if (!this.hasBody(at, end, 4, "a simple packet")) return false;
    const id = this.interfaceId(0, at);
    if (id < 0) return false;
    packet.seconds = 0;
    packet.nanos = 0;
    packet.lengthBytes = this.u32(at);
    const snap = this.interfaces[id]!.snapBytes;
    const most = snap === 0 ? packet.lengthBytes : Math.min(snap, packet.lengthBytes);
    return this.setData(packet, id, at + 4, Math.min(most, end - at - 4), end);
  }

  private setTime(packet: CapturedPacket, id: number, at: number): void {
    const scale = this.timescales[id]!;
    scale.convert(this.u32(at), this.u32(at + 4));
    packet.seconds = scale.secondsOut;
    packet.nanos = scale.nanosOut;
  }

  private setData(
    packet: CapturedPacket,
    id: number,
    at: number,
    captured: number,
    end: number,
  ): boolean {
    const type = this.interfaces[id]!.linkType;
    const most = type === linkType.DBUS ? MAX_DBUS_BYTES : MAX_PACKET_BYTES;
    if (captured > most || captured > end - at) {
      const room = Math.min(most, end - at);
      this.fail(at - 8, `expected a packet of at most ${room} bytes, got ${captured}`);
      return false;
    }
    packet.bytes = this.input.bytes;
    packet.at = at;
    packet.end = at + captured;
    packet.interfaceId = id;
    packet.linkType = type;
    packet.direction = 0;
    packet.comment = "";
    return true;
  }

  private takePacketOptions(packet: CapturedPacket, end: number): true {
    this.optionNextAt = packet.at + padded(packet.end - packet.at);
    while (this.nextOption(end)) {
      if (this.optionCode === COMMENT) {
        const line = this.optionText();
        packet.comment = packet.comment === "" ? line : `${packet.comment}\n${line}`;
      } else if (this.optionCode === EPB_FLAGS && this.optionBytes === 4) {
        packet.direction = this.u32(this.optionAt) & 3;
      }
    }
    return true;
  }

  /**
   * Reads the option at `optionNextAt` into the other `option…` fields; false at the end. Options
   * that do not fit their block end the list: the block's data are good.
   */
  private nextOption(end: number): boolean {
    const at = this.optionNextAt;
    if (end - at < 4) return false;
    this.optionCode = this.u16(at);
    this.optionBytes = this.u16(at + 2);
    this.optionAt = at + 4;
    this.optionNextAt = at + 4 + padded(this.optionBytes);
    return this.optionCode !== END_OF_OPTIONS && this.optionBytes <= end - at - 4;
  }

  private optionText(): string {
    const { bytes } = this.input;
    return text.decode(bytes.subarray(this.optionAt, this.optionAt + this.optionBytes));
  }

  /** Index in `interfaces` of interface `n` of this section, or -1. */
  private interfaceId(n: number, at: number): number {
    const id = this.firstInterface + n;
    if (id < this.interfaces.length) return id;
    const known = this.interfaces.length - this.firstInterface;
    this.fail(at, `expected one of the section's ${known} interfaces, got number ${n}`);
    return -1;
  }

  private hasBody(at: number, end: number, wanted: number, what: string): boolean {
    if (end - at >= wanted) return true;
    this.fail(at, `expected ${what} of at least ${wanted} bytes, got ${end - at}`);
    return false;
  }

  /** Not all of the block is there: an error only when no more bytes will come. */
  private lacks(wanted: number): 0 {
    const got = this.input.readyBytes;
    if (!this.input.isEnded) return 0;
    const message = `the file is cut short: expected a block of ${wanted} bytes, got ${got}`;
    return this.fail(this.input.at, message);
  }

  /** `at` is a place in the input's bytes. */
  private fail(at: number, message: string): 0 {
    this.error = { atByte: this.input.fileAt - this.input.at + at, message };
    return 0;
  }

  private u16(at: number): number {
    const b = this.input.bytes;
    return this.little ? (b[at + 1]! << 8) | b[at]! : (b[at]! << 8) | b[at + 1]!;
  }

  private u32(at: number): number {
    const low = this.u16(this.little ? at : at + 2);
    const high = this.u16(this.little ? at + 2 : at);
    return ((high << 16) | low) >>> 0;
  }

  /** Exact to 2^53. */
  private u64(at: number): number {
    const low = this.u32(this.little ? at : at + 4);
    const high = this.u32(this.little ? at + 4 : at);
    return high * 0x1_0000_0000 + low;
  }

  /** Signed, exact to 2^53. */
  private i64(at: number): number {
    const low = this.u32(this.little ? at : at + 4);
    const high = this.u32(this.little ? at + 4 : at) | 0;
    return high * 0x1_0000_0000 + low;
  }
}

/** `n` rounded up to a multiple of four. */
function padded(n: number): number {
  return (n + 3) & ~3;
}
