/**
 * Two TCP engines joined by a pipe in virtual time, which loses, delays, duplicates and reorders
 * segments as a seed says. Large segments are split on the way, or passed whole, as a device would.
 */
import assert from "node:assert/strict";
import type { IpAddress } from "../../src/base/ip-address.js";
import { Random } from "../../src/base/random.js";
import { HEADROOM_BYTES } from "../../src/ring/pool.js";
import * as wire from "../../src/wire/tcp.js";
import { TcpWorld, type WorldOptions } from "./tcp-world.js";

export interface PipeOptions {
  readonly seed?: number;
  readonly delayUs?: number;
  readonly loss?: number;
  readonly duplicate?: number;
  readonly reorder?: number;
  /** Segments per second on the wire; 0 for no limit. */
  readonly segmentsPerSecond?: number;
  /** Largest queue on the wire, in segments, when there is a limit. */
  readonly queueSegments?: number;
  readonly a?: WorldOptions;
  readonly b?: WorldOptions;
}

interface Flying {
  at: number;
  order: number;
  to: TcpWorld;
  from: IpAddress;
  bytes: Uint8Array;
  gsoBytes: number;
  flags: number;
}

/** A frame that shares its slot with the send queue of its sender. */
interface Held {
  readonly from: TcpWorld;
  readonly slot: number;
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly untilUs: number;
}

export class TcpPipe {
  readonly a: TcpWorld;
  readonly b: TcpWorld;
  nowUs = 0;
  lost = 0;
  carried = 0;
  private readonly o: PipeOptions;
  private readonly random: Random;
  private readonly flying: Flying[] = [];
  private readonly held: Held[] = [];
  private order = 0;
  private busyUntilUs: number[] = [0, 0];

  constructor(o: PipeOptions = {}) {
    this.o = o;
    this.random = new Random(o.seed ?? 1);
    this.a = new TcpWorld({ local: "10.0.0.1", seed: 1, ...o.a });
    this.b = new TcpWorld({ local: "10.0.0.2", seed: 2, ...o.b });
    this.join(this.a, this.b, 0);
    this.join(this.b, this.a, 1);
  }

  /** Runs until `isDone`, or `limitMs` have passed; `eachTurn` is the users of both. */
  run(limitMs: number, isDone: () => boolean, eachTurn: () => void = () => {}): boolean {
    const end = this.nowUs + limitMs * 1000;
    for (;;) {
      eachTurn();
      this.a.tcp.flush(this.nowUs);
      this.b.tcp.flush(this.nowUs);
      if (isDone()) return true;
      const next = Math.min(
        this.a.nextTimerUs(),
        this.b.nextTimerUs(),
        this.flying[0]?.at ?? Number.POSITIVE_INFINITY,
        ...this.held.map((h) => h.untilUs),
      );
      if (next > end) {
        this.nowUs = end;
        this.giveHeld();
        return isDone();
      }
      this.nowUs = Math.max(this.nowUs, next);
      this.a.nowUs = this.nowUs;
      this.b.nowUs = this.nowUs;
      this.deliverDue();
      this.giveHeld();
      this.a.turn(this.nowUs);
      this.b.turn(this.nowUs);
    }
  }

  private join(from: TcpWorld, to: TcpWorld, side: number): void {
    from.sink = (slot) => {
      const p = from.pool;
      const whole = p.bytes.slice(p.at[slot]!, p.end[slot]!);
      const gso = p.gsoBytes[slot]!;
      const flags = p.flags[slot]!;
      if (from.borrows && this.random.chance(0.5)) this.hold(from, slot, whole);
      else p.give(slot);
      if (gso > 0 && this.random.chance(0.5)) {
        for (const piece of split(whole, gso)) this.launch(piece, 0, 0, from, to, side);
      } else {
        this.launch(whole, gso, flags, from, to, side);
      }
    };
  }

  /** As a device that has not read the frame yet. */
  private hold(from: TcpWorld, slot: number, bytes: Uint8Array): void {
    const at = from.pool.at[slot]!;
    const untilUs = this.nowUs + this.random.below(2 * (this.o.delayUs ?? 10_000));
    this.held.push({ from, slot, at, bytes, untilUs });
  }

  /** Gives held slots back: nobody has written to the frames. */
  private giveHeld(): void {
    for (let i = this.held.length - 1; i >= 0; i--) {
      const { from, slot, at, bytes, untilUs } = this.held[i]!;
      if (untilUs > this.nowUs) continue;
      const now = from.pool.bytes.subarray(at, at + bytes.length);
      assert.equal(Buffer.compare(now, bytes), 0, "a frame changed while the device held it");
      from.pool.give(slot);
      this.held.splice(i, 1);
    }
  }

  private launch(
    bytes: Uint8Array,
    gsoBytes: number,
    flags: number,
    from: TcpWorld,
    to: TcpWorld,
    side: number,
  ): void {
    this.carried++;
    const { random, o } = this;
    if (random.chance(o.loss ?? 0)) {
      this.lost++;
      return;
    }
    let at = this.nowUs + (o.delayUs ?? 10_000);
    if (o.segmentsPerSecond) {
      const service = 1_000_000 / o.segmentsPerSecond;
      const start = Math.max(this.nowUs, this.busyUntilUs[side]!);
      if (start - this.nowUs > service * (o.queueSegments ?? 100)) {
        this.lost++;
        return;
      }
      this.busyUntilUs[side] = start + service;
      at += start - this.nowUs;
    }
    if (random.chance(o.reorder ?? 0)) at += random.below(20_000);
    const one = { at, order: this.order++, to, from: from.local, bytes, gsoBytes, flags };
    this.insert(one);
    if (random.chance(o.duplicate ?? 0)) {
      this.insert({ ...one, at: at + random.below(5000), order: this.order++ });
    }
  }

  private insert(f: Flying): void {
    let i = this.flying.length;
    while (i > 0 && this.flying[i - 1]!.at > f.at) i--;
    this.flying.splice(i, 0, f);
  }

  private deliverDue(): void {
    while (this.flying.length > 0 && this.flying[0]!.at <= this.nowUs) {
      const f = this.flying.shift()!;
      const p = f.to.pool;
      const isLarge = f.bytes.length > 1_900;
      const slot = isLarge ? p.takeBig() : p.take();
      if (slot < 0) {
        this.lost++;
        continue;
      }
      const at = p.base(slot) + HEADROOM_BYTES - 20;
      p.bytes.set(f.bytes, at);
      p.at[slot] = at;
      p.l4At[slot] = at;
      p.end[slot] = at + f.bytes.length;
      p.gsoBytes[slot] = f.gsoBytes;
      p.flags[slot] = f.flags;
      f.to.deliver(slot, f.from);
    }
  }
}

/** What a device makes of a large segment. */
function split(whole: Uint8Array, mss: number): Uint8Array[] {
  const header = wire.headerBytes(whole, 0);
  const flags = wire.flags(whole, 0);
  const out: Uint8Array[] = [];
  for (let at = header; at < whole.length; at += mss) {
    const data = whole.subarray(at, Math.min(at + mss, whole.length));
    const piece = new Uint8Array(header + data.length);
    piece.set(whole.subarray(0, header));
    piece.set(data, header);
    wire.writeNumbers(piece, 0, wire.seq(whole, 0) + at - header, wire.ack(whole, 0));
    const isLast = at + mss >= whole.length;
    piece[13] = isLast ? flags : flags & ~(wire.FIN | wire.PSH);
    out.push(piece);
  }
  assert.ok(out.length > 0);
  return out;
}
