/**
 * A device whose other end is the kernel's, which has 10.77.0.1 there: a TAP, or one end of a veth. And
 * what tests of devices say over it, in frames made by hand.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import { finish, sum } from "../../src/base/checksum.js";
import type { Device } from "../../src/nic/device.js";
import { openTap, type TapDevice, type TapOptions } from "../../src/nic/tap.js";
import { Batch } from "../../src/ring/batch.js";
import type { Pool } from "../../src/ring/pool.js";
import { interfaceMac } from "../../src/sys/tap.js";
import { ip } from "./namespace.js";
import {
  arpReply,
  bytesOf,
  icmpEcho,
  ipv4,
  newPool,
  pseudoSum,
  RawHost,
  u16,
  u32,
} from "./raw-frames.js";
import { addVeth } from "./test-link.js";

export const KERNEL: number[] = [10, 77, 0, 1];
export const OURS: number[] = [10, 77, 0, 2];

export interface DeviceLink<D extends Device = Device> {
  readonly host: RawHost;
  readonly device: D;
  /** The kernel's interface. */
  readonly far: string;
}

export interface VethOptions {
  readonly mtuBytes?: number;
  readonly queues?: number;
}

let links = 0;

/** On a new veth; closed, its slots counted, when the test ends. */
export function vethLink<D extends Device>(
  t: TestContext,
  { mtuBytes, queues }: VethOptions,
  open: (pool: Pool, interfaceName: string) => D,
): DeviceLink<D> {
  const [near, far] = [`dn${links}`, `df${links++}`];
  addVeth(near, far, mtuBytes, queues);
  ip("address", "add", "10.77.0.1/24", "dev", far);
  const pool = newPool({ smallSlots: 1024, bigSlots: 64 });
  const free = [pool.freeSmall, pool.freeBig];
  const device = open(pool, near);
  t.after(() => {
    device.close();
    ip("link", "delete", far);
    assert.deepEqual([pool.freeSmall, pool.freeBig], free, "every slot is back");
  });
  return { host: new RawHost(pool, device), device, far };
}

/** On a new TAP; closed, its slots counted, when the test ends. */
export function tapLink(t: TestContext, options: TapOptions = {}): DeviceLink<TapDevice> {
  const pool = newPool();
  const free = [pool.freeSmall, pool.freeBig];
  const device = openTap(pool, { name: `mrt${links++}`, ...options });
  ip("address", "add", "10.77.0.1/24", "dev", device.name);
  t.after(() => {
    device.close();
    assert.deepEqual([pool.freeSmall, pool.freeBig], free, "every slot is back");
  });
  return { host: new RawHost(pool, device), device, far: device.name };
}

export const isEthertype = (bytes: Uint8Array, type: number): boolean =>
  ((bytes[12]! << 8) | bytes[13]!) === type;
export const isArp = (bytes: Uint8Array, operation: number): boolean =>
  isEthertype(bytes, 0x0806) && bytes[21] === operation;
export const isIpv4 = (bytes: Uint8Array, protocol: number): boolean =>
  isEthertype(bytes, 0x0800) && bytes[23] === protocol;
export const isEchoReply = (bytes: Uint8Array): boolean => isIpv4(bytes, 1) && bytes[34] === 0;

/** For `host.onFrame`: the kernel learns our address. */
export const answerArp =
  (host: RawHost) =>
  (frame: { readonly bytes: Uint8Array }): void => {
    if (isArp(frame.bytes, 1)) host.send(arpReply(frame.bytes, host.device.mac));
  };

/** The kernel knows our address, and does not ask. */
export function introduce({ device, far }: DeviceLink): void {
  const mac = [...device.mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  ip("neighbour", "replace", "10.77.0.2", "lladdr", mac, "dev", far);
}

/** An echo request of so many bytes goes out, and the answer comes back whole; whether in a big slot. */
export async function exchangeEcho(link: DeviceLink, payloadBytes: number): Promise<boolean> {
  const { host, device, far } = link;
  const payload = Uint8Array.from({ length: payloadBytes }, (_, i) => i * 7);
  const before = host.frames.length;
  host.onFrame = answerArp(host);
  host.send(ipv4(interfaceMac(far), device.mac, 1, OURS, KERNEL, icmpEcho(8, 77, payload)));
  const answer = await host.expect(
    `echo of ${payloadBytes} bytes`,
    (f) => isEchoReply(f.bytes) && host.frames.indexOf(f) >= before,
  );
  assert.deepEqual(answer.bytes.subarray(42, 42 + payloadBytes), payload);
  return answer.isBig;
}

/** For `host.onFrame`: answers ARP, and every SYN, so that a sender begins. */
export function acceptTcp(host: RawHost): (frame: { readonly bytes: Uint8Array }) => void {
  const synAck = (syn: Uint8Array) => {
    const seq = ((syn[38]! << 24) | (syn[39]! << 16) | (syn[40]! << 8) | syn[41]!) + 1;
    const ports = [...syn.subarray(36, 38), ...syn.subarray(34, 36)];
    const options = [2, 4, ...u16(1460), 1, 3, 3, 7];
    const header = [...ports, ...u32(1), ...u32(seq), 0x70, 0x12, 0xff, 0xff, 0, 0, 0, 0];
    const segment = bytesOf(header, options);
    const pseudo = pseudoSum(OURS, KERNEL, 6, segment.length);
    segment.set(u16(finish(sum(segment, 0, segment.length, pseudo))), 16);
    return ipv4(syn.slice(6, 12), host.device.mac, 6, OURS, KERNEL, segment);
  };
  return (frame) => {
    answerArp(host)(frame);
    const isSyn = isIpv4(frame.bytes, 6) && frame.bytes[47] === 2;
    if (isSyn) host.send(synAck(frame.bytes));
  };
}

/** A receive long after the others, which asks about the link. */
export function askLater({ device, pool }: RawHost): void {
  const batch = new Batch();
  device.receive(10_000_000, batch);
  for (let i = 0; i < batch.n; i++) pool.give(batch.slots[i]!);
}

/** Mappings of sockets, and open descriptors. */
export const resources = (): [number, number] => [
  readFileSync("/proc/self/maps", "utf8").split("socket:").length - 1,
  readdirSync("/proc/self/fd").length,
];

/** Perl: 20,000 bytes that leave as one, to be split into datagrams of 1,000. */
export const UDP_SEGMENTS = `
  use Socket; socket(S, AF_INET, SOCK_DGRAM, 17) or die;
  setsockopt(S, 17, 103, pack("i", 1000)) or die "UDP_SEGMENT: $!";
  send(S, "u" x 20000, 0, pack_sockaddr_in(9, inet_aton("10.77.0.2"))) or die "send: $!";`;

/** Perl: a datagram from each of 64 ports, so that every queue gets some. */
export const MANY_FLOWS = `
  use Socket;
  for my $port (20000..20063) {
    socket(S, AF_INET, SOCK_DGRAM, 17) or die;
    bind(S, pack_sockaddr_in($port, inet_aton("10.77.0.1"))) or die;
    send(S, "flow", 0, pack_sockaddr_in(9, inet_aton("10.77.0.2"))) or die "send: $!";
  }`;

/** Perl: says how long each of five datagrams to port 7777 is, and its last byte. */
export const UDP_LENGTHS = `
  use Socket; $| = 1; socket(S, AF_INET, SOCK_DGRAM, 17) or die;
  bind(S, pack_sockaddr_in(7777, INADDR_ANY)) or die; print "ready\\n";
  for (1..5) { recv(S, $_, 65536, 0); print length($_), substr($_, -1), "\\n"; }`;

/**
 * What `node -e` runs to open a device in another process: prints its name, or the error's message.
 * `open` is a call of what `src/nic/MODULE` exports; `end` comes after it.
 */
export function openElsewhere(
  module: string,
  open: string,
  end = "process.exit(0);",
  dist = new URL("../../", import.meta.url).href,
): string[] {
  const script = `
    import * as nic from "${dist}src/nic/${module}.js";
    import { newPool } from "${dist}test/support/raw-frames.js";
    try {
      console.log("opened", nic.${open}.name);
    } catch (error) { console.log(error.message); }
    ${end}`;
  return [process.execPath, "--input-type=module", "-e", script];
}
