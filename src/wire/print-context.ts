/**
 * What the printers of the single protocols share: the packet's bytes, the options, the numbers of
 * TCP connections, and small texts.
 *
 * A printer is a function `(c, at, lengthBytes, …)` that returns text. `lengthBytes` is what the
 * layer below promises from `at` on; `c.end` is where the captured bytes end, which may be earlier
 * (a capture that cuts packets) and is never later than the packet. A printer reads only bytes that
 * `c.has` allows and never throws: this is for people who look at broken packets.
 */
import type { Bytes } from "../base/bytes.js";
import { IpAddress } from "../base/ip-address.js";
import type { SequenceBook } from "./print-tcp-sequence.js";

export interface PrintOptions {
  /** Header fields that are usually left out, and whether checksums are right. */
  readonly verbose: boolean;
  /** Protocol and length only. */
  readonly quiet: boolean;
  /** The link-level header. */
  readonly linkHeader: boolean;
  /** TCP sequence numbers as they are, not counted from the connection's start. */
  readonly absoluteSequence: boolean;
}

/** Packets inside packets are followed this far; hostile ones nest without end. */
export const MAX_DEPTH = 8;

export interface PrintContext {
  b: Bytes;
  end: number;
  readonly options: PrintOptions;
  readonly sequences: SequenceBook;
  /** How many IP headers have been opened. */
  depth: number;
  /** Where the current IP header begins, for pseudo-headers. */
  ipAt: number;
  /** IP version of that header, 4 or 6. */
  family: number;
  /** Only a part of the transport's packet is there, so its checksum says nothing. */
  isFragment: boolean;
}

/** Whether `n` bytes at `at` were captured. */
export function has(c: PrintContext, at: number, n: number): boolean {
  return at + n <= c.end;
}

/** The mark for a packet whose captured bytes end within the header of `protocol`. */
export const cut = (protocol: string): string => `[|${protocol}]`;

const scratch = new IpAddress();

/** Precondition: four bytes are there. */
export function address4(b: Bytes, at: number): string {
  scratch.read4(b, at);
  return scratch.toString();
}

/** Precondition: sixteen bytes are there. An IPv4-mapped address keeps its IPv6 form. */
export function address6(b: Bytes, at: number): string {
  scratch.read6(b, at);
  return scratch.isV4 ? `::ffff:${scratch.toString()}` : scratch.toString();
}

/** `n` as hexadecimal digits, at least `digits` of them. */
export const hex = (n: number, digits: number): string =>
  (n >>> 0).toString(16).padStart(digits, "0");

/** Names of the bits that are set, joined; `none` when there are none. */
export function flagNames(
  value: number,
  names: readonly (readonly [bit: number, name: string])[],
  separator: string,
): string {
  const set = names.filter(([bit]) => (value & bit) !== 0).map(([, name]) => name);
  return set.length === 0 ? "none" : set.join(separator);
}

/** A time span of whole seconds as `51m12s`. */
export function span(seconds: number): string {
  const units: [string, number][] = [
    ["w", 604_800],
    ["d", 86_400],
    ["h", 3600],
    ["m", 60],
    ["s", 1],
  ];
  let text = "";
  for (const [name, unit] of units) {
    const n = Math.floor(seconds / unit);
    seconds -= n * unit;
    if (n > 0) text += `${n}${name}`;
  }
  return text === "" ? "0s" : text;
}
