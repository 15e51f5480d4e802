/** The judge of all captures must itself find what is wrong. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { finish, sum } from "../../src/base/checksum.js";
import { openTap } from "../../src/nic/tap.js";
import { assertCleanCapture, Capture, fieldOf, packets } from "./capture.js";
import { enterNamespace, ip, needsRoot } from "./namespace.js";
import { arpRequest, bytesOf, icmpEcho, ipv4, newPool, RawHost, u16 } from "./raw-frames.js";

await enterNamespace(import.meta.url, "tcpdump", "tshark");

const KERNEL = [10, 77, 0, 1];
const OURS = [10, 77, 0, 2];
/** One packet is listed, and it is ours: the kernel's own (multicast joins) may lie anywhere between. */
const ONE_OF_OURS = /malformed or bad checksum:\n +\d+ [^\n]*10\.77\.0\.2 → [^\n]*(\n(?! +\d)|$)/;

/** A capture of these frames as they pass a TAP. */
async function captureOf(t: TestContext, makeFrames: (mac: Uint8Array) => Uint8Array[]) {
  const folder = mkdtempSync(join(tmpdir(), "millrace-capture-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const pool = newPool();
  const device = openTap(pool, { name: "cap%d", offload: false });
  t.after(() => device.close());
  ip("addr", "add", "10.77.0.1/24", "dev", device.name);
  const host = new RawHost(pool, device);
  const file = join(folder, "capture.pcap");
  const capture = await Capture.start(device.name, file);
  for (const frame of makeFrames(device.mac)) host.send(frame);
  await capture.stop();
  return file;
}

const echo = (mac: Uint8Array, from = OURS) =>
  ipv4(bytesOf(2, 0, 0, 0, 0, 1), mac, 1, from, KERNEL, icmpEcho(8, 1, bytesOf(1, 2, 3)));

/** The frame with one byte changed. */
function spoil(frame: Uint8Array, at: number): Uint8Array {
  frame[at]! ^= 0xff;
  return frame;
}

const udp = (mac: Uint8Array, checksum: number) => {
  const datagram = bytesOf(u16(40_000), u16(53), u16(11), u16(checksum), 9, 9, 9);
  return ipv4(bytesOf(2, 0, 0, 0, 0, 1), mac, 17, OURS, KERNEL, datagram);
};

test("good packets are clean, opaque payloads on known ports included", {
  skip: needsRoot(),
}, async (t) => {
  const file = await captureOf(t, (mac) => [arpRequest(mac, OURS, KERNEL), echo(mac), udp(mac, 0)]);
  assertCleanCapture(file);
  assert.equal(packets(file, "icmp.type == 8").length, 1);
});

test("a bad IP, ICMP or UDP checksum and a packet cut short are each found", {
  skip: needsRoot(),
}, async (t) => {
  const wrong: [string, (mac: Uint8Array) => Uint8Array][] = [
    ["IP checksum", (mac) => spoil(echo(mac), 24)],
    ["ICMP checksum", (mac) => spoil(echo(mac), 36)],
    ["UDP checksum", (mac) => udp(mac, 0x1234)],
    ["cut short", (mac) => echo(mac).subarray(0, 30)],
  ];
  for (const [what, make] of wrong) {
    await t.test(what, async (inner) => {
      const file = await captureOf(inner, (mac) => [echo(mac), make(mac)]);
      assert.throws(() => assertCleanCapture(file), ONE_OF_OURS);
    });
  }
});

/** A port unreachable error from `OURS` that quotes a datagram whose checksum nobody has made. */
const unreachable = (mac: Uint8Array) => {
  const datagram = udp(mac, 0x1234).subarray(14);
  const error = bytesOf(3, 3, u16(0), 0, 0, 0, 0, datagram);
  error.set(u16(finish(sum(error, 0, error.length, 0))), 2);
  return ipv4(bytesOf(2, 0, 0, 0, 0, 1), mac, 1, OURS, KERNEL, error);
};

test("what an ICMP error quotes may have an unmade checksum; its own must be right", {
  skip: needsRoot(),
}, async (t) => {
  const file = await captureOf(t, (mac) => [echo(mac), unreachable(mac)]);
  assertCleanCapture(file);
  assert.deepEqual(fieldOf(file, "icmp.type", "icmp"), ["8", "3"]);
  const spoilt = await captureOf(t, (mac) => [echo(mac), spoil(unreachable(mac), 36)]);
  assert.throws(() => assertCleanCapture(spoilt), ONE_OF_OURS);
});

test("a capture that is missing or empty is no evidence", { skip: needsRoot() }, async (t) => {
  assert.throws(() => assertCleanCapture("/nonexistent.pcap"), /tshark cannot read/);
  const file = await captureOf(t, () => []);
  // The kernel's own first frames (multicast joins) may be there.
  if (packets(file).length === 0) assert.throws(() => assertCleanCapture(file), /holds no packet/);
});
