/**
 * What the capture file formats share: the packet record, the error, and the byte buffers between
 * a format and whoever reads or writes the file. No I/O happens here.
 *
 * Time stamps are two numbers, whole seconds since 1970 and nanoseconds within the second. A double
 * cannot hold nanoseconds since 1970 and a BigInt is an allocation per packet; two numbers are
 * exact, cheap, and map to the fields of both formats without loss. Resolutions finer than a
 * nanosecond are cut off.
 */
import type { Bytes } from "../base/bytes.js";

/** Where a capture file stops making sense, and what was expected there. */
export interface CaptureError {
  /** Offset from the start of the file, in bytes. */
  readonly atByte: number;
  readonly message: string;
}

const NOTHING: Bytes = new Uint8Array(0);

export const Direction = { UNKNOWN: 0, IN: 1, OUT: 2 } as const;

/**
 * One packet of a capture. Readers reuse one record: it and its bytes are valid until the reader
 * is called again. Writers borrow it for the call.
 */
export class CapturedPacket {
  /** The captured bytes are `bytes[at]` up to, not including, `bytes[end]`. */
  bytes: Bytes = NOTHING;
  at = 0;
  end = 0;
  /** Length on the wire; more than `end - at` when the capture kept only the beginning. */
  lengthBytes = 0;
  /** Since 1970, UTC; 0 where the file has no time for this packet. */
  seconds = 0;
  /** 0 to 999,999,999. */
  nanos = 0;
  /** Index into the reader's `interfaces`. */
  interfaceId = 0;
  linkType = 0;
  /** One of {@link Direction}. */
  direction = 0;
  /** Comments that the file attaches to this packet, one a line; empty when none. */
  comment = "";
}

/** An interface that packets of the file were captured on. A pcap file has one. */
export interface CaptureInterface {
  readonly linkType: number;
  readonly name: string;
  readonly description: string;
  /** Most bytes kept of a packet; 0 means no limit. */
  readonly snapBytes: number;
  /** Packets received and dropped according to the file's statistics; -1 where it has none. */
  received: number;
  dropped: number;
}

/** A parser of one format. `next` fills `packet` and returns true, or false when it cannot (yet). */
export interface CaptureParser {
  readonly interfaces: readonly CaptureInterface[];
  readonly error: CaptureError | null;
  next(packet: CapturedPacket): boolean;
}

/**
 * Longest packet that is believed. libpcap and Wireshark use the same bound; a larger length means
 * that the file is damaged, and believing it would mean to wait for gigabytes.
 */
export const MAX_PACKET_BYTES = 262_144;
/** D-Bus messages are longer than any packet. */
export const MAX_DBUS_BYTES = 128 * 1024 * 1024;

/**
 * Bytes of a file on their way to a parser: chunks are copied in at the end, the parser moves `at`.
 *
 * `bytes[at]` up to `bytes[end]` is what is there; its first byte is byte `fileAt` of the file.
 * Only `push` moves bytes, so places in `bytes` stay valid until then.
 */
export class CaptureInput {
  bytes: Bytes = new Uint8Array(65_536);
  at = 0;
  end = 0;
  /** No more bytes will come. */
  isEnded = false;
  /** Offset in the file of `bytes[0]`. */
  private baseAt = 0;

  /** Offset in the file of the next byte to parse. */
  get fileAt(): number {
    return this.baseAt + this.at;
  }

  get readyBytes(): number {
    return this.end - this.at;
  }

  /** Appends a copy of `chunk`. */
  push(chunk: Bytes): void {
    const keep = this.end - this.at;
    if (this.end + chunk.length > this.bytes.length) {
      const wanted = keep + chunk.length;
      const into =
        wanted > this.bytes.length ? new Uint8Array(Math.max(wanted * 2, 65_536)) : this.bytes;
      if (into === this.bytes) into.copyWithin(0, this.at, this.end);
      else into.set(this.bytes.subarray(this.at, this.end));
      this.baseAt += this.at;
      this.bytes = into;
      this.at = 0;
      this.end = keep;
    }
    this.bytes.set(chunk, this.end);
    this.end += chunk.length;
  }
}

/**
 * Bytes of a file on their way from a writer. It grows as needed; `take` empties it.
 */
export class CaptureOutput {
  bytes: Bytes = new Uint8Array(65_536);
  private view = new DataView(this.bytes.buffer);
  end = 0;

  /** Makes room for `n` more bytes; those bytes are zero. Returns where they begin. */
  reserve(n: number): number {
    const at = this.end;
    if (at + n > this.bytes.length) {
      const larger = new Uint8Array(Math.max((at + n) * 2, 65_536));
      larger.set(this.bytes.subarray(0, at));
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    this.bytes.fill(0, at, at + n);
    this.end = at + n;
    return at;
  }

  /** Stores a little-endian 16-bit value. */
  put16(at: number, value: number): void {
    this.view.setUint16(at, value, true);
  }

  /** Stores the low 32 bits of `value`, little-endian. */
  put32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
  }

  /** Copies the captured bytes of a packet to `at`. */
  putPacket(at: number, packet: CapturedPacket): void {
    this.bytes.set(packet.bytes.subarray(packet.at, packet.end), at);
  }

  /** All bytes since the last call, as a view that the next write reuses. */
  take(): Bytes {
    const taken = this.bytes.subarray(0, this.end);
    this.end = 0;
    return taken;
  }
}

/** What a capture file is written through; file I/O is the caller's. */
export interface CaptureWriter {
  /** Appends a packet. Borrows the record and its bytes for the call. */
  add(packet: CapturedPacket): void;
  /** Bytes that `take` would return. */
  readonly pendingBytes: number;
  /** The bytes written since the last call; valid until the writer is used again. */
  take(): Bytes;
}
