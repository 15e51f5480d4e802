/**
 * memif's control messages, protocol version 2: 128 bytes each over a Unix SOCK_SEQPACKET socket,
 * little-endian, packed. The client owns the memory, the server maps it.
 *
 * | type           | way | at 2: fields (bytes)                                                      |
 * |----------------|-----|---------------------------------------------------------------------------|
 * | 1 ack          | S→C |                                                                           |
 * | 2 hello        | S→C | name 32, min version 2, max version 2, last region 2, last S2C ring 2, last C2S ring 2, log2 of ring size 1 |
 * | 3 init         | C→S | version 2, id 4, mode 1, secret 24, name 32                               |
 * | 4 add region   | C→S | index 2, size 8; with the memory's descriptor                             |
 * | 5 add ring     | C→S | flags 2, index 2, region 2, offset 4, log2 of size 1, private header 2; with its event's descriptor |
 * | 6 connect      | C→S | interface name 32                                                         |
 * | 7 connected    | S→C | interface name 32                                                         |
 * | 8 disconnect   | both| code 4, reason 96                                                         |
 *
 * Millrace's extension: the last 8 bytes of the name in `hello` and `init`, behind the zero that ends
 * it, hold `MRX1` and 32 bits of {@link Feature}. Others end the name at its zero and see nothing.
 */

export const MESSAGE_BYTES = 128;
export const VERSION = 0x0200;
/** Interface mode of `init`: whole Ethernet frames. */
export const MODE_ETHERNET = 0;
/** Bit of `addRing.flags`: the ring carries frames from client to server. */
export const RING_C2S = 1;

/** Bits of `addRing.flags` between two Millrace ends: a ring of memif-express.ts; one of big slots. */
export const RING_EXPRESS = 0x100;
export const RING_BIG = 0x200;

/** What two Millrace ends may agree on. */
export const Feature = {
  /**
   * Large segments and unmade checksums pass, described by the metadata word (memif-offload.ts). The
   * client adds, for each pair of plain rings, a pair of express rings and a ring of big slots.
   */
  OFFLOAD: 1,
} as const;

export type Message =
  | { readonly type: "ack" }
  | {
      readonly type: "hello";
      readonly name: string;
      readonly features: number;
      readonly minVersion: number;
      readonly maxVersion: number;
      readonly lastRegion: number;
      readonly lastS2c: number;
      readonly lastC2s: number;
      readonly log2RingSize: number;
    }
  | {
      readonly type: "init";
      readonly version: number;
      readonly id: number;
      readonly mode: number;
      readonly secret: string;
      readonly name: string;
      readonly features: number;
    }
  | { readonly type: "addRegion"; readonly index: number; readonly sizeBytes: number }
  | {
      readonly type: "addRing";
      readonly flags: number;
      readonly index: number;
      readonly region: number;
      readonly offset: number;
      readonly log2Size: number;
      readonly privateHeaderBytes: number;
    }
  | { readonly type: "connect"; readonly interfaceName: string }
  | { readonly type: "connected"; readonly interfaceName: string }
  | { readonly type: "disconnect"; readonly code: number; readonly reason: string };

const TYPES = [
  "none",
  "ack",
  "hello",
  "init",
  "addRegion",
  "addRing",
  "connect",
  "connected",
  "disconnect",
] as const;

const NAME_BYTES = 32;
export const SECRET_BYTES = 24;
const REASON_BYTES = 96;
/** Where in a name field the extension lies. */
const EXTENSION_AT = 24;
const EXTENSION_MAGIC = 0x3158524d; // "MRX1"

/** The bytes of a message. Texts that are too long are cut. */
export function encode(message: Message): Uint8Array {
  const b = new Uint8Array(MESSAGE_BYTES);
  const v = new DataView(b.buffer);
  v.setUint16(0, TYPES.indexOf(message.type), true);
  switch (message.type) {
    case "ack":
      break;
    case "hello":
      putName(b, 2, message.name, message.features);
      v.setUint16(34, message.minVersion, true);
      v.setUint16(36, message.maxVersion, true);
      v.setUint16(38, message.lastRegion, true);
      v.setUint16(40, message.lastS2c, true);
      v.setUint16(42, message.lastC2s, true);
      v.setUint8(44, message.log2RingSize);
      break;
    case "init":
      v.setUint16(2, message.version, true);
      v.setUint32(4, message.id, true);
      v.setUint8(8, message.mode);
      putText(b, 9, message.secret, SECRET_BYTES);
      putName(b, 33, message.name, message.features);
      break;
    case "addRegion":
      v.setUint16(2, message.index, true);
      v.setBigUint64(4, BigInt(message.sizeBytes), true);
      break;
    case "addRing":
      v.setUint16(2, message.flags, true);
      v.setUint16(4, message.index, true);
      v.setUint16(6, message.region, true);
      v.setUint32(8, message.offset, true);
      v.setUint8(12, message.log2Size);
      v.setUint16(13, message.privateHeaderBytes, true);
      break;
    case "connect":
    case "connected":
      putText(b, 2, message.interfaceName, NAME_BYTES - 1);
      break;
    case "disconnect":
      v.setUint32(2, message.code, true);
      putText(b, 6, message.reason, REASON_BYTES - 1);
      break;
  }
  return b;
}

/** The message in the bytes, or null when it is none. Its values are the peer's word. */
export function decode(b: Uint8Array): Message | null {
  if (b.length !== MESSAGE_BYTES) return null;
  const v = new DataView(b.buffer, b.byteOffset, MESSAGE_BYTES);
  const type = TYPES[v.getUint16(0, true)] ?? "none";
  switch (type) {
    case "none":
      return null;
    case "ack":
      return { type };
    case "hello":
      return {
        type,
        ...nameAt(b, 2),
        minVersion: v.getUint16(34, true),
        maxVersion: v.getUint16(36, true),
        lastRegion: v.getUint16(38, true),
        lastS2c: v.getUint16(40, true),
        lastC2s: v.getUint16(42, true),
        log2RingSize: v.getUint8(44),
      };
    case "init":
      return {
        type,
        version: v.getUint16(2, true),
        id: v.getUint32(4, true),
        mode: v.getUint8(8),
        secret: textAt(b, 9, SECRET_BYTES),
        ...nameAt(b, 33),
      };
    case "addRegion":
      return { type, index: v.getUint16(2, true), sizeBytes: Number(v.getBigUint64(4, true)) };
    case "addRing":
      return {
        type,
        flags: v.getUint16(2, true),
        index: v.getUint16(4, true),
        region: v.getUint16(6, true),
        offset: v.getUint32(8, true),
        log2Size: v.getUint8(12),
        privateHeaderBytes: v.getUint16(13, true),
      };
    case "connect":
    case "connected":
      return { type, interfaceName: textAt(b, 2, NAME_BYTES) };
    case "disconnect":
      return { type, code: v.getUint32(2, true), reason: textAt(b, 6, REASON_BYTES) };
  }
}

function putText(b: Uint8Array, at: number, text: string, roomBytes: number): void {
  b.set(Buffer.from(text, "latin1").subarray(0, roomBytes), at);
}

function textAt(b: Uint8Array, at: number, roomBytes: number): string {
  const field = b.subarray(at, at + roomBytes);
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end)).toString("latin1");
}

/** A name, and behind its zero the extension, if there is any feature to offer. */
function putName(b: Uint8Array, at: number, name: string, features: number): void {
  putText(b, at, name, features === 0 ? NAME_BYTES - 1 : EXTENSION_AT - 1);
  if (features === 0) return;
  const v = new DataView(b.buffer, at + EXTENSION_AT, 8);
  v.setUint32(0, EXTENSION_MAGIC, true);
  v.setUint32(4, features, true);
}

function nameAt(b: Uint8Array, at: number): { name: string; features: number } {
  const v = new DataView(b.buffer, b.byteOffset + at + EXTENSION_AT, 8);
  const name = textAt(b, at, NAME_BYTES);
  const isExtended = name.length < EXTENSION_AT && v.getUint32(0, true) === EXTENSION_MAGIC;
  return { name, features: isExtended ? v.getUint32(4, true) : 0 };
}
