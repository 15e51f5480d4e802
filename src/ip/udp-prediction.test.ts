/** The predicted path decides nothing differently: the same frames with and without it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IpAddress } from "../base/ip-address.js";
import type { UdpEndpoint } from "./udp-endpoint.js";
import {
  be16,
  bytesOf,
  checksummed,
  HOST_MAC,
  PEER_MAC,
  packet4,
  udp4,
  Wire,
} from "./wire-fixture.js";

const PAYLOAD = Uint8Array.from({ length: 21 }, (_, i) => i * 11);
const CHECKSUM_AT = 6;
const buffer = new Uint8Array(2_048);

/** A datagram to port 53 from 10.0.0.2:4000 as a frame, with its checksum. */
function datagram(src = "10.0.0.2", dst = "10.0.0.1", trailer = 0): Uint8Array {
  const message = checksummed(udp4(4000, 53, PAYLOAD), CHECKSUM_AT, 17, src, dst);
  const packet = packet4(message, { src, dst });
  return bytesOf(HOST_MAC, PEER_MAC, be16(0x0800), packet, new Uint8Array(trailer));
}

/** What is known of each queued datagram. */
function drain(e: UdpEndpoint): string[] {
  const seen: string[] = [];
  for (let n = e.receive(buffer, 0, 2_048); n >= 0; n = e.receive(buffer, 0, 2_048)) {
    const bytes = Buffer.from(buffer.subarray(0, n)).toString("hex");
    const about = `${e.from}:${e.fromPort} ${e.to} ${e.toIfIndex} ${e.receivedTtl} ${e.receivedTos}`;
    seen.push(`${about} ${e.rxTimeUs} ${bytes}`);
  }
  return seen;
}

function listening(): { wire: Wire; e: UdpEndpoint } {
  const wire = new Wire();
  wire.knowPeer();
  return { wire, e: wire.host.bound("10.0.0.1", 53) };
}

test("a frame with any byte changed is taken or dropped as without prediction", () => {
  const known = listening();
  const unknown = listening();
  const good = datagram();
  const frames = [good, datagram("10.0.0.2", "10.0.0.1", 4), good.slice(0, 41), good.slice(0, -1)];
  for (let i = 0; i < good.length; i++) {
    for (const bit of [1, 2, 0x10, 0x80]) {
      const changed = good.slice();
      changed[i] = changed[i]! ^ bit;
      frames.push(changed);
    }
  }
  for (const [i, frame] of frames.entries()) {
    known.wire.raw(good);
    assert.equal(drain(known.e).length, 1);
    known.wire.raw(frame);
    unknown.wire.host.ip.prediction.forget();
    unknown.wire.raw(frame);
    assert.deepEqual(drain(known.e), drain(unknown.e), `frame ${i}`);
  }
  const dropsKnown = known.wire.host.ip.drops.snapshot();
  assert.deepEqual(dropsKnown, unknown.wire.host.ip.drops.snapshot());
  assert.ok(dropsKnown.UDP_BAD_CHECKSUM > 0 && dropsKnown.IP4_BAD_CHECKSUM > 0);
  known.wire.assertNothingHeld();
});

test("a known flow without a checksum is accepted", () => {
  const { wire, e } = listening();
  wire.raw(datagram());
  wire.v4(packet4(udp4(4000, 53, PAYLOAD)));
  assert.equal(drain(e).length, 2);
  wire.assertNothingHeld();
});

test("a known flow's datagrams reach nobody after its socket closed", () => {
  const { wire, e } = listening();
  wire.raw(datagram());
  e.close();
  wire.raw(datagram());
  assert.equal(wire.drops("UDP_NO_SOCKET"), 1);
  wire.assertNothingHeld();
});

test("a socket that connects to a known flow's peer has its datagrams from then on", () => {
  const { wire, e } = listening();
  e.reuseAddress = true;
  const other = wire.host.udp.open(4);
  other.reuseAddress = true;
  assert.equal(other.bind(IpAddress.parse("10.0.0.1"), 53), 0);
  wire.raw(datagram());
  assert.equal(drain(other).length, 1, "the last bound");
  assert.equal(e.connect(IpAddress.parse("10.0.0.2"), 4000), 0);
  wire.raw(datagram());
  assert.equal(drain(e).length, 1);
  assert.equal(e.disconnect(), 0);
  wire.raw(datagram());
  assert.equal(drain(e).length + drain(other).length, 1);
  wire.assertNothingHeld();
});

test("a known flow ends with the address that it came to", () => {
  const { wire, e } = listening();
  wire.raw(datagram());
  assert.equal(drain(e).length, 1);
  wire.host.ip.removeAddress(wire.iface, IpAddress.parse("10.0.0.1"));
  wire.raw(datagram());
  assert.equal(drain(e).length, 0);
  assert.equal(wire.drops("IP_NOT_FOR_US"), 1);
  wire.assertNothingHeld();
});

test("a socket bound to another interface, or with a smaller TTL than it wants, hears no more", () => {
  const { wire, e } = listening();
  wire.raw(datagram());
  e.minTtl = 65;
  wire.raw(datagram());
  assert.equal(wire.drops("IP_TTL_TOO_LOW"), 1);
  e.minTtl = 0;
  e.ifIndex = 7;
  e.optionsChanged();
  wire.raw(datagram());
  assert.equal(wire.drops("UDP_NO_SOCKET"), 1);
  assert.equal(drain(e).length, 1);
  wire.assertNothingHeld();
});

test("more flows than the table has places all arrive", () => {
  const { wire, e } = listening();
  for (let round = 0; round < 2; round++) {
    for (let port = 1; port <= 300; port++) wire.v4(packet4(udp4(port, 53, PAYLOAD)));
    assert.equal(drain(e).length, 300);
  }
  wire.assertNothingHeld();
});
