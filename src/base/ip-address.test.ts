import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { ANY4, ANY6, IpAddress } from "./ip-address.js";

const text = (t: string): string => IpAddress.parse(t).toString();
const word = fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, 0x10000, 0xffff));

test("the literals of RFC 5952 §1 and §2 come out in the canonical form of §4", () => {
  const one = "2001:db8::1";
  for (const t of [
    "2001:db8:0:0:0:0:0:1",
    "2001:0db8:0:0:0::1",
    "2001:db8::0:1",
    "2001:0DB8:0000:0000:0000:0000:0000:0001",
    "2001:DB8::1",
  ]) {
    assert.equal(text(t), one);
  }
  assert.equal(
    text("2001:db8:aaaa:bbbb:cccc:dddd:eeee:0001"),
    "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1",
  );
  assert.equal(text("2001:db8:0:1:1:1:1:1"), "2001:db8:0:1:1:1:1:1"); // §4.2.2: not one group
  assert.equal(text("2001:0:0:1:0:0:0:1"), "2001:0:0:1::1"); // §4.2.3: the longest run
  assert.equal(text("2001:db8:0:0:1:0:0:1"), "2001:db8::1:0:0:1"); // §4.2.3: the first of equals
});

test("the ends of the address space print and parse", () => {
  for (const t of ["::", "::1", "1::", "ff02::1:ff00:0", "fe80::1", "0.0.0.0", "255.255.255.255"]) {
    assert.equal(text(t), t);
  }
  assert.equal(text("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), `${"ffff:".repeat(7)}ffff`);
});

test("an IPv4-mapped address is the IPv4 address", () => {
  const a = IpAddress.parse("::ffff:10.1.2.3");
  assert.equal(a.toString(), "10.1.2.3");
  assert.ok(a.isV4);
  assert.ok(a.equals(IpAddress.v4(0x0a010203)));
  assert.equal(text("::ffff:a01:203"), "10.1.2.3");
  assert.equal(text("64:ff9b::10.1.2.3"), "64:ff9b::a01:203");
});

test("what is no address is refused", () => {
  for (const t of [
    ..."|1|1.2.3|1.2.3.4.5|256.1.1.1|01.2.3.4|1.2.3.4 | 1.2.3.4|1.2.3.-4|0x1.2.3.4|1..2.3|a.b.c.d".split(
      "|",
    ),
    ...":|:::|1:|:1|1::2::3|1:2:3:4:5:6:7|1:2:3:4:5:6:7:8:9|1:2:3:4:5:6:7:8::|12345::|g::".split(
      "|",
    ),
    ...[
      "fe80::1%eth0",
      "::1.2.3",
      "1.2.3.4::",
      "::1.2.3.4:5",
      "[::1]",
      "::1/64",
      "1:2:3:4:5:6:7:1.2.3.4",
    ],
  ]) {
    assert.equal(IpAddress.tryParse(t), null, JSON.stringify(t));
    assert.throws(() => IpAddress.parse(t), TypeError);
  }
});

test("any address survives format and parse, and Node takes the text as an address", () => {
  fc.assert(
    fc.property(word, word, word, word, (w0, w1, w2, w3) => {
      const a = new IpAddress(w0, w1, w2, w3);
      const t = a.toString();
      return IpAddress.parse(t).equals(a) && (a.isV4 ? isIPv4(t) : isIPv6(t));
    }),
  );
});

test("the parser accepts what Node's accepts, zones apart", () => {
  const part = fc.constantFrom("0", "1", "ff", "12345", "1.2.3.4", "", ":", "::", "%", "255", "g");
  fc.assert(
    fc.property(fc.array(part, { maxLength: 9 }), fc.constantFrom(":", ".", ""), (parts, glue) => {
      const t = parts.join(glue);
      const node = (isIPv4(t) || isIPv6(t)) && !t.includes("%");
      assert.equal(IpAddress.tryParse(t) !== null, node, t);
    }),
    { numRuns: 2000 },
  );
});

test("bytes written are the bytes read", () => {
  fc.assert(
    fc.property(word, word, word, word, (w0, w1, w2, w3) => {
      const b = new Uint8Array(18).fill(0xa5);
      const a = new IpAddress(w0, w1, w2, w3);
      a.write6(b, 1);
      const back = new IpAddress();
      back.read6(b, 1);
      assert.ok(back.equals(a) && b[0] === 0xa5 && b[17] === 0xa5);
      back.read4(b, 1);
      assert.ok(back.equals(IpAddress.v4(w0)));
      back.write4(b, 5);
      assert.deepEqual(b.subarray(5, 9), b.subarray(1, 5));
    }),
  );
});

test("kinds of address", () => {
  const is = (t: string): string[] => {
    const a = IpAddress.parse(t);
    const kinds = [
      a.isV4 && "v4",
      a.isUnspecified && "unspecified",
      a.isMulticast && "multicast",
      a.isLimitedBroadcast && "broadcast",
      a.isLoopback && "loopback",
      a.isLinkLocal && "link-local",
    ];
    return kinds.filter((k) => k !== false);
  };
  assert.deepEqual(is("10.0.0.1"), ["v4"]);
  assert.deepEqual(is("0.0.0.0"), ["v4", "unspecified"]);
  assert.deepEqual(is("::"), ["unspecified"]);
  assert.deepEqual(is("224.0.0.1"), ["v4", "multicast"]);
  assert.deepEqual(is("239.255.255.255"), ["v4", "multicast"]);
  assert.deepEqual(is("240.0.0.0"), ["v4"]);
  assert.deepEqual(is("ff02::1"), ["multicast"]);
  assert.deepEqual(is("255.255.255.255"), ["v4", "broadcast"]);
  assert.deepEqual(is("::ffff:ffff"), []);
  assert.deepEqual(is("127.9.9.9"), ["v4", "loopback"]);
  assert.deepEqual(is("::1"), ["loopback"]);
  assert.deepEqual(is("169.254.1.1"), ["v4", "link-local"]);
  assert.deepEqual(is("febf::1"), ["link-local"]);
  assert.deepEqual(is("fec0::1"), []);
});

test("a copy is independent, and the wildcards are what they say", () => {
  const a = IpAddress.parse("10.0.0.1");
  const b = a.copy();
  b.set(0, 0, 0, 1);
  assert.equal(a.toString(), "10.0.0.1");
  b.setFrom(a);
  assert.equal(JSON.stringify({ b }), '{"b":"10.0.0.1"}');
  assert.equal(ANY4.toString(), "0.0.0.0");
  assert.equal(ANY6.toString(), "::");
});
