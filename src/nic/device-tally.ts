/** The counters that every device has, with their indices resolved: one method per event. */
import { Counters } from "../base/counters.js";
import { DEVICE_COUNTERS, type DeviceCounter } from "./device.js";

export class DeviceTally {
  readonly counters: Counters<DeviceCounter>;
  private readonly values: Float64Array;
  private readonly rxFrames: number;
  private readonly rxBytes: number;
  private readonly txFrames: number;
  private readonly txBytes: number;
  private readonly rxNoSlotAt: number;
  private readonly txFullAt: number;
  private readonly txErrorsAt: number;
  private readonly rxErrorsAt: number;

  constructor(component: string, values?: Float64Array) {
    const c = new Counters<DeviceCounter>(component, DEVICE_COUNTERS, values);
    this.counters = c;
    this.values = c.values;
    this.rxFrames = c.index("rxFrames");
    this.rxBytes = c.index("rxBytes");
    this.txFrames = c.index("txFrames");
    this.txBytes = c.index("txBytes");
    this.rxNoSlotAt = c.index("rxNoSlot");
    this.txFullAt = c.index("txFull");
    this.txErrorsAt = c.index("txErrors");
    this.rxErrorsAt = c.index("rxErrors");
  }

  /** Hot path. A frame of this length was received. */
  received(lengthBytes: number): void {
    this.values[this.rxFrames]! += 1;
    this.values[this.rxBytes]! += lengthBytes;
  }

  /** Hot path. A frame of this length was accepted for sending. */
  sent(lengthBytes: number): void {
    this.values[this.txFrames]! += 1;
    this.values[this.txBytes]! += lengthBytes;
  }

  /** Hot path. So many frames of so many bytes in all were received. */
  receivedFrames(frames: number, bytes: number): void {
    this.values[this.rxFrames]! += frames;
    this.values[this.rxBytes]! += bytes;
  }

  /** Hot path. So many frames of so many bytes in all were accepted for sending. */
  sentFrames(frames: number, bytes: number): void {
    this.values[this.txFrames]! += frames;
    this.values[this.txBytes]! += bytes;
  }

  rxNoSlot(times = 1): void {
    this.values[this.rxNoSlotAt]! += times;
  }

  txFull(): void {
    this.values[this.txFullAt]! += 1;
  }

  txError(times = 1): void {
    this.values[this.txErrorsAt]! += times;
  }

  rxError(times = 1): void {
    this.values[this.rxErrorsAt]! += times;
  }
}
