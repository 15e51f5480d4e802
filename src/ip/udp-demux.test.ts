/** Which endpoint a datagram is for, against naive scoring; bind conflicts as Linux has them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { EADDRINUSE, EADDRNOTAVAIL } from "../base/errno.js";
import { IpAddress } from "../base/ip-address.js";
import { ip, Pair, TestHost } from "./stack-fixture.js";
import { score } from "./udp-demux.js";
import type { UdpEndpoint } from "./udp-endpoint.js";

const OURS = ["10.0.0.1", "fd00::1"];
const PEERS = ["10.0.0.2", "10.0.0.9", "fd00::2"];

test("find() takes the best score, the last bound among equals, however many share the port", () => {
  const endpoint = fc.record({
    family: fc.constantFrom<4 | 6>(4, 6),
    local: fc.constantFrom("any", ...OURS),
    peer: fc.constantFrom("", ...PEERS),
    peerPort: fc.constantFrom(1, 2),
    v6only: fc.boolean(),
    ifIndex: fc.constantFrom(0, 0, 2),
  });
  fc.assert(
    fc.property(
      fc.array(endpoint, { maxLength: 14 }),
      fc.constantFrom(...OURS),
      fc.constantFrom(...PEERS),
      fc.constantFrom(1, 2),
      (specs, dst, src, srcPort) => {
        const p = new Pair();
        const all: UdpEndpoint[] = [];
        for (const s of specs) {
          const e = p.a.udp.open(s.family);
          e.reuseAddress = true;
          e.v6only = s.v6only;
          const any = s.family === 4 ? "0.0.0.0" : "::";
          if (e.bind(ip(s.local === "any" ? any : s.local), 9, s.ifIndex) !== 0) continue;
          if (s.peer !== "") e.connect(ip(s.peer), s.peerPort);
          all.push(e);
        }
        const fits = (e: UdpEndpoint): number => score(e, ip(dst), ip(src), srcPort, 2);
        let best: UdpEndpoint | null = null;
        for (const e of [...all].reverse()) {
          if (fits(e) >= 0 && (best === null || fits(e) > fits(best))) best = e;
        }
        const found = p.a.udp.demux.find(ip(dst), 9, ip(src), srcPort, 2);
        assert.equal(found === null ? -1 : fits(found), best === null ? -1 : fits(best));
        if (all.length <= 8) assert.equal(found, best);
      },
    ),
    { numRuns: 60 },
  );
});

test("of two with one peer on a crowded port, the one of the interface is found, though it came later", () => {
  const p = new Pair();
  const open = (ifIndex: number, peerPort: number): UdpEndpoint => {
    const e = p.a.udp.open(4);
    e.reuseAddress = true;
    assert.equal(e.bind(ip("10.0.0.1"), 9, ifIndex), 0);
    e.connect(ip("10.0.0.2"), peerPort);
    return e;
  };
  for (let i = 0; i < 10; i++) open(0, 100 + i);
  const elsewhere = open(0, 1);
  const here = open(2, 1);
  const find = () => p.a.udp.demux.find(ip("10.0.0.1"), 9, ip("10.0.0.2"), 1, 2);
  assert.equal(find(), here);
  here.close();
  assert.equal(find(), elsewhere);
});

type Spec = { at: string; reuse?: boolean; port?: boolean; only?: boolean };
for (const [first, second, conflict, why] of [
  [{ at: "0.0.0.0" }, { at: "10.0.0.1" }, true, "a wildcard covers every address"],
  [{ at: "10.0.0.1" }, { at: "127.0.0.1" }, false, "addresses differ"],
  [{ at: "0.0.0.0" }, { at: "::" }, true, "a dual-stack wildcard covers IPv4"],
  [{ at: "0.0.0.0" }, { at: "::", only: true }, false, "IPV6_V6ONLY keeps to IPv6"],
  [{ at: "10.0.0.1" }, { at: "::", only: true }, false, "IPV6_V6ONLY keeps to IPv6"],
  [{ at: "fd00::1" }, { at: "0.0.0.0" }, false, "families differ"],
  [{ at: "::" }, { at: "fd00::1" }, true, "a wildcard covers every address"],
  [{ at: "0.0.0.0", reuse: true }, { at: "0.0.0.0", reuse: true }, false, "both SO_REUSEADDR"],
  [{ at: "0.0.0.0", reuse: true }, { at: "0.0.0.0" }, true, "only one SO_REUSEADDR"],
  [{ at: "0.0.0.0", port: true }, { at: "0.0.0.0", port: true }, false, "both SO_REUSEPORT"],
  [{ at: "0.0.0.0", port: true }, { at: "0.0.0.0", reuse: true }, true, "no option in common"],
] as [Spec, Spec, boolean, string][]) {
  const name = `${JSON.stringify(first)} and ${JSON.stringify(second)}`;
  test(`bind of ${name}: ${conflict ? "EADDRINUSE" : "both"} (${why})`, () => {
    const p = new Pair();
    const open = (s: Spec): number => {
      const e = p.a.udp.open(s.at.includes(":") ? 6 : 4);
      e.reuseAddress = s.reuse === true;
      e.reusePort = s.port === true;
      e.v6only = s.only === true;
      return e.bind(ip(s.at), 9);
    };
    assert.equal(open(first), 0);
    assert.equal(open(second), conflict ? -EADDRINUSE : 0);
  });
}

test("SO_REUSEPORT spreads flows over the group, each flow always to the same member", () => {
  const p = new Pair();
  const group = [0, 1, 2, 3].map(() => {
    const e = p.a.udp.open(4);
    e.reusePort = true;
    assert.equal(e.bind(ip("0.0.0.0"), 9), 0);
    return e;
  });
  const hits = new Map<UdpEndpoint, number>();
  for (let port = 1; port <= 400; port++) {
    const find = (): UdpEndpoint => p.a.udp.demux.find(ip(OURS[0]!), 9, ip(PEERS[0]!), port, 2)!;
    const e = find();
    assert.equal(find(), e);
    hits.set(e, (hits.get(e) ?? 0) + 1);
  }
  for (const e of group) assert.equal(hits.get(e)! > 50, true);
});

test("port 0 gives a free ephemeral port; foreign addresses are refused", () => {
  const host = new TestHost(3);
  const used = new Set<number>();
  for (let i = 0; i < 200; i++) {
    const e = host.udp.open(4);
    assert.equal(e.bind(IpAddress.v4(0), 0), 0);
    assert.equal(e.localPort >= 32_768 && e.localPort <= 60_999, true);
    used.add(e.localPort);
  }
  assert.equal(used.size, 200);
  assert.equal(host.udp.open(4).bind(ip("192.0.2.1"), 9), -EADDRNOTAVAIL);
  host.assertNothingHeld();
});

test("a connected endpoint that disconnects is a wildcard again and hears everybody", () => {
  const p = new Pair();
  const e = p.a.bound("0.0.0.0", 9);
  e.connect(ip("10.0.0.2"), 1);
  const find = (src: string, port: number): UdpEndpoint | null =>
    p.a.udp.demux.find(ip("10.0.0.1"), 9, ip(src), port, 2);
  assert.equal(find("10.0.0.9", 1), null);
  assert.equal(find("10.0.0.2", 1), e);
  e.disconnect();
  assert.equal(e.localAddress.isUnspecified, true);
  assert.equal(find("10.0.0.9", 1), e);
  e.close();
  assert.equal(find("10.0.0.9", 1), null);
  assert.equal(p.a.udp.size, 0);
});
