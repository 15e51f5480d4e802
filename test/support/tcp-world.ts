/**
 * A TCP engine with a fake host around it, in virtual time: what it sends is collected, timers are a
 * map, flows are a map. `TcpScript` and `TcpPipe` drive it.
 */
import assert from "node:assert/strict";
import { IpAddress } from "../../src/base/ip-address.js";
import { Random } from "../../src/base/random.js";
import { Arena } from "../../src/ring/arena.js";
import { FrameFlags, HEADROOM_BYTES, Pool, PoolMemory } from "../../src/ring/pool.js";
import { SegmentInfo } from "../../src/tcp/segment-info.js";
import type { TcpSettings } from "../../src/tcp/settings.js";
import { State } from "../../src/tcp/state.js";
import type { Tcb } from "../../src/tcp/tcb.js";
import { Tcp } from "../../src/tcp/tcp.js";
import type { TcpHost } from "../../src/tcp/tcp-host.js";
import * as wire from "../../src/wire/tcp.js";

export interface WorldOptions {
  readonly settings?: Partial<TcpSettings>;
  readonly smallSlots?: number;
  readonly bigSlots?: number;
  readonly capacityRows?: number;
  readonly seed?: number;
  /** Segment limit of every path: TCP header and payload. */
  readonly limitBytes?: number;
  readonly gsoBytes?: number;
  /** Whether the sink only reads frames, as a device that has TX_BORROWS. */
  readonly borrows?: boolean;
  /** Whether short segments may be written in place, as for a device that has a lane. */
  readonly places?: boolean;
  readonly local?: string;
}

/** Takes a segment that the engine sent, with its slot. */
export type Sink = (slot: number, local: IpAddress, remote: IpAddress) => void;

export class TcpWorld implements TcpHost {
  readonly pool: Pool;
  readonly tcp: Tcp;
  readonly local: IpAddress;
  readonly timers = new Map<number, number>();
  readonly flows = new Map<string, number>();
  readonly listeners = new Map<number, number>();
  readonly releasedRows: number[] = [];
  readonly changedRows = new Set<number>();
  limitBytes: number;
  gsoBytes: number;
  /** Whether the sink only reads frames. */
  readonly borrows: boolean;
  nowUs = 0;
  sink: Sink | null = null;
  private readonly places: boolean;
  private readonly slots0: number;
  private placed = { slot: -1, bytes: 0 };
  private readonly info = new SegmentInfo();
  private readonly a = new IpAddress();
  private readonly b = new IpAddress();

  constructor(options: WorldOptions = {}) {
    const size = { smallSlots: options.smallSlots ?? 512, bigSlots: options.bigSlots ?? 16 };
    const arena = new Arena(PoolMemory.sizeBytes(size) + 65_536);
    this.pool = new Pool(new PoolMemory(arena, size));
    this.local = IpAddress.parse(options.local ?? "10.0.0.1");
    this.limitBytes = options.limitBytes ?? 1480;
    this.gsoBytes = options.gsoBytes ?? 0;
    this.borrows = options.borrows ?? false;
    this.places = options.places ?? false;
    this.slots0 = this.freeSlots;
    this.tcp = new Tcp({
      slots: this.pool,
      host: this,
      random: new Random(options.seed ?? 1),
      secret: Uint8Array.from({ length: 16 }, (_, i) => i + (options.seed ?? 1)),
      capacityRows: options.capacityRows ?? 64,
      ...(options.settings ? { settings: options.settings } : {}),
    });
  }

  get freeSlots(): number {
    return this.pool.freeSmall + this.pool.freeBig;
  }

  /** Asserts that nothing is left: rows, slots, flows. */
  assertClean(): void {
    assert.equal(this.tcp.rows, 0, "rows left");
    assert.equal(this.freeSlots, this.slots0, "slots left");
    assert.equal(this.flows.size, 0, "flows left");
    assert.equal(this.tcp.tcb.loss.rows, 0, "loss rows left");
  }

  // What the engine asks of its host.

  transmit(c: Tcb, slot: number): void {
    this.addresses(c);
    if (this.sink === null) this.pool.give(slot);
    else this.sink(slot, this.a, this.b);
  }
  place(c: Tcb, bytes: number): number {
    if (!this.places) return -1;
    const slot = this.pool.take();
    if (slot < 0) return -1;
    this.addresses(c);
    this.placed = { slot, bytes };
    return this.pool.base(slot) + HEADROOM_BYTES;
  }
  sendPlaced(): void {
    const { slot, bytes } = this.placed;
    const at = this.pool.base(slot) + HEADROOM_BYTES;
    this.pool.at[slot] = at;
    this.pool.l4At[slot] = at;
    this.pool.end[slot] = at + bytes;
    this.pool.csumStart[slot] = at;
    this.pool.csumOffset[slot] = wire.CHECKSUM_AT;
    this.pool.flags[slot] = FrameFlags.CHECKSUM_PARTIAL;
    this.pool.gsoBytes[slot] = 0;
    if (this.sink === null) this.pool.give(slot);
    else this.sink(slot, this.a, this.b);
  }
  transmitUnbound(
    local: IpAddress,
    remote: IpAddress,
    _ifIndex: number,
    slot: number,
    _tos: number,
  ): void {
    if (this.sink === null) this.pool.give(slot);
    else this.sink(slot, local, remote);
  }
  bindFlow(c: Tcb): boolean {
    const key = this.keyOf(c);
    if (this.flows.has(key)) return false;
    this.flows.set(key, c.row);
    return true;
  }
  findListener(_local: IpAddress, _remote: IpAddress, ports: number): number {
    return this.listeners.get(ports >>> 16) ?? -1;
  }
  unbindFlow(c: Tcb): void {
    assert.equal(this.flows.get(this.keyOf(c)), c.row);
    this.flows.delete(this.keyOf(c));
  }
  armTimer(row: number, atUs: number): void {
    this.timers.set(row, atUs);
  }
  disarmTimer(row: number): void {
    this.timers.delete(row);
  }
  changed(c: Tcb): void {
    this.changedRows.add(c.row);
  }
  released(row: number): void {
    this.timers.delete(row);
    this.releasedRows.push(row);
  }
  segmentLimitBytes(_c: Tcb): number {
    return this.limitBytes;
  }
  borrowsFrames(): boolean {
    return this.borrows;
  }
  fill(): boolean {
    return false;
  }
  gsoLimitBytes(_c: Tcb): number {
    return this.gsoBytes;
  }
  confirmReachable(_c: Tcb): void {}
  adviseLoss(_c: Tcb): void {}

  // What a test does with it.

  /** A listener on `port`. */
  listen(port: number, backlog = 16): number {
    const row = this.tcp.create();
    this.tcp.setLocal(row, this.local, port);
    assert.equal(this.tcp.listen(row, backlog, this.nowUs), 0);
    this.listeners.set(port, row);
    return row;
  }

  /** A row whose SYN is out. */
  connect(remote: IpAddress, port: number, localPort = 40_000): number {
    const row = this.tcp.create();
    this.tcp.setLocal(row, this.local, localPort);
    this.tcp.setRemote(row, remote, port);
    assert.equal(this.tcp.connect(row, this.nowUs), -115);
    return row;
  }

  /** Delivers the segment in `slot` (`l4At` and `end` set), from `remote`; takes the slot. */
  deliver(slot: number, remote: IpAddress, tos = 0): void {
    const b = this.pool.bytes;
    const at = this.pool.l4At[slot]!;
    assert.equal(wire.check(b, at, this.pool.end[slot]!), 0, "the test sent a broken segment");
    this.info.local.setFrom(this.local);
    this.info.remote.setFrom(remote);
    this.info.tos = tos;
    const local = wire.dstPort(b, at);
    const key = `${this.local}:${local}-${remote}:${wire.srcPort(b, at)}`;
    const row = this.flows.get(key) ?? this.listeners.get(local);
    if (row === undefined) this.tcp.segmentUnmatched(slot, this.info, this.nowUs);
    else this.tcp.segmentArrives(row, slot, this.info, this.nowUs);
  }

  /** When the next timer is due; Infinity when none is. */
  nextTimerUs(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const at of this.timers.values()) least = Math.min(least, at);
    return least;
  }

  /** Fires what is due at `nowUs`, then flushes. */
  turn(nowUs: number): void {
    this.nowUs = nowUs;
    for (const [row, at] of [...this.timers]) {
      if (at > nowUs || this.timers.get(row) !== at) continue;
      this.timers.delete(row);
      this.tcp.timerExpired(row, nowUs);
    }
    this.tcp.flush(nowUs);
  }

  write(row: number, data: Uint8Array, flags = 0): number {
    return this.tcp.send(row, data, 0, data.length, flags, this.nowUs);
  }

  /** Reads at most `n` bytes; a number below 0 is an errno, null the end of data. */
  read(row: number, n = 65_536, flags = 0): Uint8Array | number | null {
    const into = new Uint8Array(n);
    const got = this.tcp.receive(row, into, 0, n, flags, this.nowUs);
    return got < 0 ? got : got === 0 ? null : into.subarray(0, got);
  }

  closeListener(port: number): void {
    this.tcp.close(this.listeners.get(port)!, this.nowUs);
    this.listeners.delete(port);
  }

  stateOf(row: number): number {
    return this.tcp.tcb.select(row).state;
  }

  static readonly State = State;

  private keyOf(c: Tcb): string {
    this.addresses(c);
    return `${this.a}:${c.localPort}-${this.b}:${c.remotePort}`;
  }

  private addresses(c: Tcb): void {
    const { i, addressAt } = c;
    this.a.set(i[addressAt]!, i[addressAt + 1]!, i[addressAt + 2]!, i[addressAt + 3]!);
    this.b.set(i[addressAt + 4]!, i[addressAt + 5]!, i[addressAt + 6]!, i[addressAt + 7]!);
  }
}
