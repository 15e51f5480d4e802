/**
 * What a NIC knows of a received frame beside its bytes: hash, time of arrival, and the VLAN tag that
 * it has taken out (Documentation/networking/xdp-rx-metadata.rst). Only the program on the interface
 * can ask for it, by functions of the kernel; it leaves the answers in front of the frame, where the
 * kernel copies them into the slot.
 *
 *     | known | hash | time low | time high | tag's type, in network order | tag |  frame …
 *
 * `known` starts with a mark, because nothing else says that the words are there; the driver clears it
 * in slots that it posts.
 */
import type { Assembler } from "../ebpf/asm.js";
import { R0, R1, R2, R3, R6, R7, R8, R10 } from "../ebpf/registers.js";
import type { Pool } from "../ring/pool.js";
import { kernelFunctionIds } from "../sys/kernel-functions.js";
import { DATA_AT, DATA_META_AT } from "./xdp-context.js";

/** Bytes in front of the frame. */
export const RX_METADATA_BYTES = 20;
const KNOWN = 0;
const HASH = 4;
const TIME = 8;
const TAG_TYPE = 16;
const TAG = 18;

/** The upper half of `known`. */
const MARK = 0x4d52 << 16;
const Known = { HASH: 1, TIME: 2, TAG: 4 } as const;

const ADDRESS_BYTES = 6;
const TAG_BYTES = 4;

/** Places on the program's stack. */
const STACK_KNOWN = -4;
const STACK_HASH = -8;
const STACK_HASH_TYPE = -12;
const STACK_TIME = -24;
const STACK_TAG_TYPE = -26;
const STACK_TAG = -28;

const HASH_FUNCTION = "bpf_xdp_metadata_rx_hash";
const TIME_FUNCTION = "bpf_xdp_metadata_rx_timestamp";
const TAG_FUNCTION = "bpf_xdp_metadata_rx_vlan_tag";

/** Numbers of the kernel's functions; 0 for those that it lacks. */
export interface MetadataFunctions {
  readonly hash: number;
  readonly time: number;
  readonly tag: number;
}

/** Null when this kernel has none (Linux 6.3 on). */
export function metadataFunctions(): MetadataFunctions | null {
  const ids = kernelFunctionIds([HASH_FUNCTION, TIME_FUNCTION, TAG_FUNCTION]);
  if (ids.size === 0) return null;
  const id = (name: string): number => ids.get(name) ?? 0;
  return { hash: id(HASH_FUNCTION), time: id(TIME_FUNCTION), tag: id(TAG_FUNCTION) };
}

/** Code that fills the words in; r6 is the context. The frame passes without them when it must. */
export function emitRxMetadata(a: Assembler, functions: MetadataFunctions): void {
  a.store("u64", R10, STACK_HASH, 0);
  a.store("u64", R10, STACK_TIME + 8, 0);
  a.store("u64", R10, STACK_TIME, 0);
  a.store("u64", R10, STACK_TAG - 4, 0);
  a.mov(R8, MARK);
  emitQuestion(a, functions.hash, Known.HASH, STACK_HASH, STACK_HASH_TYPE);
  emitQuestion(a, functions.time, Known.TIME, STACK_TIME, null);
  emitQuestion(a, functions.tag, Known.TAG, STACK_TAG_TYPE, STACK_TAG);
  a.store("u32", R10, STACK_KNOWN, R8);
  a.mov(R1, R6);
  a.mov(R2, -RX_METADATA_BYTES);
  a.call("xdp_adjust_meta");
  a.jumpIf(R0, "!=", 0, "noMetadata");
  a.load("u32", R7, R6, DATA_META_AT);
  a.load("u32", R8, R6, DATA_AT);
  a.mov(R1, R7);
  a.add(R1, RX_METADATA_BYTES);
  a.jumpIf(R1, ">", R8, "noMetadata");
  for (const [from, to] of [
    [STACK_KNOWN, KNOWN],
    [STACK_HASH, HASH],
    [STACK_TIME, TIME],
    [STACK_TIME + 4, TIME + 4],
  ] as const) {
    a.load("u32", R1, R10, from);
    a.store("u32", R7, to, R1);
  }
  a.load("u16", R1, R10, STACK_TAG_TYPE);
  a.store("u16", R7, TAG_TYPE, R1);
  a.load("u16", R1, R10, STACK_TAG);
  a.store("u16", R7, TAG, R1);
  a.label("noMetadata");
}

/** Calls function(context, first, second) and adds `bit` to r8 when it knows. */
function emitQuestion(
  a: Assembler,
  functionId: number,
  bit: number,
  first: number,
  second: number | null,
): void {
  if (functionId === 0) return;
  const unknown = a.freshLabel("unknown");
  a.mov(R1, R6);
  a.mov(R2, R10);
  a.add(R2, first);
  if (second !== null) {
    a.mov(R3, R10);
    a.add(R3, second);
  }
  a.callBtf(functionId);
  a.jumpIf32(R0, "!=", 0, unknown);
  a.or(R8, bit);
  a.label(unknown);
}

/** What the NIC said of the frames in small slots, by slot; 0 where it said nothing. */
export class RxMetadata {
  /** Receive hash of the NIC. */
  readonly hash: Int32Array;
  /** Time of arrival in nanoseconds of the NIC's clock: halves of a 64-bit number, low and high. */
  readonly timeNs: Int32Array;

  constructor(smallSlots: number) {
    this.hash = new Int32Array(smallSlots);
    this.timeNs = new Int32Array(smallSlots * 2);
  }

  /** The time of arrival as one number, for who needs it seldom; 0n when the NIC does not say. */
  timeOf(slot: number): bigint {
    const low = BigInt(this.timeNs[slot * 2]! >>> 0);
    return (BigInt(this.timeNs[slot * 2 + 1]!) << 32n) | low;
  }

  /** Hot path. Before a slot is posted: what lies in front of where a frame will begin is no metadata. */
  forget(pool: Pool, frameAt: number): void {
    pool.view.setInt32(frameAt - RX_METADATA_BYTES + KNOWN, 0, true);
  }

  /**
   * Hot path. Reads what lies in front of the frame at `at`; where the frame begins now: 4 bytes
   * earlier when a tag was put back.
   */
  read(pool: Pool, slot: number, at: number): number {
    const { view, bytes } = pool;
    const from = at - RX_METADATA_BYTES;
    const known = view.getInt32(from + KNOWN, true);
    const isThere = (known & 0xffff0000) === MARK;
    this.hash[slot] = isThere && (known & Known.HASH) !== 0 ? view.getInt32(from + HASH, true) : 0;
    const hasTime = isThere && (known & Known.TIME) !== 0;
    this.timeNs[slot * 2] = hasTime ? view.getInt32(from + TIME, true) : 0;
    this.timeNs[slot * 2 + 1] = hasTime ? view.getInt32(from + TIME + 4, true) : 0;
    if (!isThere || (known & Known.TAG) === 0) return at;
    const type = view.getUint16(from + TAG_TYPE, false);
    const tag = view.getUint16(from + TAG, true);
    bytes.copyWithin(at - TAG_BYTES, at, at + 2 * ADDRESS_BYTES);
    view.setUint16(at - TAG_BYTES + 2 * ADDRESS_BYTES, type, false);
    view.setUint16(at - TAG_BYTES + 2 * ADDRESS_BYTES + 2, tag, false);
    return at - TAG_BYTES;
  }
}
