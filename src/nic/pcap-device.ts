/**
 * Driver `pcap`: what a capture file holds is received, what is transmitted is recorded.
 *
 * Reading and writing are functions, so tests need no files; `openPcap` opens files. Frames are
 * received at the distances in time that the file says, counted from the first `receive`, or as fast
 * as they are taken. Packets that are not whole Ethernet frames are skipped and counted as rxErrors.
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import * as bytes from "../base/bytes.js";
import type { Counters } from "../base/counters.js";
import { NEVER, US_PER_S } from "../base/time.js";
import { BATCH_FRAMES, type Batch } from "../ring/batch.js";
import { BIG_SLOT_BYTES, HEADROOM_BYTES, NO_SLOT, type Pool } from "../ring/pool.js";
import { CaptureReader } from "../wire/capture-reader.js";
import * as ethernet from "../wire/ethernet.js";
import { type CaptureOptions, CaptureRecorder, type CaptureSink } from "./capture-recorder.js";
import { Capability, type Device, type DeviceCounter } from "./device.js";
import { DeviceTally } from "./device-tally.js";
import { setLinkFlags, takeFor } from "./frame-slots.js";

export interface PcapDeviceOptions extends CaptureOptions {
  readonly name?: string;
  readonly mac?: Uint8Array;
  readonly mtuBytes?: number;
  /** The next bytes of the capture to replay, empty at its end. Without it nothing is received. */
  readonly read?: () => Uint8Array;
  /** Where transmitted frames are recorded. Without it they vanish. */
  readonly sink?: CaptureSink;
  /** Frames come as the capture's times say, or at once. Default `original`. */
  readonly timing?: "original" | "immediate";
}

const LINK_ETHERNET = 1;
const MAX_FRAME_BYTES = BIG_SLOT_BYTES - HEADROOM_BYTES;
const NOTHING = new Uint8Array(0);

export class PcapDevice implements Device {
  readonly kind = "pcap";
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  /** What is recorded may be as large and as unfinished as a virtual link's frames. */
  readonly capabilities: number =
    Capability.TX_CHECKSUM |
    Capability.TX_TSO4 |
    Capability.TX_TSO6 |
    Capability.TX_USO |
    Capability.RX_TIMESTAMP;
  readonly isUp = true;
  readonly wakeFd = -1;
  private readonly pool: Pool;
  private readonly tally: DeviceTally;
  private readonly reader = new CaptureReader();
  private readonly read: () => Uint8Array;
  private readonly recorder: CaptureRecorder | null;
  private readonly isImmediate: boolean;
  /** A packet was read and not handed on; it is `reader.packet`. */
  private isWaiting = false;
  /** The file's last bytes were read; the reader may still hold packets. */
  private isEnded = false;
  private isAtEnd = false;
  /** Host time minus capture time, once the first packet was read. */
  private offsetUs = NEVER;
  private isClosed = false;

  constructor(pool: Pool, options: PcapDeviceOptions = {}) {
    this.pool = pool;
    this.name = options.name ?? "pcap";
    this.mac = options.mac ?? Uint8Array.of(2, 0, 0, 0, 0, 1);
    this.mtuBytes = options.mtuBytes ?? 1_500;
    this.tally = new DeviceTally(this.name);
    this.isAtEnd = options.read === undefined;
    this.read = options.read ?? (() => NOTHING);
    this.isImmediate = options.timing === "immediate";
    this.recorder =
      options.sink === undefined
        ? null
        : new CaptureRecorder(this.name, pool, options.sink, options);
  }

  get counters(): Counters<DeviceCounter> {
    return this.tally.counters;
  }

  /** Nothing more will be received. */
  get isFinished(): boolean {
    return this.isAtEnd && !this.isWaiting;
  }

  /** Why replay stopped before the end of the file, or null. */
  get error(): string | null {
    const e = this.reader.error;
    return e === null ? null : `${this.name}: at byte ${e.atByte}: ${e.message}`;
  }

  receive(nowUs: number, batch: Batch): void {
    while (batch.n < BATCH_FRAMES && this.findPacket(nowUs)) {
      const dueUs = this.dueUs();
      if (!this.isImmediate && dueUs > nowUs) return;
      const p = this.reader.packet;
      const slot = takeFor(this.pool, p.end - p.at);
      if (slot === NO_SLOT) {
        this.tally.rxNoSlot();
        return;
      }
      bytes.copy(this.pool.bytes, this.pool.at[slot]!, p.bytes, p.at, p.end - p.at);
      this.pool.rxTimeUs[slot] = this.isImmediate ? nowUs : dueUs;
      setLinkFlags(this.pool, slot);
      this.isWaiting = false;
      this.tally.received(p.end - p.at);
      batch.put(slot);
    }
  }

  transmit(nowUs: number, batch: Batch): number {
    for (let i = 0; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      this.recorder?.add(false, slot, nowUs);
      this.tally.sent(this.pool.end[slot]! - this.pool.at[slot]!);
      this.pool.give(slot);
    }
    return batch.n;
  }

  flush(nowUs: number): void {
    this.recorder?.flush(nowUs);
  }

  nextDeadlineUs(): number {
    if (this.isFinished) return NEVER;
    return this.isWaiting && !this.isImmediate ? this.dueUs() : 0;
  }

  close(): void {
    this.isAtEnd = true;
    this.isWaiting = false;
    if (!this.isClosed) this.recorder?.close();
    this.isClosed = true;
  }

  /** Makes `reader.packet` the next frame to receive; false at the end of the file. */
  private findPacket(nowUs: number): boolean {
    while (!this.isWaiting && !this.isAtEnd) {
      if (!this.reader.next()) {
        this.readMore();
        continue;
      }
      if (!this.isUsable()) {
        this.tally.rxError();
        continue;
      }
      if (this.offsetUs === NEVER) this.offsetUs = nowUs - this.captureUs();
      this.isWaiting = true;
    }
    return this.isWaiting;
  }

  private readMore(): void {
    if (this.reader.error !== null) {
      this.isAtEnd = true;
      return;
    }
    const chunk = this.isEnded ? NOTHING : this.read();
    if (chunk.length > 0) {
      this.reader.push(chunk);
    } else if (this.isEnded) {
      this.isAtEnd = true;
    } else {
      this.isEnded = true;
      this.reader.end();
    }
  }
  private isUsable(): boolean {
    const p = this.reader.packet;
    const n = p.end - p.at;
    const isWhole = n === p.lengthBytes && n >= ethernet.HEADER_BYTES && n <= MAX_FRAME_BYTES;
    return isWhole && p.linkType === LINK_ETHERNET;
  }

  private captureUs(): number {
    const p = this.reader.packet;
    return p.seconds * US_PER_S + Math.floor(p.nanos / 1_000);
  }

  /** When the waiting packet is due, by the host's clock. */
  private dueUs(): number {
    return this.captureUs() + this.offsetUs;
  }
}

export interface PcapFiles extends Omit<PcapDeviceOptions, "read" | "sink"> {
  /** Capture to replay, pcap or pcapng. */
  readonly replay?: string;
  /** File to record to, pcapng; it is overwritten. */
  readonly record?: string;
}

/** A file to read. Throws the system's error: of a folder, too, which opens and cannot be read. */
function openInput(path: string): number {
  const fd = openSync(path, "r");
  try {
    readSync(fd, new Uint8Array(1), 0, 1, 0);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ESPIPE") return fd; // a pipe
    closeSync(fd);
    throw Object.assign(error as NodeJS.ErrnoException, { path });
  }
  return fd;
}

/** A device over capture files. They are closed with it. */
export function openPcap(pool: Pool, files: PcapFiles): PcapDevice {
  const { replay, record, ...options } = files;
  const input = replay === undefined ? -1 : openInput(replay);
  const output = record === undefined ? -1 : openSync(record, "w");
  const chunk = new Uint8Array(65_536);
  const read = (): Uint8Array => chunk.subarray(0, readSync(input, chunk));
  return new FilePcapDevice(pool, [input, output], {
    ...options,
    ...(input < 0 ? {} : { read }),
    ...(output < 0 ? {} : { sink: fileSink(output) }),
  });
}

/** A sink that writes to an open file at once, whole chunks. */
export function fileSink(fd: number): CaptureSink {
  return {
    isReady: true,
    write(chunk) {
      for (let n = 0; n < chunk.length; ) n += writeSync(fd, chunk, n);
    },
  };
}

class FilePcapDevice extends PcapDevice {
  private readonly fds: number[];

  constructor(pool: Pool, fds: number[], options: PcapDeviceOptions) {
    super(pool, options);
    this.fds = fds;
  }

  override close(): void {
    super.close();
    for (const fd of this.fds.splice(0)) if (fd >= 0) closeSync(fd);
  }
}
