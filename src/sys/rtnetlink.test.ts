/** rtnetlink messages: as the kernel wrote them, cut short, and with lying lengths. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IpAddress } from "../base/ip-address.js";
import { AttributeReader, MessageReader, MessageWriter } from "./netlink-message.js";
import * as rt from "./rtnetlink.js";

const A = IpAddress.parse("10.0.0.1");

/** A message of our own writing, and where its payload is. */
function message(type: number, fill: (w: MessageWriter) => void): MessageReader {
  const w = new MessageWriter().begin(type, 0, 7);
  fill(w);
  const n = w.finish();
  const reader = new MessageReader(w.bytes.slice(0, n), n);
  assert.ok(reader.step());
  return reader;
}

const NAME: Uint8Array = Uint8Array.from(Buffer.from("eth0\0"));
const MAC: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 9);

const LINK = message(rt.Rtm.NEW_LINK, (w) =>
  w
    .u8(0)
    .u8(0)
    .u16(1)
    .u32(4)
    .u32(0x1043)
    .u32(0)
    .attribute(3, NAME)
    .attributeU32(4, 1400)
    .attribute(1, MAC),
);
const ADDRESS = message(rt.Rtm.NEW_ADDRESS, (w) =>
  w
    .u8(rt.AF_INET)
    .u8(24)
    .u8(0x80)
    .u8(0)
    .u32(4)
    .attribute(1, Uint8Array.of(10, 0, 0, 9))
    .attribute(2, Uint8Array.of(10, 0, 0, 1))
    .attributeU32(8, 0x20),
);
const ROUTE = message(rt.Rtm.NEW_ROUTE, (w) =>
  w
    .u8(rt.AF_INET)
    .u8(32)
    .u8(0)
    .u8(0)
    .u8(254)
    .u8(2)
    .u8(0)
    .u8(rt.RouteType.UNICAST)
    .u32(0)
    .attribute(1, Uint8Array.of(8, 8, 8, 8))
    .attributeU32(4, 4)
    .attribute(18, Uint8Array.of(10, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1))
    .attribute(7, Uint8Array.of(10, 0, 0, 1))
    .attribute(8, Uint8Array.of(8, 0, 2, 0, 0x14, 5, 0, 0)),
);
const NEIGHBOUR = message(rt.Rtm.NEW_NEIGHBOUR, (w) =>
  w
    .u8(rt.AF_INET)
    .u8(0)
    .u16(0)
    .u32(4)
    .u16(rt.Nud.STALE)
    .u8(0)
    .u8(1)
    .attribute(1, Uint8Array.of(10, 0, 0, 2))
    .attribute(2, MAC),
);

const PARSERS = [
  ["link", LINK, rt.parseLink],
  ["address", ADDRESS, rt.parseAddress],
  ["route", ROUTE, rt.parseRoute],
  ["neighbour", NEIGHBOUR, rt.parseNeighbour],
] as const;

test("a link, an address, a route and a neighbour say what they are", () => {
  assert.deepEqual(rt.parseLink(LINK.bytes, LINK.at, LINK.payloadEnd), {
    index: 4,
    name: "eth0",
    flags: 0x1043,
    mtuBytes: 1400,
    mac: MAC,
  });
  const address = rt.parseAddress(ADDRESS.bytes, ADDRESS.at, ADDRESS.payloadEnd)!;
  assert.equal(address.address.toString(), "10.0.0.1", "our end, not the peer's");
  assert.equal(address.prefixBits, 24);
  assert.equal(address.flags, rt.AddressFlags.DEPRECATED, "the long form of the flags");
  const route = rt.parseRoute(ROUTE.bytes, ROUTE.at, ROUTE.payloadEnd)!;
  assert.equal(route.gateway!.toString(), "fd00::1");
  assert.equal(route.source!.toString(), "10.0.0.1");
  assert.equal(route.linkIndex, 4);
  assert.equal(route.mtuBytes, 1300);
  const n = rt.parseNeighbour(NEIGHBOUR.bytes, NEIGHBOUR.at, NEIGHBOUR.payloadEnd)!;
  assert.equal(n.state, rt.Nud.STALE);
  assert.equal(n.address.toString(), "10.0.0.2");
  assert.deepEqual(n.mac, MAC);
});

for (const [name, m, parse] of PARSERS) {
  test(`a ${name} cut short anywhere is read as far as it goes, and never beyond`, () => {
    for (let end = m.at; end <= m.payloadEnd; end++) {
      const cut = m.bytes.slice(0, end);
      const dirty = m.bytes.slice();
      dirty.fill(0xa5, end);
      assert.deepEqual(parse(dirty, m.at, end), parse(cut, m.at, end), `${end} bytes`);
    }
  });
}

test("lengths that lie end the reading", () => {
  const b = LINK.bytes.slice();
  const view = new DataView(b.buffer);
  for (const length of [0, 15, b.length + 1, 0xffffffff]) {
    view.setUint32(0, length, true);
    assert.equal(new MessageReader(b, b.length).step(), false, `message of ${length}`);
  }
  for (const length of [0, 3, 0xffff]) {
    view.setUint16(LINK.at + 16, length, true);
    assert.equal(new AttributeReader(b, LINK.at + 16, b.length).step(), false, `${length}`);
  }
});

test("requests are padded, and hold what they ask for", () => {
  const w = new MessageWriter();
  const n = rt.writeRouteLookup(w, A, null, 3, 9);
  assert.equal(n, 16 + 12 + 8 + 8);
  assert.deepEqual(
    [...w.bytes.subarray(16, n)],
    [2, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1, 0, 10, 0, 0, 1, 8, 0, 4, 0, 3, 0, 0, 0],
  );
  const six = rt.writeRouteLookup(w, IpAddress.parse("fd00::1"), IpAddress.parse("fd00::2"), 0, 1);
  assert.equal(six, 16 + 12 + 20 + 20);
  assert.throws(
    () => new MessageWriter().begin(1, 0, 0).attribute(1, new Uint8Array(300)),
    RangeError,
  );
});
