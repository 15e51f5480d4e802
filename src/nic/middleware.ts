/**
 * A device around a device: everything is passed on. Tracer, capture, fault injector and software
 * offload override what they change.
 */
import type { Counters } from "../base/counters.js";
import type { Batch } from "../ring/batch.js";
import type { Device, DeviceCounter } from "./device.js";
import type { FlowFilter } from "./flow-filter.js";

export abstract class Middleware implements Device {
  readonly inner: Device;
  abstract readonly kind: string;

  constructor(inner: Device) {
    this.inner = inner;
  }

  get name(): string {
    return this.inner.name;
  }

  get mac(): Uint8Array {
    return this.inner.mac;
  }

  get mtuBytes(): number {
    return this.inner.mtuBytes;
  }

  get capabilities(): number {
    return this.inner.capabilities;
  }

  get counters(): Counters<DeviceCounter> {
    return this.inner.counters;
  }

  get isUp(): boolean {
    return this.inner.isUp;
  }

  get wakeFd(): number {
    return this.inner.wakeFd;
  }

  get filter(): FlowFilter | undefined {
    return this.inner.filter;
  }

  receive(nowUs: number, batch: Batch): void {
    this.inner.receive(nowUs, batch);
  }

  transmit(nowUs: number, batch: Batch): number {
    return this.inner.transmit(nowUs, batch);
  }

  flush(nowUs: number): void {
    this.inner.flush(nowUs);
  }

  nextDeadlineUs(): number {
    return this.inner.nextDeadlineUs();
  }

  prepareSleep(): boolean {
    return this.inner.prepareSleep?.() ?? true;
  }

  close(): void {
    this.inner.close();
  }
}
