/**
 * Writing pcapng capture files (draft-ietf-opsawg-pcapng): one section, little-endian, nanoseconds,
 * interfaces with names, packets with direction and comments, and counts at the end.
 */
import type { Bytes } from "../base/bytes.js";
import type { CapturedPacket, CaptureWriter } from "./capture-file.js";
import { CaptureOutput, Direction } from "./capture-file.js";
import { Block, BYTE_ORDER_MAGIC } from "./pcapng.js";
import { NANOSECONDS } from "./pcapng-time.js";

const COMMENT = 1;
const SHB_USERAPPL = 4;
const IF_NAME = 2;
const IF_DESCRIPTION = 3;
const IF_TSRESOL = 9;
const EPB_FLAGS = 2;
const ISB_IFRECV = 4;
const ISB_IFDROP = 5;

/** Longest text of an option; the format has 16 bits for its length. */
const MAX_TEXT_BYTES = 65_532;

const utf8 = new TextEncoder();

export interface InterfaceDescription {
  readonly linkType: number;
  readonly name?: string;
  readonly description?: string;
  /** Most bytes kept of a packet; 0, the default, means no limit. The writer cuts nothing. */
  readonly snapBytes?: number;
}

export interface InterfaceCounts {
  readonly received: number;
  readonly dropped: number;
  /** When these counts were read: since 1970, UTC. */
  readonly seconds: number;
  readonly nanos: number;
}

export class PcapngWriter implements CaptureWriter {
  private readonly out = new CaptureOutput();
  private readonly linkTypes: number[] = [];
  private blockAt = 0;

  /** `application` is the program's name and version, for the file's readers. */
  constructor(application: string) {
    const at = this.begin(Block.SECTION, 16);
    const { out } = this;
    out.put32(at, BYTE_ORDER_MAGIC);
    out.put16(at + 4, 1);
    out.put32(at + 8, 0xffffffff); // the section's length is not known
    out.put32(at + 12, 0xffffffff);
    this.optionText(SHB_USERAPPL, application);
    this.finish(true);
  }

  get pendingBytes(): number {
    return this.out.end;
  }

  /** Declares an interface and returns its number, the `interfaceId` of its packets. */
  addInterface(about: InterfaceDescription): number {
    const at = this.begin(Block.INTERFACE, 8);
    this.out.put16(at, about.linkType);
    this.out.put32(at + 4, about.snapBytes ?? 0);
    if (about.name) this.optionText(IF_NAME, about.name);
    if (about.description) this.optionText(IF_DESCRIPTION, about.description);
    const value = this.option(IF_TSRESOL, 1);
    this.out.bytes[value] = NANOSECONDS;
    this.finish(true);
    this.linkTypes.push(about.linkType);
    return this.linkTypes.length - 1;
  }

  /** Appends a packet of a declared interface. Throws `RangeError` for an undeclared one. */
  add(packet: CapturedPacket): void {
    if (packet.interfaceId >= this.linkTypes.length) {
      const known = this.linkTypes.length;
      throw new RangeError(
        `pcapng packet: expected one of ${known} interfaces, got number ${packet.interfaceId}`,
      );
    }
    const captured = packet.end - packet.at;
    const at = this.begin(Block.ENHANCED, 20 + padded(captured));
    const { out } = this;
    out.put32(at, packet.interfaceId);
    this.putTime(at + 4, packet.seconds, packet.nanos);
    out.put32(at + 12, captured);
    out.put32(at + 16, packet.lengthBytes);
    out.putPacket(at + 20, packet);
    const isKnown = packet.direction !== Direction.UNKNOWN;
    if (isKnown) out.put32(this.option(EPB_FLAGS, 4), packet.direction);
    if (packet.comment !== "") this.optionText(COMMENT, packet.comment);
    this.finish(isKnown || packet.comment !== "");
  }

  /** Says how many packets an interface received and dropped; usually the file's last words. */
  addCounts(interfaceId: number, counts: InterfaceCounts): void {
    const at = this.begin(Block.STATISTICS, 12);
    this.out.put32(at, interfaceId);
    this.putTime(at + 4, counts.seconds, counts.nanos);
    this.put64(this.option(ISB_IFRECV, 8), counts.received);
    this.put64(this.option(ISB_IFDROP, 8), counts.dropped);
    this.finish(true);
  }

  take(): Bytes {
    return this.out.take();
  }

  /** Starts a block and returns where its body, of `bodyBytes` so far, begins. */
  private begin(type: number, bodyBytes: number): number {
    this.blockAt = this.out.reserve(8 + bodyBytes);
    this.out.put32(this.blockAt, type);
    return this.blockAt + 8;
  }

  /** Ends the block that `begin` started. */
  private finish(hasOptions: boolean): void {
    if (hasOptions) this.out.reserve(4); // opt_endofopt
    const at = this.out.reserve(4);
    const total = at + 4 - this.blockAt;
    this.out.put32(this.blockAt + 4, total);
    this.out.put32(at, total);
  }

  /** Appends an option and returns where its value begins. */
  private option(code: number, valueBytes: number): number {
    const at = this.out.reserve(4 + padded(valueBytes));
    this.out.put16(at, code);
    this.out.put16(at + 2, valueBytes);
    return at + 4;
  }

  private optionText(code: number, value: string): void {
    const encoded = utf8.encode(value).subarray(0, MAX_TEXT_BYTES);
    const at = this.option(code, encoded.length);
    this.out.bytes.set(encoded, at);
  }

  /** seconds * 10^9 + nanos in 64 bits, high half first, without BigInt: 16-bit limbs of seconds. */
  private putTime(at: number, seconds: number, nanos: number): void {
    const low = (seconds & 0xffff) * 1_000_000_000 + nanos; // below 2^46
    const upper = Math.floor(seconds / 0x1_0000) * 1_000_000_000 + Math.floor(low / 0x1_0000);
    const lowHalf = (upper & 0xffff) * 0x1_0000 + (low % 0x1_0000);
    this.out.put32(at, Math.floor(upper / 0x1_0000));
    this.out.put32(at + 4, lowHalf);
  }

  /** Little-endian, exact to 2^53. */
  private put64(at: number, value: number): void {
    this.out.put32(at, value);
    this.out.put32(at + 4, Math.floor(value / 0x1_0000_0000));
  }
}

function padded(n: number): number {
  return (n + 3) & ~3;
}
