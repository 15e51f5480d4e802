/** Where `capture` gets packets from: a file, a pipe, or a device. */
import { createReadStream } from "node:fs";
import { NetError } from "../base/errors.js";
import { monotonicUs } from "../nic/clock.js";
import type { Waiter } from "../nic/waiter.js";
import { openWaiter } from "../nic/waiter.js";
import { Batch } from "../ring/batch.js";
import type { OpenDevice } from "../socket/open-device.js";
import type { CaptureInterface } from "../wire/capture-file.js";
import { CapturedPacket, Direction } from "../wire/capture-file.js";
import { CaptureReader } from "../wire/capture-reader.js";
import * as linkType from "../wire/link-type.js";
import { isSystemError, systemText } from "./world.js";

const CHUNK_BYTES = 256 * 1024;

export interface PacketSource {
  /** For people: the file's or device's name. */
  readonly name: string;
  /** Interfaces known so far; a packet's `interfaceId` is an index into it. */
  readonly interfaces: readonly CaptureInterface[];
  /**
   * Calls `visit` for each packet until it returns false, the source ends or `stop` is aborted.
   * After each burst of packets it waits for `pause`, which may return false to end as well.
   * Returns a complaint for the user, or null when all went well.
   */
  run(
    visit: (packet: CapturedPacket) => boolean,
    pause: () => Promise<boolean>,
    stop: AbortSignal,
  ): Promise<string | null>;
}

/** A capture file, or the standard input when the name is `-`. */
export class FileSource implements PacketSource {
  readonly name: string;
  private readonly input: AsyncIterable<Uint8Array>;
  private readonly reader = new CaptureReader();

  constructor(name: string, standardInput: AsyncIterable<Uint8Array>) {
    this.name = name;
    this.input =
      name === "-" ? standardInput : createReadStream(name, { highWaterMark: CHUNK_BYTES });
  }

  get interfaces(): readonly CaptureInterface[] {
    return this.reader.interfaces;
  }

  async run(
    visit: (packet: CapturedPacket) => boolean,
    pause: () => Promise<boolean>,
    stop: AbortSignal,
  ): Promise<string | null> {
    const { reader } = this;
    try {
      for await (const chunk of untilAborted(this.input, stop)) {
        reader.push(chunk);
        while (reader.next()) if (!visit(reader.packet)) return null;
        if (!(await pause()) || stop.aborted || reader.error !== null) break;
      }
    } catch (error) {
      return isSystemError(error)
        ? systemText(error, this.name)
        : `${this.name}: ${(error as Error).message}`;
    }
    if (stop.aborted) return null;
    if (reader.error === null) {
      reader.end();
      while (reader.next()) if (!visit(reader.packet)) return null;
    }
    const { error } = reader;
    return error === null ? null : `${this.name}: at byte ${error.atByte}: ${error.message}`;
  }
}

/** The chunks of a stream until the signal is aborted, also while a chunk is awaited. */
async function* untilAborted(
  input: AsyncIterable<Uint8Array>,
  stop: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const chunks = input[Symbol.asyncIterator]();
  let onAbort = (): void => {};
  const stopped = new Promise<undefined>((resolve) => {
    onAbort = () => resolve(undefined);
  });
  if (stop.aborted) onAbort();
  else stop.addEventListener("abort", onAbort, { once: true });
  try {
    while (true) {
      const result = await Promise.race([chunks.next(), stopped]);
      if (result === undefined || result.done === true) break;
      yield result.value;
    }
  } finally {
    stop.removeEventListener("abort", onAbort); // one signal for many files
    // Not awaited: a read from a terminal or pipe that never ends would hold it up.
    void chunks.return?.();
  }
}

/** The frames that a device receives. Closes the device at the end. */
export class DeviceSource implements PacketSource {
  readonly name: string;
  readonly interfaces: CaptureInterface[];
  private readonly opened: OpenDevice;
  private readonly packet = new CapturedPacket();
  private readonly batch = new Batch();

  constructor(opened: OpenDevice) {
    this.opened = opened;
    this.name = opened.device.name;
    this.interfaces = [
      {
        linkType: linkType.EN10MB,
        name: this.name,
        description: `${opened.device.kind} device`,
        snapBytes: 0,
        received: 0,
        dropped: 0,
      },
    ];
    this.packet.linkType = linkType.EN10MB;
    this.packet.direction = Direction.IN;
  }

  async run(
    visit: (packet: CapturedPacket) => boolean,
    pause: () => Promise<boolean>,
    stop: AbortSignal,
  ): Promise<string | null> {
    const { device, pool } = this.opened;
    let waiter: Waiter | null = null;
    try {
      while (!stop.aborted) {
        device.receive(monotonicUs(), this.batch);
        if (this.batch.n > 0) {
          if (!this.visitBatch(visit) || !(await pause())) break;
          continue;
        }
        if (this.opened.isFinished()) return this.opened.complaint();
        if (device.wakeFd < 0) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          continue;
        }
        if (waiter === null) {
          waiter = openWaiter();
          waiter.add(device.wakeFd);
        }
        if (device.prepareSleep?.() !== false) await wake(waiter, stop, device.nextDeadlineUs());
      }
      return null;
    } catch (error) {
      if (error instanceof NetError) return `${this.name}: ${error.message}`;
      throw error;
    } finally {
      this.count();
      waiter?.close();
      device.close();
      pool.close();
    }
  }

  /** Shows the batch's frames and gives their slots back; false when the visitor has enough. */
  private visitBatch(visit: (packet: CapturedPacket) => boolean): boolean {
    const { packet, batch } = this;
    const { pool } = this.opened;
    const nowMs = performance.timeOrigin + performance.now();
    packet.seconds = Math.floor(nowMs / 1000);
    packet.nanos = Math.floor((nowMs - packet.seconds * 1000) * 1000) * 1000;
    packet.bytes = pool.bytes;
    let goesOn = true;
    for (let i = 0; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      if (goesOn) {
        packet.at = pool.at[slot]!;
        packet.end = pool.end[slot]!;
        packet.lengthBytes = packet.end - packet.at;
        goesOn = visit(packet);
      }
      pool.give(slot);
    }
    batch.n = 0;
    return goesOn;
  }

  private count(): void {
    const { counters } = this.opened.device;
    const about = this.interfaces[0]!;
    about.received = counters.get("rxFrames");
    about.dropped = counters.get("rxNoSlot") + counters.get("rxErrors");
  }
}

/** Until the watched descriptor is readable, the device's deadline, or the signal is aborted. */
function wake(waiter: Waiter, stop: AbortSignal, deadlineUs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stop.removeEventListener("abort", done);
      clearTimeout(timer);
      waiter.disarm();
      resolve();
    };
    const ms = Math.ceil((deadlineUs - monotonicUs()) / 1000);
    const timer = ms < LONGEST_MS ? setTimeout(done, Math.max(ms, 0)) : undefined;
    stop.addEventListener("abort", done, { once: true });
    waiter.arm(done);
  });
}

/** Deadlines beyond this are none. */
const LONGEST_MS = 3_600_000;
