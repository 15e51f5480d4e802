/**
 * pcap capture files (draft-ietf-opsawg-pcap): a 24-byte file header, then a 16-byte header before
 * each packet. All integers are in the byte order of the machine that wrote the file.
 *
 *  file    magic(4) major(2) minor(2) zone(4) accuracy(4) snapBytes(4) FCS+linkType(4)
 *  packet  seconds(4) fraction(4) captured(4) length(4)
 *
 * Read: both byte orders; micro- and nanoseconds; the "modified" format of old Linux patches, whose
 * packet headers have 8 bytes more; versions before 2.4, where the two lengths are swapped.
 * Written: version 2.4, little-endian, nanoseconds unless asked otherwise.
 */
import type { Bytes } from "../base/bytes.js";
import type {
  CapturedPacket,
  CaptureError,
  CaptureInput,
  CaptureInterface,
  CaptureParser,
  CaptureWriter,
} from "./capture-file.js";
import { CaptureOutput, Direction, MAX_DBUS_BYTES, MAX_PACKET_BYTES } from "./capture-file.js";
import * as linkType from "./link-type.js";

const FILE_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
const MODIFIED_PACKET_HEADER_BYTES = 24;

const MAGIC_MICROS = 0xa1b2c3d4;
const MAGIC_NANOS = 0xa1b23c4d;
const MAGIC_MODIFIED = 0xa1b2cd34;

const NANOS_PER_S = 1_000_000_000;

/** Little-endian unsigned 32-bit value, or big-endian. */
function word(b: Bytes, at: number, little: boolean): number {
  return little
    ? ((b[at + 3]! << 24) | (b[at + 2]! << 16) | (b[at + 1]! << 8) | b[at]!) >>> 0
    : ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0;
}

function isMagic(magic: number): boolean {
  return magic === MAGIC_MICROS || magic === MAGIC_NANOS || magic === MAGIC_MODIFIED;
}

/** Whether the four bytes at `at` begin a pcap file that {@link PcapParser} reads. */
export function looksLikePcap(b: Bytes, at: number): boolean {
  return isMagic(word(b, at, true)) || isMagic(word(b, at, false));
}

/** Parses one pcap file as its bytes arrive in `input`. */
export class PcapParser implements CaptureParser {
  readonly interfaces: CaptureInterface[] = [];
  error: CaptureError | null = null;

  private readonly input: CaptureInput;
  private little = true;
  private nanosPerUnit = 1;
  private headerBytes = PACKET_HEADER_BYTES;
  private minor = 4;
  private linkType = 0;
  private maxBytes = MAX_PACKET_BYTES;

  constructor(input: CaptureInput) {
    this.input = input;
  }

  next(packet: CapturedPacket): boolean {
    if (this.error !== null) return false;
    if (this.interfaces.length === 0 && !this.readFileHeader()) return false;
    return this.readPacket(packet);
  }

  private readFileHeader(): boolean {
    const { input } = this;
    if (input.readyBytes < FILE_HEADER_BYTES) return this.lacks(FILE_HEADER_BYTES, "a file header");
    const b = input.bytes;
    const at = input.at;
    this.little = isMagic(word(b, at, true));
    const magic = word(b, at, this.little);
    if (!isMagic(magic)) return this.fail(0, `expected a pcap magic number, got ${hex(magic)}`);
    this.nanosPerUnit = magic === MAGIC_NANOS ? 1 : 1000;
    if (magic === MAGIC_MODIFIED) this.headerBytes = MODIFIED_PACKET_HEADER_BYTES;
    const versions = word(b, at + 4, this.little);
    const major = this.little ? versions & 0xffff : versions >>> 16;
    this.minor = this.little ? versions >>> 16 : versions & 0xffff;
    if (major !== 2) {
      return this.fail(4, `expected pcap version 2, got ${major}.${this.minor}`);
    }
    // The upper bits say how many bytes of frame check sequence follow each packet; not needed.
    this.linkType = word(b, at + 20, this.little) & 0x03ffffff;
    if (this.linkType === linkType.DBUS) this.maxBytes = MAX_DBUS_BYTES;
    this.interfaces.push({
      linkType: this.linkType,
      name: "",
      description: "",
      snapBytes: word(b, at + 16, this.little),
      received: -1,
      dropped: -1,
    });
    input.at += FILE_HEADER_BYTES;
    return true;
  }

  private readPacket(packet: CapturedPacket): boolean {
    const { input, little } = this;
    if (input.readyBytes < this.headerBytes) {
      return input.readyBytes > 0 && this.lacks(this.headerBytes, "a packet header");
    }
    const b = input.bytes;
    const at = input.at;
    let captured = word(b, at + 8, little);
    let length = word(b, at + 12, little);
    if (this.minor < 3 || (this.minor === 3 && captured > length)) {
      [captured, length] = [length, captured];
    }
    if (captured > this.maxBytes) {
      return this.fail(8, `expected a packet of at most ${this.maxBytes} bytes, got ${captured}`);
    }
    if (input.readyBytes < this.headerBytes + captured) {
      return this.lacks(this.headerBytes + captured, "a packet");
    }
    const fraction = word(b, at + 4, little) * this.nanosPerUnit;
    const carry = Math.floor(fraction / NANOS_PER_S);
    packet.seconds = word(b, at, little) + carry;
    packet.nanos = fraction - carry * NANOS_PER_S;
    packet.bytes = b;
    packet.at = at + this.headerBytes;
    packet.end = packet.at + captured;
    packet.lengthBytes = length;
    packet.linkType = this.linkType;
    packet.interfaceId = 0;
    packet.direction = Direction.UNKNOWN;
    packet.comment = "";
    input.at = packet.end;
    return true;
  }

  /** The bytes of `what` are not all there: an error only when no more will come. */
  private lacks(wanted: number, what: string): false {
    const got = this.input.readyBytes;
    if (this.input.isEnded) {
      this.fail(0, `the file is cut short: expected ${what} of ${wanted} bytes, got ${got}`);
    }
    return false;
  }

  private fail(offset: number, message: string): false {
    this.error = { atByte: this.input.fileAt + offset, message };
    return false;
  }
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}

export interface PcapOptions {
  readonly linkType: number;
  /** Most bytes kept of a packet, as the header tells readers; the writer cuts nothing. */
  readonly snapBytes?: number;
  /** `us` is what tools before 2012 can read; the default is `ns`. */
  readonly resolution?: "us" | "ns";
}

/**
 * Writes one pcap file. Every packet must have the link type given here; the format has no place
 * for another one, nor for comments, interfaces and directions.
 */
export class PcapWriter implements CaptureWriter {
  private readonly out = new CaptureOutput();
  private readonly nanosPerUnit: number;

  constructor(options: PcapOptions) {
    this.nanosPerUnit = options.resolution === "us" ? 1000 : 1;
    const { out } = this;
    const at = out.reserve(FILE_HEADER_BYTES);
    out.put32(at, options.resolution === "us" ? MAGIC_MICROS : MAGIC_NANOS);
    out.put16(at + 4, 2);
    out.put16(at + 6, 4);
    out.put32(at + 16, options.snapBytes ?? MAX_PACKET_BYTES);
    out.put32(at + 20, options.linkType);
  }

  get pendingBytes(): number {
    return this.out.end;
  }

  /** Appends a packet. Times before 1970 and after 2106 do not fit and wrap. */
  add(packet: CapturedPacket): void {
    const { out } = this;
    const captured = packet.end - packet.at;
    const at = out.reserve(PACKET_HEADER_BYTES + captured);
    out.put32(at, packet.seconds);
    out.put32(at + 4, Math.floor(packet.nanos / this.nanosPerUnit));
    out.put32(at + 8, captured);
    out.put32(at + 12, packet.lengthBytes);
    out.putPacket(at + PACKET_HEADER_BYTES, packet);
  }

  take(): Bytes {
    return this.out.take();
  }
}
