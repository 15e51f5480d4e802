/**
 * Frames that a host sends to itself: what is sent to own addresses (through the interface `lo`),
 * and copies of broadcasts and multicasts for own members. They are never split and their checksums
 * never made: they do not leave memory.
 *
 * `pool.ifIndex` says on which interface the frame counts as received; LOOPED says where it is from.
 */
import { Counters } from "../base/counters.js";
import { NEVER } from "../base/time.js";
import { Capability, DEVICE_COUNTERS, type Device, type DeviceCounter } from "../nic/device.js";
import { BATCH_FRAMES, type Batch } from "../ring/batch.js";
import { FrameFlags, NO_SLOT, type Pool } from "../ring/pool.js";

export const LOOPBACK_MTU_BYTES = 65_536;
/** Frames that wait at most; beyond it `transmit` refuses and `loop` fails. */
const LIMIT_FRAMES = 4096;

export class LoopbackDevice implements Device {
  readonly name = "lo";
  readonly kind = "loopback";
  readonly mac: Uint8Array = new Uint8Array(6);
  readonly mtuBytes = LOOPBACK_MTU_BYTES;
  readonly capabilities: number =
    Capability.TX_CHECKSUM |
    Capability.TX_TSO4 |
    Capability.TX_TSO6 |
    Capability.TX_USO |
    Capability.RX_CHECKSUM |
    Capability.RX_COALESCE;
  readonly counters: Counters<DeviceCounter> = new Counters("lo", DEVICE_COUNTERS);
  readonly isUp = true;
  readonly wakeFd = -1;
  private readonly pool: Pool;
  private readonly ifIndex: number;
  private first = NO_SLOT;
  private last = NO_SLOT;
  /** Frames that wait to be received. */
  waiting = 0;
  /** Places in the line, wrapping: of the frame that came last into it, and of the one that left it last. */
  lastIn = 0;
  lastOut = 0;
  private readonly txFrames = this.counters.index("txFrames");
  private readonly txBytes = this.counters.index("txBytes");
  private readonly rxFrames = this.counters.index("rxFrames");
  private readonly rxBytes = this.counters.index("rxBytes");

  constructor(pool: Pool, ifIndex: number) {
    this.pool = pool;
    this.ifIndex = ifIndex;
  }

  /** Hot path. */
  transmit(_nowUs: number, batch: Batch): number {
    for (let i = 0; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      if (!this.loop(slot, this.ifIndex)) return i;
      this.counters.add(this.txFrames, 1);
      this.counters.add(this.txBytes, this.pool.end[slot]! - this.pool.at[slot]!);
    }
    return batch.n;
  }

  /** Hot path. Queues a frame to be received on interface `ifIndex`; false (slot kept) when full. */
  loop(slot: number, ifIndex: number): boolean {
    if (this.waiting === LIMIT_FRAMES) return false;
    const pool = this.pool;
    pool.flags[slot] = pool.flags[slot]! | FrameFlags.LOOPED;
    pool.ifIndex[slot] = ifIndex;
    pool.next[slot] = NO_SLOT;
    if (this.last === NO_SLOT) this.first = slot;
    else pool.next[this.last] = slot;
    this.last = slot;
    this.waiting++;
    this.lastIn = (this.lastIn + 1) | 0;
    return true;
  }

  /** Hot path. */
  receive(nowUs: number, batch: Batch): void {
    while (this.waiting > 0 && batch.n < BATCH_FRAMES) {
      const slot = this.first;
      this.first = this.pool.next[slot]!;
      if (this.first === NO_SLOT) this.last = NO_SLOT;
      this.waiting--;
      this.lastOut = (this.lastOut + 1) | 0;
      this.pool.rxTimeUs[slot] = nowUs;
      this.counters.add(this.rxFrames, 1);
      this.counters.add(this.rxBytes, this.pool.end[slot]! - this.pool.at[slot]!);
      batch.put(slot);
    }
  }

  flush(): void {}

  nextDeadlineUs(): number {
    return this.waiting > 0 ? 0 : NEVER;
  }

  close(): void {
    this.pool.giveList(this.first);
    this.first = NO_SLOT;
    this.last = NO_SLOT;
    this.waiting = 0;
  }
}
