/** What examples that answer or wrap packets make of them, read by the stack's own formats. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { finish, sum } from "../../src/base/checksum.js";
import { XdpInstance } from "../../src/ebpf/instance.js";
import { parseObject } from "../../src/ebpf/object.js";
import { XdpVerdict } from "../../src/ebpf/xdp-verdict.js";
import { compileExample } from "../support/xdp-objects.js";

const MACS = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
const CLIENT = [192, 0, 2, 7];
const SERVICE = [198, 51, 100, 1];

const checksum = (b: Uint8Array, at: number, end: number): number =>
  finish(sum(b, at, end - at, 0));

/** A UDP datagram to port 80 of the service. */
function frameOf(lengthBytes: number): Uint8Array {
  const frame = new Uint8Array(lengthBytes);
  frame.set([...MACS, 8, 0, 0x45, 0]);
  const view = new DataView(frame.buffer);
  view.setUint16(16, lengthBytes - 14);
  frame.set([64, 17, 0, 0, ...CLIENT, ...SERVICE], 22);
  view.setUint16(24, checksum(frame, 14, 34));
  view.setUint16(34, 4000);
  view.setUint16(36, 80);
  view.setUint16(38, lengthBytes - 34);
  return frame;
}

const open = (name: string): XdpInstance =>
  XdpInstance.open(parseObject(compileExample(name, "v3")), { program: name });
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("too_big answers a long packet with its beginning, and lets shorter ones pass", () => {
  const program = open("too_big");
  const long = frameOf(1400);
  const { verdict, packet } = program.run(long);
  assert.equal(verdict, XdpVerdict.TX);
  assert.equal(packet.length, 14 + 20 + 8 + 64);
  assert.deepEqual([...packet.subarray(0, 12)], [...MACS.slice(6), ...MACS.slice(0, 6)]);
  assert.deepEqual([...packet.subarray(26, 34)], [...SERVICE, ...CLIENT]);
  assert.equal(checksum(packet, 14, 34), 0);
  // Destination unreachable, fragmentation needed; the MTU of the next hop.
  assert.deepEqual([...packet.subarray(34, 36), ...packet.subarray(38, 42)], [3, 4, 0, 0, 2, 88]);
  assert.equal(checksum(packet, 34, packet.length), 0);
  assert.equal(text(packet.subarray(42)), text(long.subarray(14, 14 + 64)));
  const short = frameOf(614);
  assert.deepEqual(program.run(short).packet, short);
  assert.equal(program.run(short).verdict, XdpVerdict.PASS);
});

test("vip_tunnel wraps what goes to a service, and nothing else", () => {
  const program = open("vip_tunnel");
  const frame = frameOf(100);
  assert.equal(program.run(frame).verdict, XdpVerdict.PASS);
  const key = new Uint8Array(20);
  key.set(SERVICE);
  key.set([0, 80, 17, 4], 16);
  const value = new Uint8Array(40);
  value.set([10, 0, 0, 1], 0);
  value.set([10, 0, 0, 2], 16);
  value.set([2, 0, 0, 0, 0, 9], 32);
  assert.equal(program.map("vips").set(key, value), 0);
  const { verdict, packet } = program.run(frame);
  assert.equal(verdict, XdpVerdict.TX);
  assert.deepEqual([...packet.subarray(0, 12)], [2, 0, 0, 0, 0, 9, ...MACS.slice(0, 6)]);
  assert.equal(checksum(packet, 14, 34), 0);
  assert.deepEqual(
    [...packet.subarray(23, 24), ...packet.subarray(26, 34)],
    [4, 10, 0, 0, 1, 10, 0, 0, 2],
  );
  assert.equal(text(packet.subarray(34)), text(frame.subarray(14)));
});
