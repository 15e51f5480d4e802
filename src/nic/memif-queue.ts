/**
 * A pair of memif rings, one each way, as a device sees it: `memif-client-queue.ts` and
 * `memif-server-queue.ts` are the two kinds. And what both share: places in slots, counters, and
 * waking the peer.
 */
import type { Counters } from "../base/counters.js";
import type { Batch } from "../ring/batch.js";
import { BIG_SLOT_BYTES, type Pool, SMALL_SLOT_BYTES } from "../ring/pool.js";
import { wakeByEvent } from "../sys/fd.js";
import type { DeviceTally } from "./device-tally.js";
import type { Lane } from "./lane.js";
import type { MemifRing } from "./memif-ring.js";
import { Count, type MemifCounter } from "./memif-tally.js";

/**
 * Where a received frame starts in its slot: the IP header is then 16-byte aligned, and there is
 * room before the frame to put a tunnel's headers when it is passed on.
 */
export const RX_FRAME_OFFSET = 66;
export const SMALL_ROOM_BYTES = SMALL_SLOT_BYTES - RX_FRAME_OFFSET;
export const BIG_ROOM_BYTES = BIG_SLOT_BYTES - RX_FRAME_OFFSET;
/** The shortest frame: an Ethernet header. */
export const MIN_FRAME_BYTES = 14;
/** Descriptors of one frame at most: 64 KiB in the smallest buffers that make sense. */
export const MAX_CHAIN = 64;

/** The client's region that the pool's slots are; the rings are in region 0. */
export const FRAMES_REGION = 1;
/** First word of a descriptor of a slot. */
export const FRAMES_WORD: number = FRAMES_REGION << 16;

/** What the queues of a device share. */
export interface QueueContext {
  readonly pool: Pool;
  readonly tally: DeviceTally;
  readonly counters: Counters<MemifCounter>;
  /** See `Device.leavesPayload`. */
  leavesPayload: boolean;
}

export interface QueuePair {
  /** The peer published an index that cannot be: nothing more passes, and the link is to end. */
  readonly isBroken: boolean;
  /** For short frames, or null. */
  readonly lane: Lane | null;
  /** Hot path. Appends frames while the batch has room. */
  receive(nowUs: number, batch: Batch): void;
  /** Hot path. Takes the first frames of `batch.slots[from, to)`; how many. */
  transmit(batch: Batch, from: number, to: number): number;
  /** Asks the peer for an event with the next frame, or no longer. */
  setMask(isMasked: boolean): void;
  /** Whether a frame waits: to be looked at after asking for events. */
  readonly hasFrames: boolean;
  /** Readable when the peer has sent an event. */
  readonly eventFd: number;
  /** The link has come up: the peer looks at the rings from now on. */
  start(): void;
  /** Gives every slot back; how many frames were on their way. */
  close(): number;
}

/** Hot path. Wakes the peer if it asked for it. After the index was stored. */
export function notify(ring: MemifRing, fd: number, counters: Counters<MemifCounter>): void {
  if (!ring.wantsEvent || fd < 0) return;
  counters.add(Count.EVENTS, 1);
  wakeByEvent(fd);
}
