import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { bytes, type FrameName, frame, hex } from "../../test/vectors/frames.js";
import { IpAddress } from "../base/ip-address.js";
import { Drop } from "./drop.js";
import { formatAddress, parseAddress } from "./ethernet.js";
import * as icmpv6 from "./icmpv6.js";
import * as ipv6 from "./ipv6.js";
import * as nd from "./nd.js";

const IP = 14;
const AT = 54;

function read(b: Uint8Array, at: number): string {
  const a = new IpAddress();
  a.read6(b, at);
  return a.toString();
}

/** An IPv6 packet around a message; the message starts at 40. */
function packet(messageHex: string, src = "fe80::1", dst = "fe80::2", hopLimit = 255): Uint8Array {
  const message = bytes(messageHex);
  const b = new Uint8Array(40 + message.length);
  ipv6.write(b, 0, message.length, 58, IpAddress.parse(src), IpAddress.parse(dst));
  ipv6.setHopLimit(b, 0, hopLimit);
  b.set(message, 40);
  return b;
}

const check = (b: Uint8Array): Drop => nd.check(b, 40, b.length, 0);

const TARGET = "fe800000000000000000000000000007";
const GROUP = "ff020000000000000000000000000007";
const SOURCE_LINK = "0101020000000001";

for (const name of [
  "neighborSolicitation",
  "neighborAdvertisement",
  "routerSolicitation",
  "routerAdvertisement",
] as const satisfies readonly FrameName[]) {
  test(`the real ${name} is valid, and no shorter one is with the same meaning`, () => {
    const b = frame(name);
    assert.equal(nd.check(b, AT, b.length, IP), Drop.NONE);
    const optionsAt = AT + nd.optionsOffset(icmpv6.type(b, AT));
    for (let end = AT; end < optionsAt; end++) {
      assert.equal(nd.check(b, AT, end, IP), Drop.ND_TRUNCATED, `${end - AT} bytes`);
    }
    for (let end = optionsAt + 1; end < b.length; end++) {
      const drop = nd.check(b, AT, end, IP);
      assert.ok(drop === Drop.ND_BAD_OPTION || (end - optionsAt) % 8 === 0, `${end - AT} bytes`);
    }
  });
}

test("a real advertisement's fields are read", () => {
  const b = frame("neighborAdvertisement");
  assert.equal(nd.flags(b, AT), nd.SOLICITED | nd.OVERRIDE);
  assert.equal(read(b, AT + nd.TARGET), "fe80::203:47ff:feeb:3faf");
  const mac = nd.linkAddressAt(b, AT, b.length, nd.OPTION_TARGET_LINK_ADDRESS);
  assert.equal(formatAddress(b, mac), "00:03:47:eb:3f:af");
  assert.equal(nd.linkAddressAt(b, AT, b.length, nd.OPTION_SOURCE_LINK_ADDRESS), -1);
});

test("a real router advertisement's fields and prefix are read", () => {
  const b = frame("routerAdvertisement");
  assert.equal(nd.routerHopLimit(b, AT), 80);
  assert.equal(nd.routerFlags(b, AT), nd.OTHER_CONFIG);
  assert.equal(nd.routerLifetimeSec(b, AT), 500);
  assert.equal(nd.reachableTimeMs(b, AT), 0);
  assert.equal(nd.retransTimerMs(b, AT), 0);
  const o = nd.option(b, AT, b.length, nd.OPTION_PREFIX);
  assert.equal(nd.prefixBits(b, o), 64);
  assert.equal(nd.prefixFlags(b, o), nd.ON_LINK);
  assert.equal(nd.prefixValidSec(b, o), 3600);
  assert.equal(nd.prefixPreferredSec(b, o), 1800);
  assert.equal(read(b, o + nd.PREFIX_ADDRESS), "2001:db8:cc:dd::");
  assert.equal(nd.findOption(b, o + 32, b.length, nd.OPTION_PREFIX), -1);
});

test("the five message types are neighbour discovery, others are not", () => {
  const types = Array.from({ length: 256 }, (_, type) => type);
  assert.deepEqual(types.filter(nd.isType), [133, 134, 135, 136, 137]);
});

test("a redirect cut short is ND_TRUNCATED", () => {
  const b = frame("redirectTruncated");
  assert.equal(nd.check(b, AT, b.length, IP), Drop.ND_TRUNCATED);
});

test("a message that came through a router is refused (RFC 4861 §6.1, §7.1)", () => {
  for (const hopLimit of [0, 1, 64, 254]) {
    const b = packet(`87000000 00000000 ${TARGET}`, "fe80::1", "fe80::2", hopLimit);
    assert.equal(check(b), Drop.ND_BAD_HOP_LIMIT);
  }
});

for (const [what, message, src, dst, drop] of [
  ["code 1", `87010000 00000000 ${TARGET}`, "fe80::1", "fe80::7", Drop.ND_BAD_CODE],
  [
    "an option of length 0",
    `87000000 00000000 ${TARGET} 0500000000000000`,
    "fe80::1",
    "fe80::7",
    Drop.ND_BAD_OPTION,
  ],
  [
    "an option past the end",
    `87000000 00000000 ${TARGET} 0502000000000000`,
    "fe80::1",
    "fe80::7",
    Drop.ND_BAD_OPTION,
  ],
  [
    "a prefix option of 8 bytes",
    `86000000 00000000 0000000000000000 0301000000000000`,
    "fe80::1",
    "ff02::1",
    Drop.ND_BAD_OPTION,
  ],
  [
    "a DNS option without a server",
    `86000000 00000000 0000000000000000 1901000000000000`,
    "fe80::1",
    "ff02::1",
    Drop.ND_BAD_OPTION,
  ],
  [
    "a solicitation for a group",
    `87000000 00000000 ${GROUP}`,
    "fe80::1",
    "fe80::7",
    Drop.ND_BAD_ADDRESS,
  ],
  [
    "a probe to other than a solicited-node group",
    `87000000 00000000 ${TARGET}`,
    "::",
    "ff02::1",
    Drop.ND_BAD_ADDRESS,
  ],
  [
    "a probe with a source link-layer address",
    `87000000 00000000 ${TARGET} ${SOURCE_LINK}`,
    "::",
    "ff02::1:ff00:7",
    Drop.ND_BAD_ADDRESS,
  ],
  ["a probe", `87000000 00000000 ${TARGET}`, "::", "ff02::1:ff00:7", Drop.NONE],
  [
    "an advertisement for a group",
    `88000000 00000000 ${GROUP}`,
    "fe80::1",
    "fe80::7",
    Drop.ND_BAD_ADDRESS,
  ],
  [
    "a solicited advertisement to a group",
    `88000000 40000000 ${TARGET}`,
    "fe80::1",
    "ff02::1",
    Drop.ND_BAD_ADDRESS,
  ],
  [
    "an unsolicited advertisement to a group",
    `88000000 20000000 ${TARGET}`,
    "fe80::1",
    "ff02::1",
    Drop.NONE,
  ],
  [
    "a router advertisement from a global address",
    "86000000 00000000 0000000000000000",
    "2001:db8::1",
    "ff02::1",
    Drop.ND_BAD_ADDRESS,
  ],
  [
    "a router solicitation from :: with an address",
    `85000000 00000000 ${SOURCE_LINK}`,
    "::",
    "ff02::2",
    Drop.ND_BAD_ADDRESS,
  ],
  [
    "a redirect from a global address",
    `89000000 00000000 ${TARGET} ${TARGET}`,
    "2001:db8::1",
    "fe80::2",
    Drop.ND_BAD_ADDRESS,
  ],
  [
    "a redirect for a group",
    `89000000 00000000 ${TARGET} ${GROUP}`,
    "fe80::1",
    "fe80::2",
    Drop.ND_BAD_ADDRESS,
  ],
  [
    "a redirect to a global target that is not the destination",
    `89000000 00000000 20010db8000000000000000000000001 20010db8000000000000000000000002`,
    "fe80::1",
    "fe80::2",
    Drop.ND_BAD_ADDRESS,
  ],
  [
    "a redirect to a neighbour",
    `89000000 00000000 20010db8000000000000000000000001 20010db8000000000000000000000001`,
    "fe80::1",
    "fe80::2",
    Drop.NONE,
  ],
] as const) {
  test(`${what}: ${drop === Drop.NONE ? "accepted" : "refused"}`, () => {
    assert.equal(check(packet(message, src, dst)), drop);
  });
}

test("the solicited-node group has the last three bytes of the address", () => {
  const group = new IpAddress();
  nd.solicitedNode(IpAddress.parse("fe80::a00:27ff:fe46:e884"), group);
  assert.equal(group.toString(), "ff02::1:ff46:e884");
});

test("a solicitation is written as a real host writes it, even in a dirty buffer", () => {
  const b = new Uint8Array(26).fill(0xa5);
  const end = nd.writeSolicitation(b, 1, IpAddress.parse("fe80::a00:27ff:fe46:e884"), null);
  assert.equal(end, 25);
  const real = frame("neighborSolicitation");
  real.set([0, 0], AT + 2);
  assert.equal(hex(b), `a5${hex(real, AT)}a5`);
});

test("an advertisement is written as a real host writes it", () => {
  const b = new Uint8Array(33).fill(0xa5);
  const target = IpAddress.parse("fe80::203:47ff:feeb:3faf");
  const mac = parseAddress("00:03:47:eb:3f:af");
  assert.equal(nd.writeAdvertisement(b, 0, nd.SOLICITED | nd.OVERRIDE, target, mac), 32);
  const real = frame("neighborAdvertisement");
  real.set([0, 0], AT + 2);
  assert.equal(hex(b), `${hex(real, AT)}a5`);
});

test("a router solicitation is written as a real host writes it", () => {
  const b = new Uint8Array(17).fill(0xa5);
  assert.equal(nd.writeRouterSolicitation(b, 0, parseAddress("08:00:27:46:e8:84")), 16);
  const real = frame("routerSolicitation");
  real.set([0, 0], AT + 2);
  assert.equal(hex(b), `${hex(real, AT)}a5`);
});

test("a router advertisement with all options is written, and read back", () => {
  const b = new Uint8Array(40 + 120).fill(0xa5);
  const fields = {
    hopLimit: 64,
    flags: 0x80,
    lifetimeSec: 1800,
    reachableTimeMs: 1,
    retransTimerMs: 2,
  };
  let o = nd.writeRouterAdvertisement(b, 40, fields);
  o = nd.putLinkAddress(b, o, nd.OPTION_SOURCE_LINK_ADDRESS, parseAddress("02:00:00:00:00:01"));
  o = nd.putPrefix(b, o, {
    address: IpAddress.parse("2001:db8::"),
    bits: 64,
    flags: nd.ON_LINK | nd.AUTONOMOUS,
    validSec: 0xffffffff,
    preferredSec: 600,
  });
  o = nd.putMtu(b, o, 1400);
  o = nd.putRdnss(b, o, 300, [IpAddress.parse("fd00::53"), IpAddress.parse("fd00::54")]);
  const expected =
    "86000000 40800708 00000001 00000002 0101020000000001" +
    "030440c0 ffffffff 00000258 00000000 20010db8000000000000000000000000" +
    "0501000000000578" +
    "190500000000012c fd000000000000000000000000000053 fd000000000000000000000000000054";
  assert.equal(hex(b, 40, o), expected.replaceAll(" ", ""));
  assert.equal(b[o], 0xa5);
  ipv6.write(b, 0, o - 40, 58, IpAddress.parse("fe80::1"), IpAddress.parse("ff02::1"));
  ipv6.setHopLimit(b, 0, nd.HOP_LIMIT);
  assert.equal(nd.check(b, 40, o, 0), Drop.NONE);
  const prefix = nd.option(b, 40, o, nd.OPTION_PREFIX);
  assert.equal(nd.prefixValidSec(b, prefix), 0xffffffff);
  assert.equal(nd.mtuBytes(b, nd.option(b, 40, o, nd.OPTION_MTU)), 1400);
  const dns = nd.option(b, 40, o, nd.OPTION_RDNSS);
  assert.equal(nd.rdnssCount(b, dns), 2);
  assert.equal(nd.rdnssLifetimeSec(b, dns), 300);
  assert.equal(read(b, dns + 24), "fd00::54");
});

test("a redirect is written and valid", () => {
  const b = new Uint8Array(80).fill(0xa5);
  ipv6.write(b, 0, 40, 58, IpAddress.parse("fe80::1"), IpAddress.parse("fe80::2"));
  ipv6.setHopLimit(b, 0, nd.HOP_LIMIT);
  const end = nd.writeRedirect(b, 40, IpAddress.parse("fe80::3"), IpAddress.parse("fd00::9"));
  assert.equal(hex(b, 40, end), `8900000000000000fe80${"00".repeat(13)}03fd00${"00".repeat(13)}09`);
  assert.equal(nd.check(b, 40, end, 0), Drop.NONE);
});

test("no bytes throw, and options of what was accepted can be walked", () => {
  const type = fc.integer({ min: 133, max: 137 });
  const tail = fc.array(fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 25), fc.nat(255)), {
    maxLength: 90,
  });
  fc.assert(
    fc.property(type, tail, (t, rest) => {
      const b = packet(`${t.toString(16)}000000${hex(Uint8Array.from(rest))}`);
      if (nd.check(b, 40, b.length, 0) !== Drop.NONE) return true;
      return nd.option(b, 40, b.length, 77) === -1;
    }),
  );
});
