/**
 * Random frames for the steering program: few addresses, ports and identifications, so that claims,
 * fragments and quoted packets meet often; then damage.
 */
import { put16, put32 } from "../../src/base/bytes.js";
import { IpAddress } from "../../src/base/ip-address.js";
import type { Random } from "../../src/base/random.js";

const TCP = 6;
const UDP = 17;

const parse = (text: string): IpAddress => IpAddress.parse(text);
/** Hosts, groups and oddities, each family's; the last IPv6 one is IPv4's and cannot be claimed. */
export const ADDRESSES_4 = [
  "10.0.0.1",
  "10.0.0.2",
  "10.0.1.9",
  "224.0.0.251",
  "255.255.255.255",
].map(parse);
export const ADDRESSES_6 = ["fd00::1", "fd00::2", "2001:db8::9", "ff02::fb", "::ffff:10.0.0.1"].map(
  parse,
);
export const PORTS = [53, 80, 443, 5353, 40_000] as const;
/** What nobody claims, but for groups that claim every port. */
const OTHER_PORTS = [22, 443 + 64, 5060] as const;
export const PROTOCOLS = [TCP, UDP] as const;

const EXTENSIONS = [0, 43, 44, 51, 60] as const;
const UPPERS_4 = [TCP, TCP, UDP, UDP, UDP, 1, 1, 2, 47, 58] as const;
const UPPERS_6 = [TCP, TCP, UDP, UDP, UDP, 58, 58, 1, 59] as const;
const ERRORS_4 = [0, 3, 3, 5, 8, 11, 12] as const;
const ERRORS_6 = [0, 1, 2, 3, 4, 5, 128, 135] as const;

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)]!;
}

/** Builds frames front to back in one buffer. */
export class FrameMaker {
  private readonly random: Random;
  private readonly b = new Uint8Array(2048);
  private at = 0;

  constructor(random: Random) {
    this.random = random;
  }

  /** A fresh frame, sometimes with tags, sometimes damaged. */
  make(vlan: readonly number[]): Uint8Array {
    const { random, b } = this;
    for (let i = 0; i < b.length; i += 4) put32(b, i, random.int32());
    this.at = 12;
    this.writeTags(vlan);
    if (random.chance(0.5)) {
      this.put(0x0800);
      this.writeIpv4(0, null);
    } else {
      this.put(random.chance(0.98) ? 0x86dd : 0x0806);
      this.writeIpv6(0, null);
    }
    const frame = b.slice(0, Math.max(60, this.at + random.below(20)));
    return random.chance(0.3) ? damage(frame, random) : frame;
  }

  private put(word: number): void {
    put16(this.b, this.at, word);
    this.at += 2;
  }

  private writeTags(vlan: readonly number[]): void {
    const { random } = this;
    const ids: number[] = [...vlan];
    if (random.chance(0.1)) ids.splice(random.below(ids.length + 1), 0, 0);
    if (random.chance(0.05)) ids.push(1 + random.below(5));
    if (random.chance(0.05)) ids.pop();
    for (const id of ids) {
      this.put(random.chance(0.7) ? 0x8100 : 0x88a8);
      this.put((random.below(16) << 12) | id);
    }
  }

  /** `sender`: the source, for a quoted packet. */
  private writeIpv4(depth: number, sender: IpAddress | null): void {
    const { random, b, at } = this;
    const words = random.chance(0.8) ? 5 : 5 + random.below(11);
    const protocol = pick(random, UPPERS_4);
    b[at] = 0x40 | words;
    put16(b, at + 2, words * 4 + 20);
    put16(b, at + 4, random.below(4));
    put16(b, at + 6, this.fragmentWord(0x2000, 1 + random.below(0x1fff)));
    b[at + 9] = protocol;
    const dst = pick(random, ADDRESSES_4);
    (sender ?? pick(random, ADDRESSES_4)).write4(b, at + 12);
    dst.write4(b, at + 16);
    this.at += words * 4;
    if (protocol === 1) this.writeError(depth, pick(random, ERRORS_4), dst, false);
    else this.writePorts();
  }

  private writeIpv6(depth: number, sender: IpAddress | null): void {
    const { random, b, at } = this;
    b[at] = 0x60;
    const dst = pick(random, ADDRESSES_6);
    (sender ?? pick(random, ADDRESSES_6)).write6(b, at + 8);
    dst.write6(b, at + 24);
    this.at += 40;
    const extensions = random.chance(0.6) ? 0 : random.below(random.chance(0.9) ? 4 : 10);
    let nextAt = at + 6;
    for (let n = 0; n < extensions; n++) nextAt = this.writeExtension(nextAt, n);
    const protocol = pick(random, UPPERS_6);
    b[nextAt] = protocol;
    if (protocol === 58) this.writeError(depth, pick(random, ERRORS_6), dst, true);
    else this.writePorts();
  }

  /** Names itself at `nextAt`; where the header after it is to be named. */
  private writeExtension(nextAt: number, n: number): number {
    const { random, b, at } = this;
    const kinds = n === 0 || random.chance(0.05) ? EXTENSIONS : EXTENSIONS.slice(1);
    const kind = pick(random, kinds);
    b[nextAt] = kind;
    const units = random.below(3);
    b[at + 1] = kind === 51 ? 1 + units * 2 : units;
    if (kind === 43) b[at + 3] = random.chance(0.8) ? 0 : 1;
    if (kind === 44) {
      put16(b, at + 2, this.fragmentWord(1, (1 + random.below(0x1fff)) << 3));
      put32(b, at + 4, random.below(4));
    }
    if (kind === 51) this.at += (b[at + 1]! + 2) * 4;
    else this.at += kind === 44 ? 8 : (units + 1) * 8;
    return at;
  }

  /** Whole, first, middle or last: the first and last from time to time. */
  private fragmentWord(more: number, offset: number): number {
    const { random } = this;
    if (random.chance(0.7)) return 0;
    return (random.chance(0.6) ? more : 0) | (random.chance(0.5) ? offset : 0);
  }

  private writePorts(): void {
    const { random } = this;
    for (let n = 0; n < 2; n++) {
      this.put(random.chance(0.85) ? pick(random, PORTS) : pick(random, OTHER_PORTS));
    }
    this.at += 16;
  }

  /** An ICMP message that quotes a packet, mostly one that `sender` sent. */
  private writeError(depth: number, type: number, sender: IpAddress, isV6: boolean): void {
    const { random, b, at } = this;
    b[at] = type;
    this.at += 8;
    if (depth > 0) return;
    const from = random.chance(0.9) ? sender : null;
    if (isV6) this.writeIpv6(depth + 1, from);
    else this.writeIpv4(depth + 1, from);
  }
}

/** The frame with one to three bytes changed or its end cut off; at least 14 bytes stay. */
export function damage(frame: Uint8Array, random: Random): Uint8Array {
  const damaged = frame.slice();
  for (let n = random.below(3); n >= 0; n--) {
    damaged[random.below(Math.min(damaged.length, 120))] = random.int32();
  }
  if (random.chance(0.6)) return damaged;
  return damaged.subarray(0, 14 + random.below(damaged.length - 13));
}
