/**
 * What the steering program is to do, written to be obvious: plain sets of text, no speed, nothing
 * shared with the program but names. `docs/steering.md` says the same in prose.
 */
import { IpAddress } from "../../src/base/ip-address.js";
import type { SteeringCounterName } from "../../src/nic/steering-counters.js";

export interface Steered {
  readonly isTaken: boolean;
  readonly reason: SteeringCounterName;
}

interface Upper {
  readonly family: 4 | 6;
  /** As texts that are equal exactly when the addresses are. */
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly at: number;
  /** Of a fragment: what it is known by. */
  readonly fragment: string | null;
  readonly isLater: boolean;
}

export interface Ends {
  readonly protocol: number;
  readonly local: IpAddress;
  readonly localPort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;
}

const TCP = 6;
const UDP = 17;
/** Headers are followed up to here. */
const LAST_HEADER_AT = 0x3fff;

/** Ends the way of a frame. */
class Pass {
  readonly reason: SteeringCounterName;

  constructor(reason: SteeringCounterName) {
    this.reason = reason;
  }
}

export class SteeringModel {
  readonly vlan: readonly number[];
  readonly totals = new Map<SteeringCounterName, number>();
  /** `protocol local port remote port`, `protocol local port`, with addresses as in {@link hex}. */
  readonly flows = new Set<string>();
  readonly ports = new Set<string>();
  /** TCP connections that the kernel has, as in `flows`; those on which nothing but listens are none. */
  readonly kernelFlows = new Set<string>();
  /** Null: every address. */
  addresses: Set<string> | null = null;
  private readonly fragments = new Set<string>();

  constructor(vlan: readonly number[]) {
    this.vlan = vlan;
  }

  steer(frame: Uint8Array): Steered {
    const result = this.decide(frame);
    this.totals.set(result.reason, (this.totals.get(result.reason) ?? 0) + 1);
    return result;
  }

  /** The ends of the flow that an untagged frame is of, or that it quotes; null for others. */
  endsOf(frame: Uint8Array): Ends | null {
    let seen: Ends | null = null;
    const spy = new SteeringModel([]);
    spy.claimOf = (protocol, local, localPort, remote, remotePort) => {
      const [a, b] = [addressOf(local), addressOf(remote)];
      seen = { protocol, local: a, localPort, remote: b, remotePort };
      return null;
    };
    spy.decide(frame);
    return seen;
  }

  private decide(frame: Uint8Array): Steered {
    try {
      return { isTaken: true, reason: this.take(frame) };
    } catch (error) {
      if (error instanceof Pass) return { isTaken: false, reason: error.reason };
      throw error;
    }
  }

  private take(frame: Uint8Array): SteeringCounterName {
    const { type, at } = this.readEthernet(frame);
    if (type !== 0x0800 && type !== 0x86dd) throw new Pass("notIp");
    const packet = type === 0x0800 ? readIpv4(frame, at) : readIpv6(frame, at, true);
    if (packet.isLater) {
      if (this.fragments.has(packet.fragment!)) return "fragments";
      throw new Pass("unknownFragments");
    }
    const isError = packet.protocol === (packet.family === 4 ? 1 : 58) && packet.fragment === null;
    if (isError) return this.takeError(frame, packet);
    const [remotePort, localPort] = readPorts(frame, packet);
    const ends = [packet.protocol, packet.dst, localPort, packet.src, remotePort] as const;
    const claim = this.claimOf(...ends);
    const isKernels = !isFirstSegment(frame, packet) && this.isKernels(claim, ends);
    if (packet.fragment !== null) {
      if (claim === null || isKernels) this.fragments.delete(packet.fragment);
      else this.fragments.add(packet.fragment);
    }
    if (claim === null) throw new Pass("unclaimed");
    if (isKernels) throw new Pass("kernelFlows");
    return claim;
  }

  private readEthernet(frame: Uint8Array): { type: number; at: number } {
    need(frame, 0, 14);
    let type = be16(frame, 12);
    let at = 14;
    const ids: number[] = [];
    for (let tags = 0; type === 0x8100 || type === 0x88a8; tags++) {
      if (tags === 2) throw new Pass("otherVlans");
      need(frame, at, 4);
      const id = be16(frame, at) & 0xfff;
      type = be16(frame, at + 2);
      at += 4;
      if (id === 0) continue;
      if (id !== this.vlan[ids.length]) throw new Pass("otherVlans");
      ids.push(id);
    }
    if (ids.length !== this.vlan.length) throw new Pass("otherVlans");
    return { type, at };
  }

  private takeError(frame: Uint8Array, packet: Upper): SteeringCounterName {
    const { family, at, dst } = packet;
    need(frame, at, 8 + (family === 4 ? 20 : 40));
    const type = frame[at]!;
    const isError = family === 4 ? [3, 11, 12].includes(type) : type >= 1 && type <= 4;
    if (!isError) throw new Pass("otherProtocols");
    const quoted = family === 4 ? readIpv4(frame, at + 8) : readIpv6(frame, at + 8, false, dst);
    if (quoted.isLater) throw new Pass("unknownFragments");
    if (quoted.src !== dst) throw new Pass("unclaimed");
    const [localPort, remotePort] = readPorts(frame, quoted);
    const ends = [quoted.protocol, quoted.src, localPort, quoted.dst, remotePort] as const;
    const claim = this.claimOf(...ends);
    if (claim === null) throw new Pass("unclaimed");
    if (this.isKernels(claim, ends)) throw new Pass("kernelFlows");
    return "errors";
  }

  /** What is claimed exactly is Millrace's, whatever the kernel has. */
  private isKernels(
    claim: SteeringCounterName | null,
    ends: Readonly<Parameters<typeof flowText>>,
  ): boolean {
    return claim !== "flows" && ends[0] === TCP && this.kernelFlows.has(flowText(...ends));
  }

  private claimOf(
    protocol: number,
    local: string,
    localPort: number,
    remote: string,
    remotePort: number,
  ): SteeringCounterName | null {
    const isGroup = isMulticast(local);
    if (this.flows.has(flowText(protocol, local, localPort, remote, remotePort))) return "flows";
    if (this.ports.has(portText(protocol, local, localPort))) return isGroup ? "groups" : "ports";
    if (isGroup) {
      return protocol === UDP && this.ports.has(portText(UDP, local, 0)) ? "groups" : null;
    }
    const any = local.length === 8 ? "00000000" : "0".repeat(32);
    if (!this.ports.has(portText(protocol, any, localPort))) return null;
    return this.addresses === null || this.addresses.has(local) ? "ports" : null;
  }
}

export const flowText = (p: number, l: string, lp: number, r: string, rp: number): string =>
  `${p} ${l} ${lp} ${r} ${rp}`;
export const portText = (p: number, l: string, lp: number): string => `${p} ${l} ${lp}`;

/** Eight digits for IPv4, thirty-two for IPv6. */
export const hex = (b: Uint8Array): string => Buffer.from(b).toString("hex");

function addressOf(text: string): IpAddress {
  const bytes = Buffer.from(text, "hex");
  const address = new IpAddress();
  if (bytes.length === 4) address.read4(bytes, 0);
  else address.read6(bytes, 0);
  return address;
}

const isMulticast = (address: string): boolean =>
  address.length === 8 ? address[0] === "e" : address.startsWith("ff");

const be16 = (b: Uint8Array, at: number): number => (b[at]! << 8) | b[at + 1]!;

function need(frame: Uint8Array, at: number, n: number): void {
  if (at + n > frame.length) throw new Pass("malformed");
}

function readPorts(frame: Uint8Array, { protocol, at }: Upper): [src: number, dst: number] {
  if (protocol !== TCP && protocol !== UDP) throw new Pass("otherProtocols");
  need(frame, at, 4);
  return [be16(frame, at), be16(frame, at + 2)];
}

/** SYN without ACK; flags that are not there are not set. */
function isFirstSegment(frame: Uint8Array, { protocol, at }: Upper): boolean {
  return protocol === TCP && ((frame[at + 13] ?? 0) & 0x12) === 0x02;
}

function readIpv4(frame: Uint8Array, at: number): Upper {
  need(frame, at, 20);
  const lengthBytes = (frame[at]! & 15) * 4;
  if (frame[at]! >> 4 !== 4 || lengthBytes < 20) throw new Pass("malformed");
  const src = hex(frame.subarray(at + 12, at + 16));
  const dst = hex(frame.subarray(at + 16, at + 20));
  const protocol = frame[at + 9]!;
  const flags = be16(frame, at + 6);
  const isLater = (flags & 0x1fff) !== 0;
  const isFragment = isLater || (flags & 0x2000) !== 0;
  const fragment = isFragment ? `${src} ${dst} ${be16(frame, at + 4)} ${protocol}` : null;
  return { family: 4, src, dst, protocol, at: at + lengthBytes, fragment, isLater };
}

/** `sender`: what the source must be, of a quoted packet; it is looked at before the extensions. */
function readIpv6(frame: Uint8Array, start: number, isOuter: boolean, sender?: string): Upper {
  need(frame, start, 40);
  if (frame[start]! >> 4 !== 6) throw new Pass("malformed");
  const src = hex(frame.subarray(start + 8, start + 24));
  const dst = hex(frame.subarray(start + 24, start + 40));
  if (isOuter && dst.startsWith(`${"0".repeat(20)}ffff`)) throw new Pass("malformed");
  if (sender !== undefined && src !== sender) throw new Pass("unclaimed");
  let protocol = frame[start + 6]!;
  let at = start + 40;
  let fragment: string | null = null;
  for (let n = 0; n < 8; n++) {
    const isExtension = [43, 44, 51, 60].includes(protocol) || (protocol === 0 && n === 0);
    if (!isExtension) break;
    need(frame, at, 8);
    const [next = 0, length = 0, , segments = 0] = frame.subarray(at, at + 4);
    if (protocol === 43 && segments !== 0) throw new Pass("otherProtocols");
    if (protocol === 44) {
      const word = be16(frame, at + 2);
      const id = `${src} ${dst} ${hex(frame.subarray(at + 4, at + 8))}`;
      at += 8;
      if ((word & 0xfff8) !== 0) {
        return { family: 6, src, dst, protocol: 44, at, fragment: id, isLater: true };
      }
      if ((word & 1) !== 0 && isOuter) fragment = id;
    } else {
      at += protocol === 51 ? (length! + 2) * 4 : (length! + 1) * 8;
    }
    if (at > LAST_HEADER_AT) throw new Pass("otherProtocols");
    protocol = next!;
  }
  return { family: 6, src, dst, protocol, at, fragment, isLater: false };
}
