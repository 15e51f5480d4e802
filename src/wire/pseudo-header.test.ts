import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { frame } from "../../test/vectors/frames.js";
import { finish, fold } from "../base/checksum.js";
import { IpAddress } from "../base/ip-address.js";
import * as ipv4 from "./ipv4.js";
import * as ipv6 from "./ipv6.js";
import * as pseudo from "./pseudo-header.js";

test("the IPv4 sum is over source, destination, protocol and length (RFC 768)", () => {
  const b = frame("udp"); // 192.168.0.30 to 224.0.0.2, 28 bytes of UDP
  assert.equal(pseudo.sum4(b, 14, 17, 28), 0xc0a8 + 0x001e + 0xe000 + 0x0002 + 17 + 28);
});

test("the IPv6 sum is over source, destination, length and next header (RFC 8200 §8.1)", () => {
  const b = frame("neighborSolicitation"); // :: to ff02::1:ff46:e884, 24 bytes of ICMPv6
  assert.equal(pseudo.sum6(b, 14, 58, 24), 0xff02 + 0x0001 + 0xff46 + 0xe884 + 58 + 24);
});

test("addresses give the same checksum as the header that they are written into", () => {
  const word = fc.integer();
  const address = fc.tuple(word, word, word, word);
  fc.assert(
    fc.property(address, address, fc.boolean(), fc.nat(65_535), (s, d, isV4, lengthBytes) => {
      const src = isV4 ? IpAddress.v4(s[3]) : new IpAddress(...s);
      const dst = isV4 ? IpAddress.v4(d[3]) : new IpAddress(...d);
      const b = new Uint8Array(40);
      if (isV4) ipv4.write(b, 0, 20, 6, src.w3, dst.w3);
      else ipv6.write(b, 0, 0, 6, src, dst);
      const inPlace = isV4 ? pseudo.sum4(b, 0, 6, lengthBytes) : pseudo.sum6(b, 0, 6, lengthBytes);
      return finish(pseudo.sum(src, dst, 6, lengthBytes)) === finish(inPlace);
    }),
  );
});

test("a length above 16 bits counts by its halves", () => {
  const src = IpAddress.parse("fd00::1");
  const dst = IpAddress.parse("fd00::2");
  const inHalves = pseudo.sumAddresses(src, dst) + 17 + 0x0001 + 0x2345;
  assert.equal(fold(pseudo.sum(src, dst, 17, 0x1_2345)), fold(inHalves));
});
