/**
 * Conformance below TCP: raw frames against a host, Linux or Millrace. Frames are byte lists built
 * here, as plainly as the RFCs draw them; nothing of the code under test is used to make or read them.
 */
import assert from "node:assert/strict";
import type { TestedHost } from "../../src/sim/scripted-peer.js";

export type Bytes = readonly number[];

/** A case of `ip-cases/`. */
export interface IpCase {
  /** Starts with the section, and the requirement's number where the RFC gives one. */
  readonly title: string;
  readonly notOnLinux?: string;
  readonly run: (w: World) => Promise<void>;
}

export const u16 = (v: number): number[] => [(v >> 8) & 255, v & 255];
export const u32 = (v: number): number[] => [...u16(v >>> 16), ...u16(v & 0xffff)];
/** `n` bytes that count up. */
export const counting = (n: number): number[] => Array.from({ length: n }, (_, i) => i & 255);

/** Internet checksum (RFC 1071). */
export function checksum(...parts: Bytes[]): number[] {
  const all = parts.flat();
  if (all.length % 2 === 1) all.push(0);
  let total = 0;
  for (let i = 0; i < all.length; i += 2) total += all[i]! * 256 + all[i + 1]!;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return u16(~total & 0xffff);
}

/** Bytes of `text`, dotted or with colons (one `::` at most). */
export function address(text: string): number[] {
  if (!text.includes(":")) return text.split(".").map(Number);
  const [head = "", tail] = text.split("::");
  const words = (half: string): number[] =>
    half === "" ? [] : half.split(":").map((w) => Number.parseInt(w, 16));
  const left = words(head);
  const right = tail === undefined ? [] : words(tail);
  const middle = new Array<number>(8 - left.length - right.length).fill(0);
  return [...left, ...middle, ...right].flatMap(u16);
}

export interface V4Fields {
  readonly src?: Bytes;
  readonly dst?: Bytes;
  readonly ttl?: number;
  readonly id?: number;
  /** Byte offset of a fragment. */
  readonly offset?: number;
  readonly more?: boolean;
  readonly options?: Bytes;
  readonly badChecksum?: boolean;
  /** Ethernet destination and source. */
  readonly to?: Bytes;
  readonly from?: Bytes;
}

export interface V6Fields {
  readonly src?: Bytes;
  readonly dst?: Bytes;
  readonly hops?: number;
  readonly to?: Bytes;
  readonly from?: Bytes;
}

/** A frame that the host sent, taken apart as far as it goes. */
export class Seen {
  readonly b: Bytes;
  readonly atUs: number;

  constructor(frame: Uint8Array, atUs: number) {
    this.b = [...frame];
    this.atUs = atUs;
  }

  get to(): Bytes {
    return this.b.slice(0, 6);
  }
  get from(): Bytes {
    return this.b.slice(6, 12);
  }
  get isArp(): boolean {
    return this.b[12] === 8 && this.b[13] === 6;
  }
  get isV4(): boolean {
    return this.b[12] === 8 && this.b[13] === 0;
  }
  get isV6(): boolean {
    return this.b[12] === 0x86 && this.b[13] === 0xdd;
  }
  /** ARP fields by offset, or of the IP header. */
  at(offset: number, n = 1): Bytes {
    return this.b.slice(14 + offset, 14 + offset + n);
  }
  /** IPv4 header length. */
  get headerBytes(): number {
    return (this.b[14]! & 15) * 4;
  }
  get protocol(): number {
    return this.isV4 ? this.b[23]! : this.b[20]!;
  }
  get src(): Bytes {
    return this.isV4 ? this.at(12, 4) : this.at(8, 16);
  }
  get dst(): Bytes {
    return this.isV4 ? this.at(16, 4) : this.at(24, 16);
  }
  get ttl(): number {
    return this.isV4 ? this.b[22]! : this.b[21]!;
  }
  get id(): number {
    return this.b[18]! * 256 + this.b[19]!;
  }
  get more(): boolean {
    return (this.b[20]! & 0x20) !== 0;
  }
  get offset(): number {
    return ((this.b[20]! & 0x1f) * 256 + this.b[21]!) * 8;
  }
  /** What follows the IP header; of IPv6 a hop-by-hop header is skipped. */
  get payload(): Bytes {
    if (this.isV4) {
      const total = this.b[16]! * 256 + this.b[17]!;
      return this.b.slice(14 + this.headerBytes, 14 + total);
    }
    const end = 54 + this.b[18]! * 256 + this.b[19]!;
    const skip = this.b[20] === 0 ? (this.b[55]! + 1) * 8 : 0;
    return this.b.slice(54 + skip, end);
  }
  /** ICMP of the frame's own version. */
  isIcmp(type: number, code?: number): boolean {
    const isIcmp = this.isV4 ? this.protocol === 1 : this.isV6 && this.upper === 58;
    return isIcmp && this.payload[0] === type && (code === undefined || this.payload[1] === code);
  }
  /** Next header of IPv6 after a hop-by-hop header. */
  get upper(): number {
    return this.b[20] === 0 ? this.b[54]! : this.b[20]!;
  }
  get text(): string {
    return Buffer.from(this.b.slice(0, 90)).toString("hex");
  }
}

const ALL_ONES = [255, 255, 255, 255, 255, 255];

/** A host and its peer, who has the addresses .2 and ::2; .3, ::3 and more are free to be played. */
export class World {
  readonly host: TestedHost;
  readonly mac: Bytes;
  readonly hostMac: Bytes;
  /** The host's and the peer's addresses. */
  readonly h4: Bytes;
  readonly p4: Bytes;
  readonly h6: Bytes;
  readonly p6: Bytes;
  private readonly seen: Seen[] = [];

  constructor(host: TestedHost, mac: Bytes, peer4: string, peer6: string) {
    this.host = host;
    this.mac = mac;
    this.hostMac = [...host.mac];
    this.p4 = address(peer4);
    this.p6 = address(peer6);
    this.h4 = this.other4(1);
    this.h6 = this.other6(1);
  }

  /** Another address of the link's network. */
  other4(last: number): Bytes {
    return [...this.p4.slice(0, 3), last];
  }
  other6(last: number): Bytes {
    return [...this.p6.slice(0, 15), last];
  }
  text4(last: number): string {
    return this.other4(last).join(".");
  }
  text6(last: number): string {
    const a = this.other6(last);
    const word = (i: number): string => ((a[2 * i]! << 8) | a[2 * i + 1]!).toString(16);
    return Array.from({ length: 8 }, (_, i) => word(i)).join(":");
  }
  /** A neighbour's link address. */
  otherMac(last: number): Bytes {
    return [2, 0, 0, 9, 9, last];
  }
  get solicitedNode(): Bytes {
    return [...address("ff02::1:ff00:0").slice(0, 13), ...this.h6.slice(13)];
  }

  send(frame: Bytes): void {
    const padded =
      frame.length < 60 ? [...frame, ...new Array<number>(60 - frame.length).fill(0)] : frame;
    this.host.deliver(Uint8Array.from(padded));
  }

  /** The first frame that matches, of those that came and those that come in time. */
  async expect(what: string, matches: (f: Seen) => boolean, withinS = 0.3): Promise<Seen> {
    const found = await this.find(matches, withinS);
    const recent = this.seen.map((f) => f.text).join("\n  ");
    assert.ok(found !== null, `expected ${what}; the host sent:\n  ${recent}`);
    return found;
  }

  async expectNone(what: string, matches: (f: Seen) => boolean, forS = 0.1): Promise<void> {
    const found = await this.find(matches, forS);
    assert.equal(found?.text, undefined, `expected no ${what}`);
  }

  private async find(matches: (f: Seen) => boolean, withinS: number): Promise<Seen | null> {
    const slackUs = this.host.toleranceUs;
    const untilUs = this.host.nowUs() + withinS * 1e6 + slackUs;
    const early = this.seen.findIndex(matches);
    if (early >= 0) return this.seen.splice(early, 1)[0]!;
    for (;;) {
      const got = await this.host.nextFrame(untilUs);
      if (got === null) return null;
      const seen = new Seen(got.frame, got.atUs);
      if (matches(seen)) return seen;
      this.seen.push(seen);
    }
  }

  /** Lets time pass; what comes is kept. */
  async wait(seconds: number): Promise<void> {
    await this.find(() => false, seconds);
  }

  /** Forgets what the host sent so far. */
  forget(): void {
    this.seen.length = 0;
  }

  /** A call of the program; see docs/scripts.md. `socket` names one of its sockets. */
  async call(text: string, socket = 1): Promise<string> {
    const [name = "", ...args] = text.split(" ");
    const peer = { mac: Uint8Array.from(this.mac), address: this.host.address, port: 0, iss: 0 };
    return await this.host.call(name, args, peer, socket);
  }

  async expectCall(text: string, result: string, socket = 1): Promise<void> {
    assert.equal(await this.call(text, socket), result, text);
  }

  ethernet(type: number, payload: Bytes, to: Bytes = this.hostMac, from: Bytes = this.mac): Bytes {
    return [...to, ...from, ...u16(type), ...payload];
  }

  broadcast(type: number, payload: Bytes): Bytes {
    return this.ethernet(type, payload, ALL_ONES);
  }

  ip4(protocol: number, payload: Bytes, f: V4Fields = {}): Bytes {
    const options = f.options ?? [];
    const headerBytes = 20 + options.length;
    const head = (sum: Bytes): number[] => [
      0x40 | (headerBytes / 4),
      0,
      ...u16(headerBytes + payload.length),
      ...u16(f.id ?? 1),
      ...u16(((f.offset ?? 0) >> 3) | (f.more === true ? 0x2000 : 0)),
      f.ttl ?? 64,
      protocol,
      ...sum,
      ...(f.src ?? this.p4),
      ...(f.dst ?? this.h4),
      ...options,
    ];
    const sum = checksum(head([0, 0]));
    if (f.badChecksum === true) sum[0]! ^= 0x55;
    return this.ethernet(0x0800, [...head(sum), ...payload], f.to, f.from);
  }

  ip6(next: number, payload: Bytes, f: V6Fields = {}): Bytes {
    const head = [0x60, 0, 0, 0, ...u16(payload.length), next, f.hops ?? 64];
    const packet = [...head, ...(f.src ?? this.p6), ...(f.dst ?? this.h6), ...payload];
    return this.ethernet(0x86dd, packet, f.to, f.from);
  }

  pseudo(isV4: boolean, protocol: number, n: number, f: V4Fields | V6Fields = {}): Bytes {
    if (isV4) return [...(f.src ?? this.p4), ...(f.dst ?? this.h4), 0, protocol, ...u16(n)];
    return [...(f.src ?? this.p6), ...(f.dst ?? this.h6), ...u32(n), 0, 0, 0, protocol];
  }

  /** A UDP datagram from port 9000, its checksum made for IPv4 or IPv6 and the addresses given. */
  udp(isV4: boolean, port: number, data: Bytes, f: V4Fields | V6Fields = {}): Bytes {
    const n = 8 + data.length;
    const head = [...u16(9000), ...u16(port), ...u16(n)];
    const sum = checksum(this.pseudo(isV4, 17, n, f), head, [0, 0], data);
    return [...head, ...sum, ...data];
  }

  icmp4(type: number, code: number, rest: Bytes): Bytes {
    return [type, code, ...checksum([type, code, 0, 0], rest), ...rest];
  }

  icmp6(type: number, code: number, rest: Bytes, f: V6Fields = {}): Bytes {
    const pseudo = this.pseudo(false, 58, 4 + rest.length, f);
    return [type, code, ...checksum(pseudo, [type, code, 0, 0], rest), ...rest];
  }

  echo4(data: Bytes = counting(16), f: V4Fields = {}): Bytes {
    return this.ip4(1, this.icmp4(8, 0, [0, 7, 0, 1, ...data]), f);
  }

  echo6(data: Bytes = counting(16), f: V6Fields = {}): Bytes {
    return this.icmp6(128, 0, [0, 7, 0, 1, ...data], f);
  }

  arp(operation: number, sender: Bytes, senderIp: Bytes, target: Bytes, targetIp: Bytes): Bytes {
    return [0, 1, 8, 0, 6, 4, ...u16(operation), ...sender, ...senderIp, ...target, ...targetIp];
  }
}

export const same = (a: Bytes, b: Bytes): boolean =>
  a.length === b.length && a.every((v, i) => v === b[i]);
