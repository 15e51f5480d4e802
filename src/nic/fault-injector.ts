/**
 * A bad network around a device: loss, duplication, reordering, corruption, delay, limited rate;
 * each direction by itself, from a seed, so that a run can be repeated.
 *
 * Faults are per wire packet: large segments are split first, in both directions, and frames are
 * never joined behind it. Frames that wait keep their slots: the pool must hold rate times delay.
 */
import { Random } from "../base/random.js";
import { BATCH_FRAMES, Batch } from "../ring/batch.js";
import { NO_SLOT, type Pool } from "../ring/pool.js";
import { Capability, type Device } from "./device.js";
import { type FaultOptions, FaultPath } from "./fault-path.js";
import { Middleware } from "./middleware.js";
import { TransmitQueue } from "./transmit-queue.js";

export interface FaultInjectorOptions {
  /** The same seed gives the same faults for the same frames. */
  readonly seed: number;
  /** Faults of what the device receives. */
  readonly rx?: FaultOptions;
  /** Faults of what is transmitted. */
  readonly tx?: FaultOptions;
}

export class FaultInjector extends Middleware {
  readonly kind = "faults";
  readonly rx: FaultPath;
  readonly tx: FaultPath;
  private readonly arrived = new Batch();
  private readonly queue: TransmitQueue;

  constructor(inner: Device, pool: Pool, o: FaultInjectorOptions) {
    super(inner);
    const completes = (inner.capabilities & Capability.TX_CHECKSUM) === 0;
    // Two generators: what one direction draws does not change the other's faults.
    this.rx = new FaultPath(`${inner.name}.rx`, pool, new Random(o.seed), false, o.rx ?? {});
    const txRandom = new Random(o.seed ^ 0x5bd1e995);
    this.tx = new FaultPath(`${inner.name}.tx`, pool, txRandom, completes, o.tx ?? {});
    this.queue = new TransmitQueue(inner, pool);
  }

  /**
   * Segmentation is done here whatever the device can; received frames are never joined; frames are
   * corrupted in their slots.
   */
  override get capabilities(): number {
    const not = Capability.RX_COALESCE | Capability.TX_BORROWS;
    return (this.inner.capabilities | SPLITTING) & ~not;
  }

  override receive(nowUs: number, batch: Batch): void {
    this.inner.receive(nowUs, this.arrived);
    for (let i = 0; i < this.arrived.n; i++) this.rx.offer(nowUs, this.arrived.slots[i]!);
    this.arrived.n = 0;
    while (batch.n < BATCH_FRAMES) {
      const slot = this.rx.next(nowUs);
      if (slot === NO_SLOT) break;
      batch.put(slot);
    }
  }

  override transmit(nowUs: number, batch: Batch): number {
    for (let i = 0; i < batch.n; i++) this.tx.offer(nowUs, batch.slots[i]!);
    this.release(nowUs);
    return batch.n;
  }

  override flush(nowUs: number): void {
    this.release(nowUs);
    this.inner.flush(nowUs);
  }

  override nextDeadlineUs(): number {
    const device = Math.min(this.inner.nextDeadlineUs(), this.queue.nextDeadlineUs());
    // While the device refuses frames, those whose time has come wait for the queue.
    const tx = this.queue.room > 0 ? this.tx.nextDeadlineUs() : device;
    return Math.min(device, tx, this.rx.nextDeadlineUs());
  }

  override close(): void {
    this.rx.close();
    this.tx.close();
    this.queue.close();
    this.inner.close();
  }

  /** Sends the frames whose time has come. */
  private release(nowUs: number): void {
    while (this.queue.room > 0) {
      const slot = this.tx.next(nowUs);
      if (slot === NO_SLOT) break;
      this.queue.put(nowUs, slot);
    }
    this.queue.drain(nowUs);
  }
}

const SPLITTING: number = Capability.TX_TSO4 | Capability.TX_TSO6 | Capability.TX_USO;
