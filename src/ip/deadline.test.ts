/** Whoever arms a timer lowers the layer's deadline: it is never later than any protocol's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Ip } from "./ip.js";
import { ip } from "./stack-fixture.js";
import { icmp4, packet4, udp4, Wire } from "./wire-fixture.js";

function assertNotLate(layer: Ip): void {
  const { neighbours, nd, routers, reassembly, igmp, mld, pathMtu } = layer;
  const parts = { neighbours, nd, routers, reassembly, igmp, mld, pathMtu };
  for (const [name, part] of Object.entries(parts)) {
    assert.ok(layer.deadline.atUs <= part.nextDeadlineUs(), `${name} would be late`);
  }
}

const ACTIONS: Record<string, (wire: Wire) => void> = {
  "a neighbour is asked for": (wire) => {
    const e = wire.host.bound("10.0.0.1", 9);
    e.send(new Uint8Array(1), 0, 1, ip("10.0.0.77"), 9);
  },
  "an address is checked for duplicates": (wire) => {
    wire.host.ip.addAddress(wire.iface, "fd00::99/64");
  },
  "a fragment waits": (wire) => wire.v4(packet4(new Uint8Array(64), { fragment: 0x2000 })),
  "a group is joined": (wire) => {
    const e = wire.host.bound("0.0.0.0", 9);
    assert.equal(e.memberships.join(ip("239.1.2.3"), wire.iface.index), 0);
  },
  "a path's MTU is learnt": (wire) => {
    wire.knowPeer();
    const e = wire.host.bound("10.0.0.1", 9);
    e.send(new Uint8Array(1_400), 0, 1_400, ip("10.0.0.2"), 9);
    const quoted = packet4(udp4(9, 9, new Uint8Array(1_400)), { src: "10.0.0.1", dst: "10.0.0.2" });
    wire.v4(packet4(icmp4(3, 4, [0, 0, 2, 88], quoted.slice(0, 28)), { protocol: 1 }));
    assert.equal(wire.host.ip.pathMtu.size, 1);
  },
};

for (const [name, act] of Object.entries(ACTIONS)) {
  test(`the deadline is not late when ${name}, nor at any time after`, () => {
    const wire = new Wire({ detectDuplicates: true, solicitRouters: true });
    wire.pass(20_000_000);
    const before = wire.host.ip.deadline.atUs;
    act(wire);
    assert.ok(wire.host.ip.deadline.atUs < before, "something is armed");
    for (let i = 0; i < 100; i++) {
      assertNotLate(wire.host.ip);
      wire.pass(100_000);
    }
    wire.assertNothingHeld();
  });
}
