/** What options of datagram sockets do to frames: the kernel's and Millrace's, seen by a peer made by hand. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { finish, sum } from "../../src/base/checksum.js";
import type { Device } from "../../src/nic/device.js";
import { openMemif } from "../../src/nic/memif.js";
import { openTap } from "../../src/nic/tap.js";
import type { Pool } from "../../src/ring/pool.js";
import { createPool } from "../../src/socket/create-host.js";
import { enterNamespace, ip } from "../support/namespace.js";
import { arpReply, bytesOf, ipv4, RawHost, type Received, u16 } from "../support/raw-frames.js";
import { runCase } from "./support/run-case.js";

await enterNamespace(import.meta.url, "ip");

const PROGRAM = fileURLToPath(new URL("programs/on-the-wire.js", import.meta.url));
const TAP = "mrwire0";
const [OWN, PEER, BROADCAST, GROUP] = ["10.79.5.2", "10.79.5.1", "10.79.5.255", "239.79.5.1"];
const numbers = (address: string): number[] => address.split(".").map(Number);

/** A host of a few lines behind a device: it answers ARP, datagrams to port 7000, and turns down those to 7001. */
class Peer {
  /** What there is to say of each frame of IPv4. */
  readonly seen: string[] = [];
  private readonly host: RawHost;
  private readonly timer: NodeJS.Timeout;

  constructor(pool: Pool, device: Device) {
    this.host = new RawHost(pool, device);
    this.host.onFrame = (frame) => this.take(frame);
    this.timer = setInterval(() => this.host.poll(), 1);
  }

  close(): void {
    clearInterval(this.timer);
    this.host.device.close();
  }

  private take({ bytes }: Received): void {
    const { mac } = this.host.device;
    const type = (bytes[12]! << 8) | bytes[13]!;
    if (type === 0x0806 && bytes[21] === 1 && bytes.subarray(38, 42).join(".") === PEER) {
      this.host.send(arpReply(bytes, mac));
      return;
    }
    if (type !== 0x0800 || bytes[23] !== 17) return;
    const isUnicast = bytes.subarray(0, 6).join() === mac.join();
    const packet = bytes.subarray(14);
    const [tos, length] = [packet[1], (packet[2]! << 8) | packet[3]!];
    const [fragment, ttl] = [(packet[6]! << 8) | packet[7]!, packet[8]];
    const to = packet.subarray(16, 20).join(".");
    const isFirst = (fragment & 0x1fff) === 0;
    const ports = isFirst ? packet.subarray(20, 24).join() : "";
    const text = Buffer.from(packet.subarray(isFirst ? 28 : 20, length)).toString("latin1", 0, 20);
    const where = isUnicast ? "" : bytes.subarray(0, 6).join(":");
    this.seen.push(
      `${to} ${where} ${tos} ${ttl} ${fragment.toString(16)} ${length} ${ports} ${text}`,
    );
    if (text === "question") this.answer(bytes, 17, udp(7_000, 6_000, Buffer.from("answer")));
    if (text.startsWith("nobody")) this.answer(bytes, 1, unreachable(packet.subarray(0, 28)));
  }

  private answer(asked: Uint8Array, protocol: number, payload: Uint8Array): void {
    const { mac } = this.host.device;
    const to = asked.subarray(6, 12);
    this.host.send(ipv4(to, mac, protocol, numbers(PEER), numbers(OWN), payload));
  }
}

/** Without a checksum, as IPv4 allows. */
const udp = (from: number, to: number, data: Uint8Array): Uint8Array =>
  bytesOf(u16(from), u16(to), u16(8 + data.length), 0, 0, data);

/** ICMP "port unreachable" about a packet. */
function unreachable(quoted: Uint8Array): Uint8Array {
  const message = bytesOf(3, 3, 0, 0, 0, 0, 0, 0, quoted);
  message.set(u16(finish(sum(message, 0, message.length, 0))), 2);
  return message;
}

test("a peer sees the same frames, and the program hears the same, on the kernel and on Millrace", async () => {
  const pool = createPool({ smallSlots: 1_024, bigSlots: 64, shared: true });
  const kernel = new Peer(pool, openTap(pool, { name: TAP }));
  const path = `@millrace-wire-${process.pid}`;
  const millrace = new Peer(pool, openMemif(pool, { path, role: "server" }));
  after(() => {
    kernel.close();
    millrace.close();
  });
  ip("address", "add", `${OWN}/24`, "brd", "+", "dev", TAP);
  ip("link", "set", TAP, "up");
  ip("route", "add", "default", "via", PEER);
  const args = [OWN, PEER, BROADCAST, GROUP];
  const device = {
    MILLRACE_NIC: `memif:${path}`,
    MILLRACE_ADDRESS: `${OWN}/24`,
    MILLRACE_GATEWAY: PEER,
  };
  const onKernel = await runCase(PROGRAM, { accelerated: false, args });
  assert.equal(onKernel.status, 0, onKernel.stdout + onKernel.stderr);
  ip("address", "del", `${OWN}/24`, "dev", TAP);
  const onMillrace = await runCase(PROGRAM, { accelerated: true, args, env: device });
  assert.deepEqual(onMillrace.stdout.split("\n"), onKernel.stdout.split("\n"), onMillrace.stderr);
  assert.equal(onMillrace.status, 0, onMillrace.stderr);
  assert.deepEqual(millrace.seen, kernel.seen);
  assert.ok(kernel.seen.length >= 15, kernel.seen.join("\n"));
  assert.match(onMillrace.stderr, /enabled bypass on udp bind .*: the address is Millrace's/);
});
