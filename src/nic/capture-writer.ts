/** Records every frame of a device, both directions, to a pcapng sink; see `capture-recorder.ts`. */
import type { Batch } from "../ring/batch.js";
import type { Pool } from "../ring/pool.js";
import { type CaptureOptions, CaptureRecorder, type CaptureSink } from "./capture-recorder.js";
import { Capability, type Device } from "./device.js";
import { Middleware } from "./middleware.js";
import { TransmitQueue } from "./transmit-queue.js";

export class CaptureWriter extends Middleware {
  readonly kind = "capture";
  readonly recorder: CaptureRecorder;
  private readonly pool: Pool;
  private readonly queue: TransmitQueue;
  private isClosed = false;

  constructor(inner: Device, pool: Pool, sink: CaptureSink, options: CaptureOptions = {}) {
    super(inner);
    this.pool = pool;
    this.queue = new TransmitQueue(inner, pool);
    this.recorder = new CaptureRecorder(inner.name, pool, sink, options);
  }

  override receive(nowUs: number, batch: Batch): void {
    const from = batch.n;
    this.inner.receive(nowUs, batch);
    const isStamped = (this.inner.capabilities & Capability.RX_TIMESTAMP) !== 0;
    for (let i = from; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      this.recorder.add(true, slot, isStamped ? this.pool.rxTimeUs[slot]! : nowUs);
    }
  }

  /** Records what it takes; frames that the device refuses for now wait here, recorded once. */
  override transmit(nowUs: number, batch: Batch): number {
    let n = 0;
    while (n < batch.n && this.queue.room > 0) {
      const slot = batch.slots[n]!;
      this.recorder.add(false, slot, nowUs);
      this.queue.put(nowUs, slot);
      n++;
    }
    this.queue.drain(nowUs);
    return n;
  }

  override flush(nowUs: number): void {
    this.queue.drain(nowUs);
    this.inner.flush(nowUs);
    this.recorder.flush(nowUs);
  }

  override nextDeadlineUs(): number {
    return Math.min(this.inner.nextDeadlineUs(), this.queue.nextDeadlineUs());
  }

  override close(): void {
    this.queue.close();
    this.inner.close();
    if (!this.isClosed) this.recorder.close();
    this.isClosed = true;
  }
}
