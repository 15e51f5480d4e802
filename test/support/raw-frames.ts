/**
 * Frames made by hand for tests of devices: a host of a few lines that knows no stack, so that the
 * device is tested against the kernel alone.
 */
import { finish, sum } from "../../src/base/checksum.js";
import type { Device } from "../../src/nic/device.js";
import { Arena } from "../../src/ring/arena.js";
import { Batch } from "../../src/ring/batch.js";
import { HEADROOM_BYTES, NO_SLOT, Pool, PoolMemory } from "../../src/ring/pool.js";
import { PATIENCE_MS } from "./until.js";

export function bytesOf(...parts: (number | readonly number[] | Uint8Array)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? [part] : [...part])));
}

export const u16 = (value: number): number[] => [value >> 8, value & 255];
export const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value & 0xffff)];

const BROADCAST = [255, 255, 255, 255, 255, 255];

/** "Who has `target`?", RFC 826. */
export function arpRequest(mac: Uint8Array, sender: number[], target: number[]): Uint8Array {
  const question = bytesOf(0, 1, 8, 0, 6, 4, 0, 1, mac, sender, [0, 0, 0, 0, 0, 0], target);
  return bytesOf(BROADCAST, mac, [8, 6], question);
}

/** The answer to a request that arrived. */
export function arpReply(request: Uint8Array, mac: Uint8Array): Uint8Array {
  const asker = request.subarray(22, 32);
  return bytesOf(
    request.subarray(6, 12),
    mac,
    [8, 6],
    [0, 1, 8, 0, 6, 4, 0, 2],
    mac,
    request.subarray(38, 42),
    asker,
  );
}

/** An IPv4 packet in an Ethernet frame. */
export function ipv4(
  to: Uint8Array,
  from: Uint8Array,
  protocol: number,
  source: number[],
  destination: number[],
  payload: Uint8Array,
): Uint8Array {
  const header = bytesOf(
    0x45,
    0,
    u16(20 + payload.length),
    0,
    1,
    0x40,
    0,
    64,
    protocol,
    0,
    0,
    source,
    destination,
  );
  header.set(u16(finish(sum(header, 0, 20, 0))), 10);
  return bytesOf(to, from, [8, 0], header, payload);
}

/** The sum over an IPv4 pseudo-header (RFC 9293 §3.1). */
export function pseudoSum(
  source: number[],
  destination: number[],
  protocol: number,
  n: number,
): number {
  const pseudo = bytesOf(source, destination, 0, protocol, u16(n));
  return sum(pseudo, 0, pseudo.length, 0);
}

export function icmpEcho(type: number, id: number, payload: Uint8Array): Uint8Array {
  const message = bytesOf(type, 0, 0, 0, u16(id), 0, 1, payload);
  message.set(u16(finish(sum(message, 0, message.length, 0))), 2);
  return message;
}

/** A received frame, copied out of its slot; `csumStart` counts from its beginning. */
export interface Received {
  readonly bytes: Uint8Array;
  readonly flags: number;
  readonly gsoBytes: number;
  readonly csumStart: number;
  readonly csumOffset: number;
  readonly isBig: boolean;
}

export const POOL_SIZE = { smallSlots: 256, bigSlots: 32 };

export function newPool(size = POOL_SIZE): Pool {
  return new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(size)), size));
}

/** One end of a link, driven by hand. */
export class RawHost {
  readonly pool: Pool;
  readonly device: Device;
  /** Everything received so far. */
  readonly frames: Received[] = [];
  /** Called for each frame, to answer it. */
  onFrame: (frame: Received) => void = () => {};
  private readonly batch = new Batch();

  constructor(pool: Pool, device: Device) {
    this.pool = pool;
    this.device = device;
  }

  /** Sends a frame; `prepare` may set columns of its slot. Returns whether the device took it. */
  send(bytes: Uint8Array, prepare: (slot: number, at: number) => void = () => {}): boolean {
    const slot = bytes.length > 1_800 ? this.pool.takeBig() : this.pool.take();
    if (slot === NO_SLOT) throw new Error("the test's pool is empty");
    const at = this.pool.base(slot) + HEADROOM_BYTES - 14;
    this.pool.bytes.set(bytes, at);
    this.pool.at[slot] = at;
    this.pool.end[slot] = at + bytes.length;
    this.pool.flags[slot] = 0;
    prepare(slot, at);
    const out = new Batch();
    out.put(slot);
    const taken = this.device.transmit(0, out);
    if (taken === 0) this.pool.give(slot);
    this.device.flush(0);
    return taken === 1;
  }

  /** Takes what has arrived. */
  poll(): void {
    this.batch.n = 0;
    this.device.receive(1234, this.batch);
    for (let i = 0; i < this.batch.n; i++) {
      const slot = this.batch.slots[i]!;
      const at = this.pool.at[slot]!;
      const frame: Received = {
        bytes: this.pool.bytes.slice(at, this.pool.end[slot]!),
        flags: this.pool.flags[slot]!,
        gsoBytes: this.pool.gsoBytes[slot]!,
        csumStart: this.pool.csumStart[slot]! - at,
        csumOffset: this.pool.csumOffset[slot]!,
        isBig: this.pool.isBig(slot),
      };
      this.pool.give(slot);
      this.frames.push(frame);
      this.onFrame(frame);
    }
  }

  /** Polls until a frame matches, and returns it; other work of the process goes on meanwhile. */
  async expect(what: string, matches: (frame: Received) => boolean): Promise<Received> {
    const untilMs = performance.now() + PATIENCE_MS;
    for (let seen = 0; performance.now() < untilMs; ) {
      for (; seen < this.frames.length; seen++) {
        if (matches(this.frames[seen]!)) return this.frames[seen]!;
      }
      await new Promise((resolve) => setImmediate(resolve));
      this.poll();
    }
    throw new Error(`no ${what} came; frames: ${this.frames.length}`);
  }
}
