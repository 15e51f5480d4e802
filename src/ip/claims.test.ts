/** Claims over several shared interfaces: all or nothing, and only where they mean something. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EADDRINUSE, ENOBUFS } from "../base/errno.js";
import { FakeHolds, RecordingFilter, SharedDevice } from "../nic/shared-fixture.js";
import { simLink } from "../nic/sim-link.js";
import { Claims } from "./claims.js";
import { ip, TestHost } from "./stack-fixture.js";

const UDP = 17;
const ANY6 = ip("::");
const REUSE = { isV6only: false, reuseAddress: false, reusePort: false };

/** Two shared interfaces, and one of the host's own with 10.5.0.1. */
function world() {
  const host = new TestHost(1);
  const holds = new FakeHolds();
  const claims = new Claims(host.ip, holds);
  const filters = [new RecordingFilter(), new RecordingFilter()] as const;
  for (const [i, filter] of filters.entries()) {
    const device = new SharedDevice(simLink(host.pool, host.pool).a, filter);
    const name = `eth${i}`;
    const parts = { index: 0, device, name, mtuBytes: 1500, isLoopback: false };
    const iface = host.ip.add({ ...parts, sumsInSoftware: false });
    iface.kernelIndex = i + 1;
    claims.links.push({ iface, linkIndex: i + 1, filter });
  }
  host.ip.addInterface(simLink(host.pool, host.pool).a, { addresses: ["10.5.0.1/24"] });
  const [first, second] = filters;
  return { host, holds, claims, first, second };
}

const end = (address: string, ifIndex = 0) => ({
  protocol: UDP,
  address: ip(address),
  port: 53,
  ifIndex,
  isV6only: false,
});

test("a wildcard is claimed at every shared interface, for both families", () => {
  const { host, claims, first, second } = world();
  assert.equal(claims.addPort(end("::")), 0);
  assert.deepEqual(first.list, ["port 17 0.0.0.0:53", "port 17 :::53"]);
  assert.deepEqual(second.list, first.list);
  claims.removePort(end("::"));
  assert.deepEqual([...first.list, ...second.list], []);
  assert.equal(claims.addPort({ ...end("::"), isV6only: true }), 0);
  assert.deepEqual(first.list, ["port 17 :::53"]);
  host.ip.close();
});

test("what one interface refuses is taken back on the others", () => {
  const { host, claims, first, second } = world();
  second.limit = 1; // room for one family of two
  assert.equal(claims.addPort(end("::")), -ENOBUFS);
  assert.deepEqual([...first.list, ...second.list], []);
  second.limit = 0;
  assert.equal(claims.addFlow(6, ip("10.0.0.1"), 80, ip("10.0.0.2"), 9), -ENOBUFS);
  assert.deepEqual([...first.list, ...second.list], []);
  assert.equal(host.ip.counters.get("claimsRefused"), 2);
  host.ip.close();
});

test("one interface, or one of the host's own, concerns no others", () => {
  const { host, claims, first, second } = world();
  assert.equal(claims.addPort(end("0.0.0.0", claims.links[1]!.iface.index)), 0);
  assert.deepEqual(first.list, []);
  assert.deepEqual(second.list, ["port 17 0.0.0.0:53"]);
  assert.equal(claims.concerns(ip("10.5.0.1"), 0), false);
  assert.equal(claims.concerns(ip("127.0.0.1"), 0), false);
  assert.equal(claims.concerns(ip("10.0.0.1"), 0), true);
  assert.equal(claims.addFlow(6, ip("10.5.0.1"), 80, ip("10.5.0.2"), 9), 0);
  assert.deepEqual(first.list, []);
  host.ip.close();
});

test("a port is held at all of them or at none", () => {
  const { host, holds, claims } = world();
  const request = { protocol: UDP, address: ANY6, port: 53, ...REUSE };
  const hold = claims.hold(request, 0, () => true);
  assert.ok(typeof hold !== "number");
  assert.deepEqual(holds.held, ["17 :::53", "17 :::53"]);
  claims.release(hold);
  holds.takenAt.add("2 53");
  assert.equal(
    claims.hold(request, 0, () => true),
    -EADDRINUSE,
  );
  assert.deepEqual(holds.held, []);
  host.ip.close();
});

test("the kernel chooses a port that is free at all of them, and here", () => {
  const { host, holds, claims } = world();
  holds.takenAt.add("2 40000"); // the second interface's
  const request = { protocol: UDP, address: ANY6, port: 0, ...REUSE };
  const hold = claims.hold(request, 0, (port) => port !== 40_001);
  assert.ok(typeof hold !== "number");
  assert.equal(hold.port, 40_002);
  assert.deepEqual(holds.held, ["17 :::40002", "17 :::40002"], "no other is left held");
  claims.release(hold);
  assert.deepEqual(holds.held, []);
  assert.equal(
    claims.hold(request, 0, () => false),
    -EADDRINUSE,
  );
  assert.deepEqual(holds.held, []);
  host.ip.close();
});
