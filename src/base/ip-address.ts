/**
 * An IPv4 or IPv6 address as four int32 words, most significant first. IPv4 addresses are held in
 * their IPv4-mapped form, ::ffff:a.b.c.d (RFC 4291 §2.5.5.2), so that every table has one key
 * shape and a dual-stack socket needs no second path.
 *
 * Objects are mutable so that the data path can reuse one as scratch (`set`); whoever keeps an
 * address keeps a `copy()`. Parsing and formatting are for the edges.
 */
import type { Bytes } from "./bytes.js";
import { i32, put32 } from "./bytes.js";

const MAPPED = 0x0000ffff;

export class IpAddress {
  w0: number;
  w1: number;
  w2: number;
  w3: number;

  constructor(w0 = 0, w1 = 0, w2 = 0, w3 = 0) {
    this.w0 = w0 | 0;
    this.w1 = w1 | 0;
    this.w2 = w2 | 0;
    this.w3 = w3 | 0;
  }

  /** Parses `10.0.0.1`, `fd00::1`, `::ffff:10.0.0.1` (an IPv4 address). Throws `TypeError`. */
  static parse(text: string): IpAddress {
    const a = IpAddress.tryParse(text);
    if (a === null)
      throw new TypeError(`expected an IPv4 or IPv6 address, got ${JSON.stringify(text)}`);
    return a;
  }

  /** As {@link parse}, but null when the text is no address. Zone suffixes (`%eth0`) are refused. */
  static tryParse(text: string): IpAddress | null {
    return text.includes(":") ? parse6(text) : parse4(text);
  }

  static v4(word: number): IpAddress {
    return new IpAddress(0, 0, MAPPED, word);
  }

  /** Hot path. */
  set(w0: number, w1: number, w2: number, w3: number): void {
    this.w0 = w0;
    this.w1 = w1;
    this.w2 = w2;
    this.w3 = w3;
  }

  /** Hot path. */
  setFrom(other: IpAddress): void {
    this.w0 = other.w0;
    this.w1 = other.w1;
    this.w2 = other.w2;
    this.w3 = other.w3;
  }

  /** Hot path. Reads the four bytes of an IPv4 address. */
  read4(b: Bytes, at: number): void {
    this.w0 = 0;
    this.w1 = 0;
    this.w2 = MAPPED;
    this.w3 = i32(b, at);
  }

  /** Hot path. Reads the sixteen bytes of an IPv6 address. */
  read6(b: Bytes, at: number): void {
    this.w0 = i32(b, at);
    this.w1 = i32(b, at + 4);
    this.w2 = i32(b, at + 8);
    this.w3 = i32(b, at + 12);
  }

  /** Hot path. Precondition: `isV4`. */
  write4(b: Bytes, at: number): void {
    put32(b, at, this.w3);
  }

  /** Hot path. Writes all sixteen bytes. */
  write6(b: Bytes, at: number): void {
    put32(b, at, this.w0);
    put32(b, at + 4, this.w1);
    put32(b, at + 8, this.w2);
    put32(b, at + 12, this.w3);
  }

  copy(): IpAddress {
    return new IpAddress(this.w0, this.w1, this.w2, this.w3);
  }

  /** Hot path. */
  equals(o: IpAddress): boolean {
    return this.w3 === o.w3 && this.w2 === o.w2 && this.w1 === o.w1 && this.w0 === o.w0;
  }

  /** Hot path. IPv4, in the mapped form. */
  get isV4(): boolean {
    return this.w2 === MAPPED && this.w1 === 0 && this.w0 === 0;
  }

  /** Hot path. `0.0.0.0` or `::`. */
  get isUnspecified(): boolean {
    return this.w3 === 0 && this.w0 === 0 && this.w1 === 0 && (this.w2 === 0 || this.w2 === MAPPED);
  }

  /** Hot path. 224.0.0.0/4 (RFC 1112 §4) or ff00::/8 (RFC 4291 §2.7). */
  get isMulticast(): boolean {
    return this.isV4 ? this.w3 >>> 28 === 0xe : this.w0 >>> 24 === 0xff;
  }

  /** Hot path. 255.255.255.255 (RFC 919 §7); subnet broadcasts need the interface's prefix. */
  get isLimitedBroadcast(): boolean {
    return this.w3 === -1 && this.isV4;
  }

  /** Hot path. 127.0.0.0/8 (RFC 1122 §3.2.1.3) or ::1. */
  get isLoopback(): boolean {
    if (this.isV4) return this.w3 >>> 24 === 127;
    return this.w3 === 1 && this.w2 === 0 && this.w1 === 0 && this.w0 === 0;
  }

  /** Hot path. fe80::/10 (RFC 4291 §2.5.6) or 169.254.0.0/16 (RFC 3927). */
  get isLinkLocal(): boolean {
    if (this.isV4) return this.w3 >>> 16 === 0xa9fe;
    return this.w0 >>> 22 === 0x3fa;
  }

  /** Canonical text: dotted quad for IPv4, RFC 5952 for IPv6. */
  toString(): string {
    return this.isV4 ? format4(this.w3) : format6(this);
  }

  toJSON(): string {
    return this.toString();
  }
}

/** `::`, which a dual-stack wildcard is; never modify it. */
export const ANY6: IpAddress = new IpAddress();
/** `0.0.0.0` in the mapped form; never modify it. */
export const ANY4: IpAddress = IpAddress.v4(0);

function parse4(text: string): IpAddress | null {
  const word = parseQuad(text);
  return word === null ? null : IpAddress.v4(word);
}

/** Exactly four decimal numbers of 0 to 255 without leading zeros; the older forms are refused. */
function parseQuad(text: string): number | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let word = 0;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null;
    word = (word << 8) | Number(part);
  }
  return word | 0;
}

function parse6(text: string): IpAddress | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = groups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1]!, true) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const g = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const word = (i: number): number => (g[i]! << 16) | g[i + 1]!;
  return new IpAddress(word(0), word(2), word(4), word(6));
}

/** The 16-bit groups of one side of `::`; the last may be a dotted quad when `quadAllowed`. */
function groups(text: string, quadAllowed: boolean): number[] | null {
  if (text === "") return [];
  const out: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (quadAllowed && i === parts.length - 1 && part.includes(".")) {
      const quad = parseQuad(part);
      if (quad === null) return null;
      out.push(quad >>> 16, quad & 0xffff);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      out.push(Number.parseInt(part, 16));
    } else {
      return null;
    }
  }
  return out;
}

function format4(w: number): string {
  return `${w >>> 24}.${(w >>> 16) & 255}.${(w >>> 8) & 255}.${w & 255}`;
}

/** RFC 5952 §4: lower case, no leading zeros, the longest run of two or more zero groups as `::`. */
function format6(a: IpAddress): string {
  const g = [a.w0, a.w1, a.w2, a.w3].flatMap((w) => [w >>> 16, w & 0xffff]);
  let bestAt = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && g[i + n] === 0) n++;
    if (n > bestLength) {
      bestAt = i;
      bestLength = n;
    }
  }
  const hex = (part: number[]): string => part.map((v) => v.toString(16)).join(":");
  if (bestAt < 0) return hex(g);
  return `${hex(g.slice(0, bestAt))}::${hex(g.slice(bestAt + bestLength))}`;
}
