import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, frame, hex } from "../../test/vectors/frames.js";
import { IpAddress } from "../base/ip-address.js";
import * as arp from "./arp.js";
import { Drop } from "./drop.js";
import { formatAddress, parseAddress } from "./ethernet.js";

const word = (text: string): number => IpAddress.parse(text).w3;

test("a request from a real network is read", () => {
  const b = frame("arpRequest");
  assert.equal(arp.check(b, 14, b.length), Drop.NONE);
  assert.equal(arp.operation(b, 14), arp.REQUEST);
  assert.equal(arp.senderIp(b, 14), word("192.168.1.104"));
  assert.equal(arp.targetIp(b, 14), word("192.168.1.1"));
  assert.equal(formatAddress(b, 14 + arp.SENDER_MAC), "00:1f:29:da:2d:79");
});

test("a packet cut short anywhere is ARP_TRUNCATED", () => {
  const b = frame("arpRequest");
  for (let n = 0; n < arp.PACKET_BYTES; n++) {
    assert.equal(arp.check(b, 14, 14 + n), Drop.ARP_TRUNCATED, `${n} bytes`);
  }
  assert.equal(arp.check(b, 14, 14 + arp.PACKET_BYTES), Drop.NONE);
});

test("the writers make the bytes of a real exchange, even in a dirty buffer", () => {
  const request = new Uint8Array(30).fill(0xa5);
  const mac = parseAddress("00:1f:29:da:2d:79");
  arp.writeRequest(request, 1, mac, word("192.168.1.104"), word("192.168.1.1"));
  assert.equal(hex(request), `a5${hex(frame("arpRequest"), 14, 42)}a5`);

  const reply = new Uint8Array(28).fill(0xa5);
  arp.writeReply(reply, 0, parseAddress("02:00:00:00:00:01"), request, 1);
  assert.equal(
    hex(reply),
    "0001080006040002 020000000001 c0a80101 001f29da2d79 c0a80168".replaceAll(" ", ""),
  );
});

for (const [what, change, drop] of [
  ["another hardware type", [1, 6], Drop.ARP_BAD_FORMAT],
  ["another protocol", [2, 0x86], Drop.ARP_BAD_FORMAT],
  ["a hardware address of 7 bytes", [4, 7], Drop.ARP_BAD_FORMAT],
  ["a protocol address of 3 bytes", [5, 3], Drop.ARP_BAD_FORMAT],
  ["operation 3 (RARP)", [7, 3], Drop.ARP_BAD_OPERATION],
  ["a multicast sender", [8, 1], Drop.ARP_BAD_ADDRESS],
] as const) {
  test(`${what} is refused`, () => {
    const b = frame("arpRequest").subarray(14);
    b[change[0]] = change[1];
    assert.equal(arp.check(b, 0, b.length), drop);
  });
}

test("a zero sender hardware address is refused", () => {
  const b = bytes("0001080006040001 000000000000 c0a80168 000000000000 c0a80101");
  assert.equal(arp.check(b, 0, b.length), Drop.ARP_BAD_ADDRESS);
});
