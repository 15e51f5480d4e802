/**
 * The frame of netlink messages (netlink(7)): headers and attributes, in this machine's byte order.
 *
 *      0        4      6       8      12      16
 *     | length | type | flags | seq  | port  | payload, attributes …     each padded to 4 bytes
 *
 *      0        2      4
 *     | length | type | value                                            an attribute
 *
 * Reading checks every length against what is there: a message that lies is cut off, and nothing
 * outside it is read. What the numbers mean is `rtnetlink.ts`.
 */
export const MESSAGE_HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const ATTRIBUTE_FLAGS = 0xc000;

/** Types that every netlink family has. */
export const Control = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const;

export const MessageFlags = {
  REQUEST: 1,
  MULTI: 2,
  ACK: 4,
  DUMP_INTERRUPTED: 0x10,
  /** Of requests to read: the whole table. */
  DUMP: 0x300,
  /** Of requests to make something. */
  CREATE: 0x400,
} as const;

/** Whether this machine stores the low byte first. */
export const LITTLE_ENDIAN: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

const padded = (n: number): number => (n + 3) & ~3;

/** Builds one message at a time. Throws `RangeError` when it outgrows its buffer: our bug. */
export class MessageWriter {
  readonly bytes: Uint8Array = new Uint8Array(256);
  private readonly view = new DataView(this.bytes.buffer);
  private n = 0;

  /** Starts a message; `seq` is what answers carry. */
  begin(type: number, flags: number, seq: number): this {
    this.bytes.fill(0);
    this.view.setUint16(4, type, LITTLE_ENDIAN);
    this.view.setUint16(6, flags, LITTLE_ENDIAN);
    this.view.setUint32(8, seq, LITTLE_ENDIAN);
    this.n = MESSAGE_HEADER_BYTES;
    return this;
  }

  u8(value: number): this {
    this.view.setUint8(this.take(1), value);
    return this;
  }

  u16(value: number): this {
    this.view.setUint16(this.take(2), value, LITTLE_ENDIAN);
    return this;
  }

  u32(value: number): this {
    this.view.setUint32(this.take(4), value, LITTLE_ENDIAN);
    return this;
  }

  attribute(type: number, value: Uint8Array): this {
    this.u16(ATTRIBUTE_HEADER_BYTES + value.length).u16(type);
    this.bytes.set(value, this.take(padded(value.length)));
    return this;
  }

  attributeU32(type: number, value: number): this {
    return this.u16(ATTRIBUTE_HEADER_BYTES + 4)
      .u16(type)
      .u32(value);
  }

  /** Writes the length; how many bytes to send. */
  finish(): number {
    this.view.setUint32(0, this.n, LITTLE_ENDIAN);
    return this.n;
  }

  private take(n: number): number {
    const at = this.n;
    if (at + n > this.bytes.length) throw new RangeError("netlink: the request is too long");
    this.n = at + n;
    return at;
  }
}

/** Steps through the messages of a datagram. */
export class MessageReader {
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private next = 0;
  private readonly end: number;
  type = 0;
  flags = 0;
  seq = 0;
  /** Payload. */
  at = 0;
  payloadEnd = 0;

  /** `n`: how many of the bytes were received. */
  constructor(bytes: Uint8Array, n: number) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = Math.min(n, bytes.length);
  }

  /** Goes to the next message; false when there is none, or what follows is none. */
  step(): boolean {
    const at = this.next;
    if (this.end - at < MESSAGE_HEADER_BYTES) return false;
    const length = this.view.getUint32(at, LITTLE_ENDIAN);
    if (length < MESSAGE_HEADER_BYTES || length > this.end - at) return false;
    this.type = this.view.getUint16(at + 4, LITTLE_ENDIAN);
    this.flags = this.view.getUint16(at + 6, LITTLE_ENDIAN);
    this.seq = this.view.getUint32(at + 8, LITTLE_ENDIAN);
    this.at = at + MESSAGE_HEADER_BYTES;
    this.payloadEnd = at + length;
    this.next = at + padded(length);
    return true;
  }

  /** Of an ERROR: the error number, positive; 0 is an acknowledgement. */
  get errno(): number {
    if (this.payloadEnd - this.at < 4) return 0;
    return Math.abs(this.view.getInt32(this.at, LITTLE_ENDIAN));
  }
}

/** Steps through attributes between two places. */
export class AttributeReader {
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private next: number;
  private readonly limit: number;
  type = 0;
  /** The value. */
  at = 0;
  end = 0;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.next = at;
    this.limit = Math.min(end, bytes.length);
  }

  step(): boolean {
    const at = this.next;
    if (this.limit - at < ATTRIBUTE_HEADER_BYTES) return false;
    const length = this.view.getUint16(at, LITTLE_ENDIAN);
    if (length < ATTRIBUTE_HEADER_BYTES || length > this.limit - at) return false;
    this.type = this.view.getUint16(at + 2, LITTLE_ENDIAN) & ~ATTRIBUTE_FLAGS;
    this.at = at + ATTRIBUTE_HEADER_BYTES;
    this.end = at + length;
    this.next = at + padded(length);
    return true;
  }

  get lengthBytes(): number {
    return this.end - this.at;
  }

  /** The value as a number, `otherwise` when it is too short for one. */
  u32(otherwise: number): number {
    return this.lengthBytes < 4 ? otherwise : this.view.getUint32(this.at, LITTLE_ENDIAN);
  }

  /** Up to the first zero byte. */
  text(): string {
    const value = this.bytes.subarray(this.at, this.end);
    const zero = value.indexOf(0);
    return new TextDecoder().decode(zero < 0 ? value : value.subarray(0, zero));
  }

  /** A copy of the value. */
  copy(): Uint8Array {
    return this.bytes.slice(this.at, this.end);
  }
}
