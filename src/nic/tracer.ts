/** Shows every frame that passes to a function, before it goes on. Printing is `wire/print`'s. */
import type { Batch } from "../ring/batch.js";
import type { Pool } from "../ring/pool.js";
import type { Device } from "./device.js";
import { Middleware } from "./middleware.js";

export type Direction = "rx" | "tx";

/** Called with each frame; it may look at `pool.at[slot]` to `pool.end[slot]`, and keep nothing. */
export type TraceSink = (direction: Direction, pool: Pool, slot: number, nowUs: number) => void;

export class Tracer extends Middleware {
  readonly kind = "tracer";
  private readonly pool: Pool;
  private readonly sink: TraceSink;

  constructor(inner: Device, pool: Pool, sink: TraceSink) {
    super(inner);
    this.pool = pool;
    this.sink = sink;
  }

  override receive(nowUs: number, batch: Batch): void {
    const from = batch.n;
    this.inner.receive(nowUs, batch);
    for (let i = from; i < batch.n; i++) this.sink("rx", this.pool, batch.slots[i]!, nowUs);
  }

  /** A frame is shown when it is offered: once more when the device below refused it. */
  override transmit(nowUs: number, batch: Batch): number {
    for (let i = 0; i < batch.n; i++) this.sink("tx", this.pool, batch.slots[i]!, nowUs);
    return this.inner.transmit(nowUs, batch);
  }
}
