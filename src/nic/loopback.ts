/**
 * A device that receives what it transmits: a host's traffic to itself.
 *
 * Frames are not touched: unmade checksums and unsplit segments come back as they went, marked
 * LOOPED. What does not fit into its ring stays the sender's.
 */
import type { Counters } from "../base/counters.js";
import { NEVER } from "../base/time.js";
import { BATCH_FRAMES, type Batch } from "../ring/batch.js";
import { FrameRing } from "../ring/frame-ring.js";
import { FrameFlags, type Pool } from "../ring/pool.js";
import { Capability, type Device, type DeviceCounter } from "./device.js";
import { DeviceTally } from "./device-tally.js";
import { setLinkFlags } from "./frame-slots.js";

/** As Linux's `lo`. */
const MTU_BYTES = 65_536;
const RING_FRAMES = 1_024;

export class Loopback implements Device {
  readonly kind = "loopback";
  readonly name: string;
  readonly mac = new Uint8Array(6);
  readonly mtuBytes = MTU_BYTES;
  readonly capabilities: number =
    Capability.TX_CHECKSUM |
    Capability.TX_TSO4 |
    Capability.TX_TSO6 |
    Capability.TX_USO |
    Capability.RX_COALESCE;
  readonly isUp = true;
  readonly wakeFd = -1;
  private readonly pool: Pool;
  private readonly ring = new FrameRing(RING_FRAMES);
  private readonly tally: DeviceTally;

  constructor(pool: Pool, name = "lo") {
    this.pool = pool;
    this.name = name;
    this.tally = new DeviceTally(name);
  }

  get counters(): Counters<DeviceCounter> {
    return this.tally.counters;
  }

  receive(nowUs: number, batch: Batch): void {
    const pool = this.pool;
    while (batch.n < BATCH_FRAMES && this.ring.ready > 0) {
      const slot = this.ring.slotAt(0);
      this.ring.take(1);
      pool.rxTimeUs[slot] = nowUs;
      this.tally.received(pool.end[slot]! - pool.at[slot]!);
      batch.put(slot);
    }
  }

  transmit(_nowUs: number, batch: Batch): number {
    const pool = this.pool;
    for (let i = 0; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      if (!this.ring.put(slot)) {
        this.tally.txFull();
        return i;
      }
      pool.flags[slot] = pool.flags[slot]! | FrameFlags.LOOPED;
      setLinkFlags(pool, slot);
      this.tally.sent(pool.end[slot]! - pool.at[slot]!);
    }
    return batch.n;
  }

  flush(): void {}

  nextDeadlineUs(): number {
    return this.ring.ready > 0 ? 0 : NEVER;
  }

  close(): void {
    for (let i = 0; i < this.ring.ready; i++) this.pool.give(this.ring.slotAt(i));
    this.ring.take(this.ring.ready);
  }
}
