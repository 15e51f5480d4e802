/**
 * A NIC as the stack sees it: rings plus capabilities (docs/architecture.md, principle 5).
 *
 * Frames are Ethernet frames in pool slots: `pool.at[slot]` is the destination MAC address,
 * `pool.end[slot]` the end, `pool.flags[slot]` what the device vouches for or must still do
 * (`FrameFlags`). A device gets its `Pool` when it is built; its frames are in that pool.
 *
 * Middleware (tracer, fault injector, capture, software offload) is a `Device` around a `Device`.
 * Calls are per batch, so that the polymorphism is paid once per batch.
 */
import type { Counters } from "../base/counters.js";
import type { Batch } from "../ring/batch.js";
import type { FlowFilter } from "./flow-filter.js";
import type { Lane } from "./lane.js";

/** What a device can do, as bits of `Device.capabilities`. */
export const Capability = {
  /** Transmit: completes CHECKSUM_PARTIAL frames, or passes them on as they are to who trusts us. */
  TX_CHECKSUM: 1,
  /** Transmit: takes GSO_TCP4 frames of up to `maxFrameBytes`. */
  TX_TSO4: 2,
  /** Transmit: takes GSO_TCP6 frames. */
  TX_TSO6: 4,
  /** Transmit: takes GSO_UDP frames. */
  TX_USO: 8,
  /** Receive: checks transport checksums and marks frames CHECKSUM_VALID. */
  RX_CHECKSUM: 16,
  /** Receive: may deliver coalesced frames (GSO flags set) larger than the MTU. */
  RX_COALESCE: 32,
  /** Receive: `rxTimeUs` is when the frame arrived, not when it was taken. */
  RX_TIMESTAMP: 64,
  /**
   * Transmit: neither the device nor whoever receives the frame in the same memory writes to the
   * payload or passes the slot on; the slot is given back once the bytes are not needed any more.
   * So the sender may go on using the payload: TCP sends large segments from its send queue.
   */
  TX_BORROWS: 128,
  /**
   * Transmit: who receives a frame reads its payload where it is, on another core. Whoever writes long
   * payloads may do so past the caches ({@link copyFar}).
   */
  TX_FAR: 256,
} as const;

/** The declared counters that every device has; drivers may add their own after them. */
export const DEVICE_COUNTERS = {
  rxFrames: "Frames received.",
  rxBytes: "Bytes of received frames, link header included.",
  txFrames: "Frames handed to the device and accepted.",
  txBytes: "Bytes of transmitted frames, link header included.",
  rxNoSlot: "Frames left in or lost by the device because the pool was empty.",
  txFull: "Times that the device accepted fewer frames than it was given.",
  txErrors: "Frames that the device refused or failed to send; they are lost.",
  rxErrors: "Frames or reads that failed for a reason other than an empty ring.",
} as const;
export type DeviceCounter = keyof typeof DEVICE_COUNTERS;

export interface Device {
  /** For people: `tap0`, `sim0.a`. */
  readonly name: string;
  /** `sim`, `tap`, `pcap`, or the middleware's own word. */
  readonly kind: string;
  /** Six bytes. */
  readonly mac: Uint8Array;
  /** Largest IP packet that the link carries; GSO frames may be larger. */
  readonly mtuBytes: number;
  /** Bits of {@link Capability}. */
  readonly capabilities: number;
  readonly counters: Counters<DeviceCounter>;
  /** False while the link is down; frames given to it are lost and counted. */
  readonly isUp: boolean;
  /**
   * A descriptor that polls readable when `receive` would return frames, or -1 when there is none
   * (the device then has deadlines, or must be polled).
   */
  readonly wakeFd: number;
  /**
   * Set when the device shares its interface with the kernel and receives claimed flows only; an
   * owned device has none and receives everything.
   */
  readonly filter?: FlowFilter | undefined;

  /**
   * Set by a host that usually reads what has come before it takes more: payload of long TCP segments may
   * then be left where the peer has put it until the next `receive` (`Pool.away`). Few devices have it.
   */
  leavesPayload?: boolean;

  /** Where short frames may be written at once; null while that is not possible. Few devices have it. */
  readonly lane?: Lane | null;

  /** Hot path. Appends received frames to the batch while it has room; the caller owns them. */
  receive(nowUs: number, batch: Batch): void;

  /**
   * Hot path. Takes the first n frames of the batch and returns n; the rest stay the caller's. May
   * buffer until `flush`.
   */
  transmit(nowUs: number, batch: Batch): number;

  /** Hot path. Sends whatever `transmit` buffered; called once per turn. */
  flush(nowUs: number): void;

  /** When `receive` may have something without a wake of `wakeFd`: virtual links have delays. */
  nextDeadlineUs(): number;

  /**
   * The host is about to sleep until `wakeFd` is readable: the device sees to it that frames make it
   * so from now on. False when a frame has come already, and the host should take another turn. Only
   * devices have it that need to know.
   */
  prepareSleep?(): boolean;

  /** Releases everything, slots included. Idempotent. */
  close(): void;
}
