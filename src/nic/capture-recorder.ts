/**
 * Frames into a pcapng file, as they would look on a wire: unmade checksums are completed in what
 * is written, not in the frame. Large segments are written whole, as one valid packet.
 *
 * Bytes go to the sink in chunks. While the sink is not ready they wait, up to a limit; frames
 * beyond it are not recorded, and counted. What is recorded is in order.
 */
import { put16, u16 } from "../base/bytes.js";
import { finish } from "../base/checksum.js";
import { US_PER_MS, US_PER_S } from "../base/time.js";
import { ArenaChecksum } from "../ring/arena-checksum.js";
import { FrameFlags, type Pool } from "../ring/pool.js";
import { CapturedPacket, Direction } from "../wire/capture-file.js";
import { PcapngWriter } from "../wire/pcapng-writer.js";
import { putChecksum } from "./frame-slots.js";

/** Where a capture's bytes go: a file, a pipe, memory. */
export interface CaptureSink {
  /** Whether it takes bytes now. */
  readonly isReady: boolean;
  /** Writes or copies the bytes before it returns; they are overwritten afterwards. */
  write(bytes: Uint8Array): void;
}

export interface CaptureOptions {
  /** Added to the host's clock to get microseconds since 1970. Default 0. */
  readonly epochOffsetUs?: number;
  /** Bytes that may wait for a sink that is not ready. Default 4 MiB. */
  readonly maxPendingBytes?: number;
}

/** Bytes that are worth a write. */
const CHUNK_BYTES = 65_536;
/** Fewer bytes are written when they have waited this long. */
const MAX_WAIT_US = 100 * US_PER_MS;
const LINK_ETHERNET = 1;

export class CaptureRecorder {
  /** Frames that were not recorded because the sink was slow. */
  dropped = 0;
  recorded = 0;
  private readonly pool: Pool;
  private readonly sink: CaptureSink;
  private readonly checksum: ArenaChecksum;
  private readonly writer = new PcapngWriter("millrace");
  private readonly packet = new CapturedPacket();
  private readonly interfaceId: number;
  private readonly epochOffsetUs: number;
  private readonly maxPendingBytes: number;
  private writtenAtUs = 0;
  private lastUs = 0;

  constructor(name: string, pool: Pool, sink: CaptureSink, options: CaptureOptions = {}) {
    this.pool = pool;
    this.sink = sink;
    this.checksum = new ArenaChecksum(pool.memory.arena);
    this.epochOffsetUs = options.epochOffsetUs ?? 0;
    this.maxPendingBytes = options.maxPendingBytes ?? 4 << 20;
    this.interfaceId = this.writer.addInterface({ linkType: LINK_ETHERNET, name });
    this.packet.bytes = pool.bytes;
    this.packet.linkType = LINK_ETHERNET;
    this.packet.interfaceId = this.interfaceId;
  }

  /** Records a frame, which stays the caller's and unchanged. */
  add(isReceived: boolean, slot: number, atUs: number): void {
    const pool = this.pool;
    const p = this.packet;
    p.at = pool.at[slot]!;
    p.end = pool.end[slot]!;
    p.lengthBytes = p.end - p.at;
    if (this.writer.pendingBytes + p.lengthBytes > this.maxPendingBytes) {
      this.dropped++;
      return;
    }
    p.direction = isReceived ? Direction.IN : Direction.OUT;
    this.stamp(atUs);
    if ((pool.flags[slot]! & FrameFlags.CHECKSUM_PARTIAL) === 0) this.writer.add(p);
    else this.addCompleted(slot);
    this.recorded++;
    if (this.writer.pendingBytes >= CHUNK_BYTES) this.write(atUs);
  }

  /** Writes what has waited long enough. */
  flush(nowUs: number): void {
    this.lastUs = Math.max(this.lastUs, nowUs);
    if (this.writer.pendingBytes > 0 && nowUs - this.writtenAtUs >= MAX_WAIT_US) this.write(nowUs);
  }

  /** Writes all that was recorded so far, for somebody who reads the file meanwhile. */
  writeNow(): void {
    if (this.writer.pendingBytes > 0) this.write(this.lastUs);
  }

  /** Writes the counts and whatever waits, ready or not. */
  close(): void {
    this.stamp(this.lastUs);
    this.writer.addCounts(this.interfaceId, {
      received: this.recorded + this.dropped,
      dropped: this.dropped,
      seconds: this.packet.seconds,
      nanos: this.packet.nanos,
    });
    this.sink.write(this.writer.take());
  }

  private write(nowUs: number): void {
    if (!this.sink.isReady) return;
    this.writtenAtUs = nowUs;
    this.sink.write(this.writer.take());
  }

  private stamp(atUs: number): void {
    this.lastUs = Math.max(this.lastUs, atUs);
    const wallUs = Math.floor(atUs + this.epochOffsetUs);
    this.packet.seconds = Math.floor(wallUs / US_PER_S);
    this.packet.nanos = (wallUs - this.packet.seconds * US_PER_S) * 1_000;
  }

  /** Completes the checksum for as long as the frame is being copied. */
  private addCompleted(slot: number): void {
    const b = this.pool.bytes;
    const start = this.pool.csumStart[slot]!;
    const offset = this.pool.csumOffset[slot]!;
    const partial = u16(b, start + offset);
    const value = finish(this.checksum.sum(start, this.packet.end - start, 0));
    putChecksum(b, start + offset, value, offset);
    this.writer.add(this.packet);
    put16(b, start + offset, partial);
  }
}
