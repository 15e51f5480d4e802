/**
 * For tests: one host whose link ends in the test's hands, so that frames are written and read byte
 * by byte. The peer is 10.0.0.2, fd00::2 and fe80::2, at {@link PEER_MAC}. Not shipped behaviour.
 */
import { finish, sum } from "../base/checksum.js";
import { IpAddress } from "../base/ip-address.js";
import { takeFor } from "../nic/frame-slots.js";
import type { SimDevice } from "../nic/sim-link.js";
import { simLink } from "../nic/sim-link.js";
import { Batch } from "../ring/batch.js";
import type { Interface } from "./interface.js";
import type { InterfaceOptions } from "./owned-interface.js";
import { TestHost } from "./stack-fixture.js";

export const HOST_MAC: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 0x0a);
export const PEER_MAC: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 0x0b);
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
export const ARP = 0x0806;

export type Part = number | Uint8Array | readonly number[];

/** Numbers, bytes and addresses one after the other. */
export function bytesOf(...parts: readonly Part[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((p) => (typeof p === "number" ? [p] : [...p])));
}

export const be16 = (v: number): number[] => [(v >>> 8) & 255, v & 255];
export const be32 = (v: number): number[] => [...be16(v >>> 16), ...be16(v & 0xffff)];

/** The 4 or 16 bytes of an address. */
export function addressBytes(text: string): Uint8Array {
  const a = IpAddress.parse(text);
  const b = new Uint8Array(16);
  a.write6(b, 0);
  return a.isV4 ? b.slice(12) : b;
}

export interface Header4 {
  readonly src?: string;
  readonly dst?: string;
  readonly protocol?: number;
  readonly ttl?: number;
  readonly id?: number;
  /** Flags and offset field. */
  readonly fragment?: number;
  readonly options?: readonly number[];
}

/** An IPv4 packet from the peer. */
export function packet4(payload: Uint8Array, h: Header4 = {}): Uint8Array {
  const options = h.options ?? [];
  const headerBytes = 20 + options.length;
  const p = bytesOf(
    0x40 | (headerBytes >>> 2),
    0,
    be16(headerBytes + payload.length),
    be16(h.id ?? 1),
    be16(h.fragment ?? 0),
    h.ttl ?? 64,
    h.protocol ?? 17,
    [0, 0],
    addressBytes(h.src ?? "10.0.0.2"),
    addressBytes(h.dst ?? "10.0.0.1"),
    options,
    payload,
  );
  p.set(be16(finish(sum(p, 0, headerBytes, 0))), 10);
  return p;
}

export interface Header6 {
  readonly src?: string;
  readonly dst?: string;
  readonly next?: number;
  readonly hops?: number;
}

/** An IPv6 packet from the peer; `payload` starts with the header that `next` says. */
export function packet6(payload: Uint8Array, h: Header6 = {}): Uint8Array {
  return bytesOf(
    [0x60, 0, 0, 0],
    be16(payload.length),
    h.next ?? 17,
    h.hops ?? 64,
    addressBytes(h.src ?? "fd00::2"),
    addressBytes(h.dst ?? "fd00::1"),
    payload,
  );
}

/** An upper-layer message with its checksum over the pseudo-header put at `checksumAt`. */
export function checksummed(
  message: Uint8Array,
  checksumAt: number,
  protocol: number,
  src: string,
  dst: string,
): Uint8Array {
  const whole = bytesOf(
    addressBytes(src),
    addressBytes(dst),
    be32(message.length),
    be32(protocol),
    message,
  );
  const result = message.slice();
  result.set(be16(finish(sum(whole, 0, whole.length, 0))), checksumAt);
  return result;
}

/** An ICMPv4 message with its checksum. */
export function icmp4(type: number, code: number, ...rest: readonly Part[]): Uint8Array {
  const m = bytesOf(type, code, [0, 0], ...rest);
  m.set(be16(finish(sum(m, 0, m.length, 0))), 2);
  return m;
}

/** An ICMPv6 packet from `src` to `dst`. */
export function icmp6(
  src: string,
  dst: string,
  hops: number,
  ...message: readonly Part[]
): Uint8Array {
  const m = checksummed(bytesOf(...message), 2, 58, src, dst);
  return packet6(m, { src, dst, hops, next: 58 });
}

/** A UDP datagram without checksum (IPv4 only). */
export const udp4 = (srcPort: number, dstPort: number, payload: Uint8Array): Uint8Array =>
  bytesOf(be16(srcPort), be16(dstPort), be16(8 + payload.length), [0, 0], payload);

/** A host with 10.0.0.1/24 and fd00::1/64, and the other end of its link. */
export class Wire {
  readonly host: TestHost = new TestHost(1);
  private readonly other: TestHost = new TestHost(2);
  readonly iface: Interface;
  readonly device: SimDevice;
  private readonly end: SimDevice;
  private readonly batch = new Batch();
  nowUs = 1_000_000;

  constructor(options: InterfaceOptions = {}, mtuBytes = 1500) {
    const ends = simLink(this.host.pool, this.other.pool, { mtuBytes });
    this.device = ends.a;
    this.end = ends.b;
    this.host.ip.nowUs = this.nowUs;
    const addresses = ["10.0.0.1/24", "fd00::1/64"];
    this.iface = this.host.ip.addInterface(ends.a, { addresses, ...options });
    this.sent();
  }

  /** Puts a frame on the wire and lets the host have its turn. */
  frame(
    type: number,
    packet: Uint8Array,
    dst: Uint8Array = HOST_MAC,
    src: Uint8Array = PEER_MAC,
  ): void {
    this.raw(bytesOf(dst, src, be16(type), packet));
  }

  /** {@link frame} from its first byte on. */
  raw(b: Uint8Array): void {
    const { pool } = this.other;
    const slot = takeFor(pool, b.length);
    pool.bytes.set(b, pool.at[slot]!);
    this.batch.n = 0;
    this.batch.put(slot);
    this.end.transmit(this.nowUs, this.batch);
    this.turn();
  }

  v4(packet: Uint8Array): void {
    this.frame(IPV4, packet);
  }

  v6(packet: Uint8Array): void {
    this.frame(IPV6, packet);
  }

  /** An ARP message from a station. */
  arp(op: number, mac: Uint8Array, sender: string, target = "10.0.0.1"): void {
    const body = bytesOf([0, 1, 8, 0, 6, 4], be16(op), mac, addressBytes(sender));
    this.frame(ARP, bytesOf(body, HOST_MAC, addressBytes(target)), HOST_MAC, mac);
  }

  /** The peer's addresses are known, and stay so. */
  knowPeer(): void {
    for (const text of ["10.0.0.2", "fd00::2", "fe80::2"]) {
      this.host.ip.neighbours.addPermanent(this.iface, IpAddress.parse(text), 0x0200, 0x0b);
    }
  }

  turn(): void {
    this.host.ip.receiveAll(this.nowUs);
    this.host.ip.runTimers(this.nowUs);
    this.host.ip.flush(this.nowUs);
  }

  /** Lets time pass, stopping at every deadline. */
  pass(us: number): void {
    const until = this.nowUs + us;
    for (let n = 0; n < 100_000; n++) {
      this.turn();
      const next = this.host.ip.nextDeadlineUs();
      if (next > until) break;
      this.nowUs = Math.max(this.nowUs, next);
    }
    this.nowUs = until;
    this.turn();
  }

  /** Frames that the host sent since the last call. */
  sent(): Uint8Array[] {
    const frames: Uint8Array[] = [];
    this.host.ip.flush(this.nowUs);
    for (;;) {
      this.batch.n = 0;
      this.end.receive(this.nowUs, this.batch);
      if (this.batch.n === 0) return frames;
      const { pool } = this.other;
      for (let i = 0; i < this.batch.n; i++) {
        const slot = this.batch.slots[i]!;
        frames.push(pool.bytes.slice(pool.at[slot]!, pool.end[slot]!));
        pool.give(slot);
      }
      this.batch.n = 0;
    }
  }

  /** The ICMP or ICMPv6 errors among {@link sent}: [type, code, the word after the checksum]. */
  errors(): number[][] {
    const errors: number[][] = [];
    for (const f of this.sent()) {
      const isV6 = ((f[12]! << 8) | f[13]!) === IPV6;
      const at = isV6 ? 54 : 14 + (f[14]! & 15) * 4;
      const isError = isV6
        ? f[20] === 58 && f[at]! < 128
        : f[12] === 8 && f[13] === 0 && f[23] === 1 && f[at] !== 0 && f[at] !== 8;
      const word = new DataView(f.buffer, f.byteOffset);
      if (isError) errors.push([f[at]!, f[at + 1]!, word.getUint32(at + 4)]);
    }
    return errors;
  }

  drops(name: Parameters<TestHost["drops"]>[0]): number {
    return this.host.drops(name);
  }

  assertNothingHeld(): void {
    this.sent();
    this.host.assertNothingHeld();
  }
}
