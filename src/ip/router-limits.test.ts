/** What router advertisements and redirects may do: times applied, floods bounded (RFC 4861). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { US_PER_S } from "../base/time.js";
import { NeighbourState } from "./neighbour.js";
import { MAX_REDIRECTS, MAX_ROUTERS } from "./routers.js";
import { ip } from "./stack-fixture.js";
import { addressBytes, be16, be32, bytesOf, icmp6, type Part, Wire } from "./wire-fixture.js";

const ALL_NODES_MAC = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);

function advertise(
  w: Wire,
  from: string,
  o: { lifetime?: number; times?: [number, number] } = {},
  ...options: Part[]
): void {
  const [reachable, retrans] = o.times ?? [0, 0];
  const body = [
    be16(0x8600),
    [0, 0, 64, 0],
    be16(o.lifetime ?? 1800),
    be32(reachable),
    be32(retrans),
  ];
  w.frame(0x86dd, icmp6(from, "ff02::1", 255, ...body, ...options), ALL_NODES_MAC);
}

const redirect = (from: string, target: string, destination: string): Uint8Array =>
  icmp6(
    from,
    "fd00::1",
    255,
    [137, 0, 0, 0, 0, 0, 0, 0],
    addressBytes(target),
    addressBytes(destination),
  );

test("a flood of router advertisements makes a bounded number of routes", () => {
  const w = new Wire();
  const before = w.host.ip.routes.size;
  for (let i = 0; i < 500; i++) {
    const prefix = bytesOf(
      [3, 4, 64, 0xc0],
      be32(86_400),
      be32(86_400),
      be32(0),
      addressBytes(`2001:db8:0:${i.toString(16)}::`),
    );
    advertise(w, `fe80::1:${i.toString(16)}`, {}, prefix);
    w.sent();
  }
  assert.equal(w.host.ip.routes.size, before + 2 * MAX_ROUTERS);
  assert.ok(w.iface.addresses.length < 30);
  // A known router is still heard.
  advertise(w, "fe80::1:0", { lifetime: 0 });
  assert.equal(w.host.ip.routes.size, before + 2 * MAX_ROUTERS - 1);
  w.assertNothingHeld();
});

test("redirects are bounded; the newest count", () => {
  const w = new Wire();
  advertise(w, "fe80::1");
  const before = w.host.ip.routes.size;
  for (let i = 0; i < MAX_REDIRECTS + 50; i++) {
    w.v6(redirect("fe80::1", "fe80::2", `2001:db8::${i.toString(16)}`));
  }
  assert.equal(w.host.ip.routes.size, before + MAX_REDIRECTS);
  const last = `2001:db8::${(MAX_REDIRECTS + 49).toString(16)}`;
  assert.equal(w.host.ip.resolve(ip(last), null, 0)!.nextHop.toString(), "fe80::2");
  assert.equal(w.host.ip.resolve(ip("2001:db8::"), null, 0)!.nextHop.toString(), "fe80::1");
  w.assertNothingHeld();
});

for (const [name, packet] of [
  ["from another than the first hop", redirect("fe80::3", "fe80::2", "2001:db8::1")],
  ["from no link-local address", redirect("fd00::2", "fe80::2", "2001:db8::1")],
  [
    "to a target that is neither a router nor the destination",
    redirect("fe80::1", "2001:db8::2", "2001:db8::1"),
  ],
  ["for a group", redirect("fe80::1", "fe80::2", "ff0e::1")],
] as const) {
  test(`a redirect ${name} is ignored (RFC 4861 §8.1)`, () => {
    const w = new Wire();
    advertise(w, "fe80::1");
    const before = w.host.ip.routes.size;
    w.v6(packet);
    assert.equal(w.host.ip.routes.size, before);
    w.assertNothingHeld();
  });
}

test("reachable time and retransmission timer of an advertisement apply (RFC 4861 §6.3.4)", () => {
  const w = new Wire();
  advertise(w, "fe80::1", { times: [1000, 200] });
  const e = w.host.bound("fd00::1", 4000);
  e.send(new Uint8Array(9), 0, 9, ip("fd00::2"), 9);
  w.sent();
  w.pass(450_000);
  assert.equal(w.sent().length, 2); // solicited again after 200 and 400 ms
  const answer = icmp6(
    "fd00::2",
    "fd00::1",
    255,
    [136, 0, 0, 0, 0x60, 0, 0, 0],
    addressBytes("fd00::2"),
    [2, 1, 2, 0, 0, 0, 0, 11],
  );
  w.v6(answer);
  const n = w.host.ip.neighbours.find(w.iface, ip("fd00::2"))!;
  assert.equal(n.state, NeighbourState.REACHABLE);
  const forUs = n.reachableUntilUs - w.nowUs;
  assert.ok(forUs >= 500_000 && forUs <= 1_500_000, `${forUs} µs`);
  e.close();
  w.pass(3 * US_PER_S);
  w.assertNothingHeld();
});

test("a router that says it is none any more is no default router (RFC 4861 §7.2.5)", () => {
  const w = new Wire();
  advertise(w, "fe80::1", {}, [1, 1, 2, 0, 0, 0, 0, 11]);
  assert.notEqual(w.host.ip.resolve(ip("2001:db8::1"), null, 0), null);
  const na = icmp6(
    "fe80::1",
    "fd00::1",
    255,
    [136, 0, 0, 0, 0x20, 0, 0, 0],
    addressBytes("fe80::1"),
    [2, 1, 2, 0, 0, 0, 0, 11],
  );
  w.v6(na);
  assert.equal(w.host.ip.resolve(ip("2001:db8::1"), null, 0), null);
  w.assertNothingHeld();
});
