/** Frames, pools and devices for this folder's tests. */
import assert from "node:assert/strict";
import { put16, u16 } from "../base/bytes.js";
import { finish, fold, sum } from "../base/checksum.js";
import { IpAddress } from "../base/ip-address.js";
import { NEVER } from "../base/time.js";
import { Arena } from "../ring/arena.js";
import { BATCH_FRAMES, Batch } from "../ring/batch.js";
import { FrameFlags, Pool, PoolMemory } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as ethernet from "../wire/ethernet.js";
import * as ipProtocol from "../wire/ip-protocol.js";
import * as ipv4 from "../wire/ipv4.js";
import * as ipv6 from "../wire/ipv6.js";
import * as pseudoHeader from "../wire/pseudo-header.js";
import * as tcp from "../wire/tcp.js";
import * as udp from "../wire/udp.js";
import type { Device } from "./device.js";
import { DeviceTally } from "./device-tally.js";
import { takeFor } from "./frame-slots.js";

export function makePool(smallSlots = 256, bigSlots = 16): Pool {
  const size = { smallSlots, bigSlots };
  return new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(size) + 65_536), size));
}

/** Asserts that no slot is held. */
export function assertAllFree(pool: Pool): void {
  const m = pool.memory;
  assert.equal(pool.freeSmall, m.smallSlots, "small slots are free");
  assert.equal(pool.freeBig, m.slots - m.smallSlots, "big slots are free");
}

export interface FrameSpec {
  readonly v6?: boolean;
  readonly protocol?: "tcp" | "udp";
  readonly payload?: Uint8Array;
  readonly srcPort?: number;
  readonly seq?: number;
  readonly ack?: number;
  readonly window?: number;
  readonly flags?: number;
  /** TCP option bytes, a multiple of four. */
  readonly options?: readonly number[];
  readonly id?: number;
  /** Makes it a GSO frame of pieces of this size, with an unmade checksum. */
  readonly gsoBytes?: number;
  readonly partial?: boolean;
}

const SRC4 = IpAddress.parse("192.0.2.1");
const DST4 = IpAddress.parse("192.0.2.2");
const SRC6 = IpAddress.parse("2001:db8::1");
const DST6 = IpAddress.parse("2001:db8::2");
export const SRC_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const DST_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);

/** `n` bytes that differ from place to place. */
export const pattern = (n: number, from = 0): Uint8Array =>
  Uint8Array.from({ length: n }, (_, i) => (Math.imul(i + from + 1, 40503) >>> 7) & 0xff);

/** A frame in a slot of `pool`, valid in every field. */
export function frame(pool: Pool, s: FrameSpec = {}): number {
  const isTcp = (s.protocol ?? "tcp") === "tcp";
  const payload = s.payload ?? pattern(10);
  const optionBytes = isTcp ? (s.options?.length ?? 0) : 0;
  const l4Bytes = isTcp ? tcp.HEADER_BYTES + optionBytes : udp.HEADER_BYTES;
  const ipBytes = s.v6 === true ? ipv6.HEADER_BYTES : ipv4.HEADER_BYTES;
  const slot = takeFor(pool, ethernet.HEADER_BYTES + ipBytes + l4Bytes + payload.length);
  assert.ok(slot >= 0, "the pool has a slot for the test");
  const b = pool.bytes;
  const at = pool.at[slot]!;
  const l3 = at + ethernet.HEADER_BYTES;
  const l4 = l3 + ipBytes;
  const length = l4Bytes + payload.length;
  const protocol = isTcp ? ipProtocol.TCP : ipProtocol.UDP;
  const type = s.v6 === true ? ethernet.TYPE_IPV6 : ethernet.TYPE_IPV4;
  ethernet.write(b, at, DST_MAC, SRC_MAC, type);
  if (s.v6 === true) {
    ipv6.write(b, l3, length, protocol, SRC6, DST6);
  } else {
    ipv4.write(b, l3, ipBytes + length, protocol, SRC4.w3, DST4.w3);
    ipv4.setId(b, l3, s.id ?? 0);
    ipv4.fillChecksum(b, l3);
  }
  if (isTcp) {
    tcp.writePorts(b, l4, s.srcPort ?? 1000, 80);
    tcp.writeNumbers(b, l4, s.seq ?? 1, s.ack ?? 1);
    tcp.writeControl(b, l4, l4Bytes, s.flags ?? tcp.ACK, s.window ?? 1000);
    b.set(s.options ?? [], l4 + tcp.HEADER_BYTES);
  } else {
    udp.write(b, l4, s.srcPort ?? 1000, 7, payload.length);
  }
  b.set(payload, l4 + l4Bytes);
  const pseudoSum = s.v6 === true ? pseudoHeader.sum6 : pseudoHeader.sum4;
  const pseudo = pseudoSum(b, l3, protocol, length);
  const offset = isTcp ? tcp.CHECKSUM_AT : udp.CHECKSUM_AT;
  pool.csumStart[slot] = l4;
  pool.csumOffset[slot] = offset;
  if (s.partial === true || s.gsoBytes !== undefined) {
    put16(b, l4 + offset, fold(pseudo));
    pool.flags[slot] = FrameFlags.CHECKSUM_PARTIAL;
  } else {
    const value = finish(sum(b, l4, length, pseudo));
    put16(b, l4 + offset, value === 0 && !isTcp ? 0xffff : value);
  }
  if (s.gsoBytes !== undefined) {
    pool.gsoBytes[slot] = s.gsoBytes;
    const tso = s.v6 === true ? FrameFlags.GSO_TCP6 : FrameFlags.GSO_TCP4;
    pool.flags[slot] = pool.flags[slot]! | (isTcp ? tso : FrameFlags.GSO_UDP);
  }
  return slot;
}

export interface Parsed {
  readonly v6: boolean;
  readonly isTcp: boolean;
  readonly payload: Uint8Array;
  readonly seq: number;
  readonly flags: number;
  readonly id: number;
  readonly options: readonly number[];
  /** "good" when every checksum is right, "partial" when only the pseudo-header's is there. */
  readonly checksum: "good" | "partial" | "bad";
}

/** Takes a frame apart, copies what it holds, and asserts that its lengths are right. */
export function parse(b: Uint8Array, at: number, end: number): Parsed {
  assert.equal(ethernet.check(b, at, end), Drop.NONE);
  const l3 = ethernet.payloadAtOut;
  const v6 = ethernet.etherTypeOut === ethernet.TYPE_IPV6;
  assert.equal(v6 ? ipv6.check(b, l3, end) : ipv4.check(b, l3, end), Drop.NONE);
  assert.equal(v6 ? ipv6.endOf(b, l3) : ipv4.endOf(b, l3), end, "the IP length is the frame's");
  const l4 = v6 ? l3 + ipv6.HEADER_BYTES : ipv4.payloadAt(b, l3);
  const protocol = v6 ? ipv6.nextHeader(b, l3) : ipv4.protocol(b, l3);
  const isTcp = protocol === ipProtocol.TCP;
  assert.equal(isTcp ? tcp.check(b, l4, end) : udp.check(b, l4, end), Drop.NONE);
  if (!isTcp) assert.equal(udp.endOf(b, l4), end, "the UDP length is the frame's");
  const payloadAt = isTcp ? tcp.payloadAt(b, l4) : udp.payloadAt(b, l4);
  const pseudo = (v6 ? pseudoHeader.sum6 : pseudoHeader.sum4)(b, l3, protocol, end - l4);
  const field = u16(b, l4 + (isTcp ? tcp.CHECKSUM_AT : udp.CHECKSUM_AT));
  const isGood = fold(sum(b, l4, end - l4, pseudo)) === 0xffff;
  const isIpGood = v6 || ipv4.checksumIsValid(b, l3);
  const isPartial = field === fold(pseudo);
  return {
    v6,
    isTcp,
    payload: b.slice(payloadAt, end),
    seq: isTcp ? tcp.seq(b, l4) : 0,
    flags: isTcp ? tcp.flags(b, l4) : 0,
    id: v6 ? 0 : ipv4.id(b, l3),
    options: isTcp ? [...b.subarray(l4 + tcp.HEADER_BYTES, payloadAt)] : [],
    checksum: !isIpGood ? "bad" : isGood ? "good" : isPartial ? "partial" : "bad",
  };
}

export const parseSlot = (pool: Pool, slot: number): Parsed =>
  parse(pool.bytes, pool.at[slot]!, pool.end[slot]!);

export function batchOf(...slots: number[]): Batch {
  const batch = new Batch();
  for (const slot of slots) batch.put(slot);
  return batch;
}

/** Everything that a device has received until `nowUs`, batch after batch; the caller's. */
export function receiveAll(device: Device, nowUs: number): number[] {
  const out: number[] = [];
  for (;;) {
    const batch = new Batch();
    device.receive(nowUs, batch);
    out.push(...batch.slots.subarray(0, batch.n));
    if (batch.n === 0) return out;
  }
}

/** A device whose `accepts` says how many frames it takes; it keeps them in `taken`. */
export class FakeDevice implements Device {
  readonly name = "fake";
  readonly kind = "fake";
  readonly mac = SRC_MAC;
  readonly mtuBytes = 1_500;
  readonly isUp = true;
  readonly wakeFd = -1;
  readonly counters = new DeviceTally("fake").counters;
  capabilities: number;
  accepts = Number.POSITIVE_INFINITY;
  readonly taken: number[] = [];
  /** Slots that `receive` hands on. */
  readonly arriving: number[] = [];
  readonly pool: Pool;

  constructor(pool: Pool, capabilities = 0) {
    this.pool = pool;
    this.capabilities = capabilities;
  }

  receive(_nowUs: number, batch: Batch): void {
    while (batch.n < BATCH_FRAMES && this.arriving.length > 0) batch.put(this.arriving.shift()!);
  }

  transmit(_nowUs: number, batch: Batch): number {
    const n = Math.min(this.accepts, batch.n);
    this.accepts -= n;
    this.taken.push(...batch.slots.subarray(0, n));
    return n;
  }

  flush(): void {}

  nextDeadlineUs(): number {
    return NEVER;
  }

  close(): void {
    for (const slot of [...this.taken.splice(0), ...this.arriving.splice(0)]) this.pool.give(slot);
  }
}
