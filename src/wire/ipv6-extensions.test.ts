import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { bytes, type FrameName, frame, hex } from "../../test/vectors/frames.js";
import { IpAddress } from "../base/ip-address.js";
import { Drop } from "./drop.js";
import * as ipv6 from "./ipv6.js";
import * as extensions from "./ipv6-extensions.js";
import * as fragments from "./ipv6-fragment.js";

/** A packet whose first next header is `first` and that carries these bytes. */
function packet(first: number, payloadHex: string): Uint8Array {
  const payload = bytes(payloadHex);
  const b = new Uint8Array(40 + payload.length);
  ipv6.write(b, 0, payload.length, first, new IpAddress(1), new IpAddress(2));
  b.set(payload, 40);
  return b;
}

const walk = (b: Uint8Array): Drop => extensions.walk(b, 0, b.length);

for (const [name, protocol, payloadAt, nextHeaderAt, alert] of [
  ["tcp6", 6, 40, 6, -1],
  ["atomicFragment", 6, 48, 40, -1],
  ["destinationOptions", 6, 48, 40, -1],
  ["authenticationHeader", 89, 64, 40, -1],
  ["mldV1Report", 58, 56, 40, 0],
  ["mldV2Report", 58, 48, 40, 0],
] as const satisfies readonly (readonly [FrameName, number, number, number, number])[]) {
  test(`what the real frame ${name} carries is found`, () => {
    const b = frame(name).subarray(14);
    assert.equal(walk(b), Drop.NONE);
    assert.equal(extensions.protocolOut, protocol);
    assert.equal(extensions.payloadAtOut, payloadAt);
    assert.equal(extensions.nextHeaderAtOut, nextHeaderAt);
    assert.equal(extensions.routerAlertOut, alert);
    assert.equal(extensions.problemCodeOut, -1);
  });
}

test("a routing header with segments left is refused with code 0 at its type (RFC 8200 §4.4)", () => {
  assert.equal(walk(frame("routingHeader").subarray(14)), Drop.IP6_ROUTING_REFUSED);
  assert.equal(extensions.problemCodeOut, 0);
  assert.equal(extensions.problemPointerOut, 42);
});

test("a routing header without segments left is passed, whatever its type", () => {
  assert.equal(walk(packet(43, "11 00 63 00 00000000")), Drop.NONE);
  assert.equal(extensions.protocolOut, 17);
});

test("a true fragment stops the walk at its header", () => {
  const b = packet(0, "2c 00 0104 00000000 11 00 0001 00000007 0011223344556677");
  assert.equal(walk(b), Drop.NONE);
  assert.equal(extensions.protocolOut, 44);
  assert.equal(extensions.payloadAtOut, 48);
  assert.equal(extensions.nextHeaderAtOut, 40);
  assert.equal(fragments.nextHeader(b, 48), 17);
  assert.equal(fragments.moreFragments(b, 48), true);
  assert.equal(fragments.id(b, 48), 7);
});

test("no next header is a Drop of its own", () => {
  assert.equal(walk(packet(59, "0000")), Drop.IP6_NO_NEXT_HEADER);
});

test("unknown protocols and ESP are left to the caller", () => {
  assert.equal(walk(packet(50, "00000000")), Drop.NONE);
  assert.equal(extensions.protocolOut, 50);
  assert.equal(walk(packet(253, "")), Drop.NONE);
  assert.equal(extensions.protocolOut, 253);
});

test("hop-by-hop options are refused where they are not first", () => {
  const late = packet(60, "00 00 0104 00000000 11 00 0104 00000000");
  assert.equal(walk(late), Drop.IP6_HOP_BY_HOP_LATE);
  assert.equal(extensions.problemCodeOut, 1);
  assert.equal(extensions.problemPointerOut, 40);
});

for (const [what, type, drop, code] of [
  ["skip", "1e", Drop.NONE, -1],
  ["discard", "5e", Drop.IP6_OPTION_DISCARD, -1],
  ["report always", "9e", Drop.IP6_OPTION_PROBLEM, 2],
  ["report unless multicast", "de", Drop.IP6_OPTION_PROBLEM_UNICAST, 2],
] as const) {
  test(`the action bits of an unknown option say: ${what} (RFC 8200 §4.2)`, () => {
    const b = packet(60, `11 00 0100 ${type}02 0000`);
    assert.equal(walk(b), drop);
    assert.equal(extensions.problemCodeOut, code);
    if (code >= 0) assert.equal(extensions.problemPointerOut, 44);
  });
}

test("an option that runs past its header is refused", () => {
  assert.equal(walk(packet(60, "11 00 0100 1e03 0000")), Drop.IP6_BAD_OPTION);
  assert.equal(extensions.problemPointerOut, 44);
  assert.equal(walk(packet(60, "11 00 0103 000000 1e")), Drop.IP6_BAD_OPTION);
});

test("more headers or options than the limits are refused", () => {
  const header = "3c 00 0104 00000000";
  const chain = (n: number): string => `${header.repeat(n - 1)} 11 00 0104 00000000`;
  assert.equal(walk(packet(60, chain(extensions.MAX_EXTENSIONS))), Drop.NONE);
  assert.equal(
    walk(packet(60, chain(extensions.MAX_EXTENSIONS + 1))),
    Drop.IP6_TOO_MANY_EXTENSIONS,
  );
  assert.equal(walk(packet(60, `11 02 ${"1e00".repeat(8)} 0000 0000 0000`)), Drop.NONE);
  const nine = packet(60, `11 02 ${"1e00".repeat(9)} 0000 0000`);
  assert.equal(walk(nine), Drop.IP6_TOO_MANY_EXTENSIONS);
});

test("a packet cut short anywhere in its extension headers is refused", () => {
  for (const name of ["mldV1Report", "authenticationHeader", "destinationOptions"] as const) {
    const b = frame(name).subarray(14);
    walk(b);
    const payloadAt = extensions.payloadAtOut;
    for (let end = 40; end < payloadAt; end++) {
      assert.equal(extensions.walk(b, 0, end), Drop.IP6_EXTENSION_TRUNCATED, `${name} ${end}`);
    }
  }
});

test("a router looks at hop-by-hop options and at nothing else", () => {
  const report = frame("mldV2Report").subarray(14);
  assert.equal(extensions.checkHopByHop(report, 0, report.length), Drop.NONE);
  assert.equal(extensions.routerAlertOut, 0);
  const destination = packet(60, "11 00 0100 de02 0000");
  assert.equal(extensions.checkHopByHop(destination, 0, destination.length), Drop.NONE);
  assert.equal(extensions.checkHopByHop(report, 0, 47), Drop.IP6_EXTENSION_TRUNCATED);
  const bad = packet(0, "11 00 0100 de02 0000");
  assert.equal(extensions.checkHopByHop(bad, 0, bad.length), Drop.IP6_OPTION_PROBLEM_UNICAST);
});

test("the writers leave no byte of what was there before, and the walk reads them", () => {
  const b = new Uint8Array(40 + 8 + 16 + 8).fill(0xa5);
  ipv6.write(b, 0, 32, 0, new IpAddress(1), new IpAddress(2));
  extensions.writeRouterAlert(b, 40, 60, 0);
  extensions.writePadding(b, 48, 44, 16);
  fragments.write(b, 64, 17, 1448, true, 0x01020304);
  assert.equal(
    hex(b, 40),
    `3c00050200000100 2c01010c${"00".repeat(12)} 110005a901020304`.replaceAll(" ", ""),
  );
  assert.equal(walk(b), Drop.NONE);
  assert.equal(extensions.routerAlertOut, 0);
  assert.equal(extensions.payloadAtOut, 64);
  assert.equal(fragments.offsetBytes(b, 64), 1448);
  assert.equal(fragments.isAtomic(b, 64), false);
});

test("no bytes throw, and an accepted payload starts inside the packet", () => {
  const first = fc.constantFrom(0, 43, 44, 51, 60);
  const payload = fc.array(fc.oneof(fc.constantFrom(0, 1, 2, 43, 44, 51, 60), fc.nat(255)), {
    maxLength: 80,
  });
  fc.assert(
    fc.property(first, payload, (next, list) => {
      const b = packet(next, hex(Uint8Array.from(list)));
      return walk(b) !== Drop.NONE || extensions.payloadAtOut <= b.length;
    }),
  );
});
