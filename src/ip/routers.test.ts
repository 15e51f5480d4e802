/** Router advertisements, redirects and malformed IPv6, from hand-made packets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { US_PER_S } from "../base/time.js";
import * as icmpv6 from "../wire/icmpv6.js";
import * as ipv6 from "../wire/ipv6.js";
import * as wire from "../wire/nd.js";
import { ALL_NODES } from "./nd.js";
import { withEui64 } from "./routers.js";
import { SendOptions } from "./send-options.js";
import { ip, Pair } from "./stack-fixture.js";

/** Host b acts as router: sends what `write` makes of an empty ICMPv6 message to all nodes. */
function fromRouter(p: Pair, write: (b: Uint8Array, at: number) => number, hops = 255): void {
  const router = p.ifaceB.linkLocal6()!.address;
  const path = p.b.ip.resolver.groupPath(p.ifaceB, ALL_NODES, router);
  const slot = p.b.ip.nd.takePacket();
  const { pool } = p.b;
  pool.end[slot] = write(pool.bytes, pool.at[slot]!);
  const options = new SendOptions();
  options.ttl = hops;
  p.b.ip.icmp6.finishAndSend(slot, path, options);
  p.settle();
}

const advertise = (p: Pair, lifetimeSec: number, validSec: number, hops = 255): void =>
  fromRouter(
    p,
    (b, at) => {
      const times = { reachableTimeMs: 0, retransTimerMs: 0 };
      let o = wire.writeRouterAdvertisement(b, at, {
        hopLimit: 33,
        flags: 0,
        lifetimeSec,
        ...times,
      });
      o = wire.putLinkAddress(b, o, wire.OPTION_SOURCE_LINK_ADDRESS, p.ifaceB.mac);
      o = wire.putMtu(b, o, 1400);
      const flags = wire.ON_LINK | wire.AUTONOMOUS;
      const address = ip("2001:db8:5::");
      return wire.putPrefix(b, o, { address, bits: 64, flags, validSec, preferredSec: validSec });
    },
    hops,
  );

test("an advertisement gives a default router, an address, MTU and hop limit, for their time", () => {
  const p = new Pair();
  const far = ip("2001:db8:99::1");
  assert.equal(p.a.ip.resolve(far, null, 0), null);
  advertise(p, 60, 7200);
  const path = p.a.ip.resolve(far, null, 0)!;
  assert.equal(path.nextHop.toString(), p.ifaceB.linkLocal6()!.address.toString());
  assert.equal(path.src.toString(), withEui64(ip("2001:db8:5::"), p.ifaceA.mac).toString());
  assert.equal(path.mtuBytes, 1400);
  assert.equal(p.ifaceA.hopLimit, 33);
  assert.equal(p.a.ip.resolve(ip("2001:db8:5::9"), null, 0)!.nextHop.toString(), "2001:db8:5::9");
  p.pass(61 * US_PER_S);
  assert.equal(p.a.ip.resolve(far, null, 0), null);
  p.pass(7200 * US_PER_S);
  assert.equal(p.a.ip.isLocal(path.src), false);
  p.assertNothingHeld();
});

test("a lifetime of zero takes the router away; one from beyond the link is refused", () => {
  const p = new Pair();
  advertise(p, 60, 7200, 64);
  assert.equal(p.a.drops("ND_BAD_HOP_LIMIT"), 1);
  assert.equal(p.a.ip.resolve(ip("2001:db8:99::1"), null, 0), null);
  advertise(p, 60, 7200);
  advertise(p, 0, 7200);
  assert.equal(p.a.ip.resolve(ip("2001:db8:99::1"), null, 0), null);
  p.assertNothingHeld();
});

test("a redirect from the router in use is followed, from others it is not (RFC 4861 §8.1)", () => {
  const p = new Pair();
  const far = ip("2001:db8:99::1");
  const better = ip("fe80::77");
  const redirect = (): void => fromRouter(p, (b, at) => wire.writeRedirect(b, at, better, far));
  redirect();
  assert.equal(p.a.drops("ICMP6_IGNORED"), 1);
  advertise(p, 1800, 7200);
  redirect();
  assert.equal(p.a.ip.resolve(far, null, 0)!.nextHop.toString(), "fe80::77");
  p.pass(601 * US_PER_S);
  assert.notEqual(p.a.ip.resolve(far, null, 0)!.nextHop.toString(), "fe80::77");
  p.assertNothingHeld();
});

test("solicitations ask three times while no router answers", () => {
  const p = new Pair({}, { solicitRouters: true });
  p.pass(20 * US_PER_S);
  assert.equal(p.b.drops("IP_NOT_JOINED") >= 3, true);
  p.assertNothingHeld();
});

test("an unknown next header is answered by a parameter problem that points at it", () => {
  const p = new Pair();
  const path = p.b.ip.resolve(ip("fd00::1"), null, 0)!;
  const slot = p.b.ip.nd.takePacket();
  p.b.pool.end[slot] = p.b.pool.at[slot]! + 8;
  assert.equal(p.b.ip.send(slot, path, 200, new SendOptions()), 0);
  let seen = -1;
  p.b.ip.transports[200] = {
    receive: () => {},
    pathError: (e) => {
      seen = e.type;
    },
  };
  p.settle();
  assert.equal(p.a.drops("IP_UNKNOWN_PROTOCOL"), 1);
  assert.equal(seen, icmpv6.PARAMETER_PROBLEM);
  assert.equal(ipv6.NEXT_HEADER, 6);
  p.assertNothingHeld();
});
