/**
 * What TCP needs of a packet pool: slots that hold bytes, and the metadata columns that it uses.
 * `ring/pool.ts` satisfies it; TCP does not import it, so that it runs in a table test.
 *
 * The receive queue is a list of slots linked through `next`, each holding the bytes from `at[slot]`
 * to `end[slot]` of the shared buffer. The send queue has columns of its own (send-queue.ts). Who
 * holds a slot number owns its bytes.
 */
export interface Slots {
  readonly bytes: Uint8Array;
  /** The same bytes, for whole words. */
  readonly view: DataView;
  readonly next: Int32Array;
  readonly at: Int32Array;
  readonly end: Int32Array;
  /** Sequence number of the first payload byte. */
  readonly seq: Int32Array;
  /** The send queue's own: next slot of it, and end of the bytes. */
  readonly sendNext: Int32Array;
  readonly sendEnd: Int32Array;
  /** Holders besides the first: not 0 while a frame that was sent from the slot itself is about. */
  readonly sharers: Int32Array;
  /**
   * How far away the payload lies that came with this slot, until it is taken or {@link land}ed; 0 for
   * nearly all. Nothing is written behind the end of such a slot.
   */
  readonly away: Int32Array;
  /** `FrameFlags` of ring/pool.ts; the same numbers are in segment-flags.ts. */
  readonly flags: Int32Array;
  readonly gsoBytes: Int32Array;
  readonly csumStart: Int32Array;
  readonly csumOffset: Int32Array;
  readonly l4At: Int32Array;
  /** Slots of each size that there are, and that are free now. */
  readonly smallSlots: number;
  readonly bigSlots: number;
  readonly freeSmall: number;
  readonly freeBig: number;
  /** A small slot, or -1. */
  take(): number;
  /** A slot for up to 64 KiB, or -1. */
  takeBig(): number;
  /** Adds a holder, who gives the slot too. */
  share(slot: number): void;
  give(slot: number): void;
  giveList(first: number): void;
  /** Copies the payload that is away into the slot. */
  land(slot: number): void;
  isBig(slot: number): boolean;
  /** Offset of the slot's first byte, and after its last. */
  base(slot: number): number;
  limit(slot: number): number;
  /** Payload bytes that fit behind the headroom. */
  roomBytes(slot: number): number;
}
