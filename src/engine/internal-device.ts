/**
 * The device under the host-local network: a wire to which nobody else is connected. What programs of
 * this host send to each other goes over `lo`, and copies of multicasts come back by IP's own hand,
 * so all that gets here is for addresses that nobody has.
 */
import { Counters } from "../base/counters.js";
import { NEVER } from "../base/time.js";
import { Capability, DEVICE_COUNTERS, type Device, type DeviceCounter } from "../nic/device.js";
import type { Batch } from "../ring/batch.js";
import type { Pool } from "../ring/pool.js";

/** As `lo`: nothing is ever split. */
const MTU_BYTES = 65_536;

export class InternalDevice implements Device {
  readonly name = "mr0";
  readonly kind = "internal";
  /** Locally administered. */
  readonly mac: Uint8Array = Uint8Array.of(2, 0x4d, 0x52, 0, 0, 1);
  readonly mtuBytes = MTU_BYTES;
  readonly capabilities: number =
    Capability.TX_CHECKSUM | Capability.TX_TSO4 | Capability.TX_TSO6 | Capability.TX_USO;
  readonly counters: Counters<DeviceCounter> = new Counters("mr0", DEVICE_COUNTERS);
  readonly isUp = true;
  readonly wakeFd = -1;
  private readonly pool: Pool;
  private readonly txFrames = this.counters.index("txFrames");

  constructor(pool: Pool) {
    this.pool = pool;
  }

  receive(): void {}

  transmit(_nowUs: number, batch: Batch): number {
    for (let i = 0; i < batch.n; i++) this.pool.give(batch.slots[i]!);
    this.counters.add(this.txFrames, batch.n);
    return batch.n;
  }

  flush(): void {}

  nextDeadlineUs(): number {
    return NEVER;
  }

  close(): void {}
}
