/**
 * VLAN tag, IEEE 802.1Q clause 9.6, as it stands between an Ethernet header's source and type.
 *
 * +----------------+-----+---+------------+
 * |  TPID (16)     |PCP 3|DEI| VLAN id 12 |
 * +----------------+-----+---+------------+
 *
 * `at` is where the TPID starts; {@link "./ethernet.js".check} has seen that the tag is whole.
 */
import type { Bytes } from "../base/bytes.js";
import { put16, u16 } from "../base/bytes.js";
import { SRC, TYPE } from "./ethernet.js";

export const TAG_BYTES = 4;
/** Priority-tagged frames carry id 0: they belong to no VLAN. */
export const ID_NONE = 0;
/** Id 4095 is reserved. */
export const ID_MAX = 4094;

export const tpid = (b: Bytes, at: number): number => u16(b, at);
/** The 16 bits after the TPID: priority, drop eligibility, id. */
export const control = (b: Bytes, at: number): number => u16(b, at + 2);
export const priority = (b: Bytes, at: number): number => u16(b, at + 2) >>> 13;
export const dropEligible = (b: Bytes, at: number): boolean => (u16(b, at + 2) & 0x1000) !== 0;
export const id = (b: Bytes, at: number): number => u16(b, at + 2) & 0x0fff;

export function write(b: Bytes, at: number, tpid: number, priority: number, id: number): void {
  put16(b, at, tpid);
  put16(b, at + 2, (priority << 13) | (id & 0x0fff));
}

/**
 * Makes room for a tag by moving the two addresses four bytes to the front: the frame then starts
 * at `at - 4`, which is returned. Precondition: four free bytes before `at`. The tag is unwritten.
 */
export function open(b: Bytes, at: number): number {
  b.copyWithin(at - TAG_BYTES, at, at + TYPE);
  return at - TAG_BYTES;
}

/** Takes the outermost tag off by moving the addresses back; returns the frame's new start. */
export function strip(b: Bytes, at: number): number {
  b.copyWithin(at + TAG_BYTES, at, at + TYPE);
  return at + TAG_BYTES;
}

/** Offset of tag `n` (0 is the outermost) in a frame that starts at `at`. */
export const tagAt = (at: number, n: number): number => at + SRC + 6 + n * TAG_BYTES;
