/** A stack that shares its interface with the kernel: what it claims, and what it follows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as errno from "../base/errno.js";
import { ANY4, ANY6, IpAddress } from "../base/ip-address.js";
import { LinkFlags, Nud } from "../nic/kernel-network.js";
import {
  addressOf,
  FakeHolds,
  FakeKernel,
  RecordingFilter,
  SharedDevice,
} from "../nic/shared-fixture.js";
import { simLink } from "../nic/sim-link.js";
import { Tracer } from "../nic/tracer.js";
import { State } from "../tcp/state.js";
import * as ethernet from "../wire/ethernet.js";
import { createHost, createPool } from "./create-host.js";
import { Family } from "./linux-options.js";
import { attachKernel } from "./shared-tcp.js";
import { Stack } from "./stack.js";
import type { TcpSocket } from "./tcp-socket.js";
import type { UdpSocket } from "./udp-socket.js";

const A = IpAddress.parse("10.0.0.1");
const B = IpAddress.parse("10.0.0.2");
const GROUP = IpAddress.parse("239.1.1.1");
const OTHER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0x99);
const BYTES = new Uint8Array(100);

interface Sent {
  readonly to: string;
  readonly type: number;
  readonly bytes: number;
}

/** Stack a (10.0.0.1) shares `eth0` with a made-up kernel; stack b (10.0.0.2) is its peer. */
class Shared {
  readonly pool = createPool({ smallSlots: 4_096, bigSlots: 128 });
  readonly filter = new RecordingFilter();
  readonly holds = new FakeHolds();
  readonly kernel: FakeKernel;
  readonly a: Stack;
  readonly b: Stack;
  readonly bMac: Uint8Array;
  /** Frames of a's, in order. */
  readonly sent: Sent[] = [];
  nowUs = 1_000_000;

  constructor() {
    const ends = simLink(this.pool, this.pool);
    this.bMac = ends.b.mac;
    this.kernel = new FakeKernel(ends.a.mac);
    this.a = new Stack({ pool: this.pool, nowUs: this.nowUs, seed: 1 });
    this.b = new Stack({ pool: this.pool, nowUs: this.nowUs, seed: 2 });
    const traced = new Tracer(ends.a, this.pool, (direction, pool, slot) => {
      if (direction !== "tx") return;
      const at = pool.at[slot]!;
      const to = ethernet.formatAddress(pool.bytes.subarray(at, at + 6));
      const type = (pool.bytes[at + 12]! << 8) | pool.bytes[at + 13]!;
      this.sent.push({ to, type, bytes: pool.end[slot]! - at });
    });
    const side = attachKernel(this.a, this.kernel, this.holds);
    side.addInterface(new SharedDevice(traced, this.filter), { name: "eth0", kernelName: "eth0" });
    const eth = this.b.ip.addInterface(ends.b, {
      name: "eth0",
      addresses: ["10.0.0.2/24"],
      linkLocal: false,
    });
    // The kernel would answer b's ARP.
    const mac = ends.a.mac;
    const { neighbours } = this.b.ip;
    neighbours.addPermanent(eth, A, ethernet.high(mac, 0), ethernet.low(mac, 0));
    this.kernel.setNeighbour("10.0.0.2", this.bMac);
    this.run(1_000);
  }

  /** Lets time pass. */
  run(durationUs: number): void {
    const endUs = this.nowUs + durationUs;
    for (; this.nowUs < endUs; this.nowUs += Math.min(500, durationUs)) {
      this.a.turn(this.nowUs);
      this.b.turn(this.nowUs);
    }
  }

  /** A listener of b's, and a connection of a's to it. */
  connect(): { client: TcpSocket; server: TcpSocket } {
    const listener = this.b.tcpSocket(Family.INET)!;
    assert.equal(listener.bind(ANY4, 80), 0);
    assert.equal(listener.listen(4), 0);
    const client = this.a.tcpSocket(Family.INET)!;
    assert.equal(client.connect(B, 80), -errno.EINPROGRESS);
    this.run(10_000);
    const server = listener.accept()!;
    listener.close();
    return { client, server };
  }

  udp(port: number): UdpSocket {
    const socket = this.a.udpSocket(Family.INET);
    assert.equal(socket.bind(ANY4, port), 0);
    return socket;
  }
}

/** Bytes that have come to a socket. */
function received(socket: TcpSocket): number {
  const bytes = new Uint8Array(65_536);
  let total = 0;
  for (let n = socket.receive(bytes); n > 0; n = socket.receive(bytes)) total += n;
  return total;
}

test("sharing starts in silence, with the kernel's address, MTU and link state", () => {
  const w = new Shared();
  const iface = w.a.interfaceByName("eth0")!;
  assert.deepEqual(
    iface.addresses.map((a) => a.address.toString()),
    ["10.0.0.1"],
  );
  assert.equal(iface.mtuBytes, 1500);
  assert.equal(iface.isUp, true);
  assert.deepEqual(w.filter.localAddresses, ["10.0.0.1", "10.0.0.255", "255.255.255.255"]);
  w.run(3_000_000);
  assert.deepEqual(w.sent, [], "no ARP, no IGMP, no router solicitation");
  assert.deepEqual(w.filter.list, []);
  w.a.close();
});

test("a listener claims its port for both families, and the kernel holds it", () => {
  const w = new Shared();
  const listener = w.a.tcpSocket()!;
  listener.set("SO_REUSEADDR", 1);
  assert.equal(listener.bind(ANY6, 80), 0);
  assert.deepEqual(w.filter.list, [], "bound is not listening");
  assert.deepEqual(w.holds.held, ["6 :::80"]);
  assert.equal(listener.listen(4), 0);
  assert.deepEqual(w.filter.list, ["port 6 0.0.0.0:80", "port 6 :::80"]);
  assert.deepEqual(w.holds.held, ["6 :::80 listening"]);
  listener.close();
  w.run(1_000);
  assert.deepEqual(w.filter.list, []);
  assert.deepEqual(w.holds.held, []);
  w.a.close();
});

test("an accepted connection is claimed, and keeps the port held when the listener closes", () => {
  const w = new Shared();
  const listener = w.a.tcpSocket(Family.INET)!;
  assert.equal(listener.bind(ANY4, 80), 0);
  assert.equal(listener.listen(4), 0);
  const client = w.b.tcpSocket(Family.INET)!;
  assert.equal(client.connect(A, 80), -errno.EINPROGRESS);
  w.run(10_000);
  const server = listener.accept()!;
  listener.close();
  assert.deepEqual(w.filter.list, [`flow 6 10.0.0.1:80 10.0.0.2:${client.localPort}`]);
  assert.deepEqual(w.holds.held, ["6 0.0.0.0:80"], "held, no longer listening");
  assert.equal(client.send(BYTES), 100);
  w.run(10_000);
  assert.equal(received(server), 100);
  client.close(); // TIME-WAIT is the client's
  w.run(1_000_000);
  server.close();
  w.run(2_000_000);
  assert.deepEqual(w.filter.list, []);
  assert.deepEqual(w.holds.held, []);
  w.a.close();
});

test("a connection is claimed before its SYN leaves, until TIME-WAIT is over", () => {
  const w = new Shared();
  const client = w.a.tcpSocket(Family.INET)!;
  assert.equal(client.connect(B, 80), -errno.EINPROGRESS);
  const flow = `flow 6 10.0.0.1:${client.localPort} 10.0.0.2:80`;
  assert.deepEqual(w.filter.list, [flow]);
  assert.deepEqual(w.sent, []);
  assert.deepEqual(w.holds.held, [`6 10.0.0.1:${client.localPort}`]);
  client.abort();
  assert.deepEqual(w.filter.list, []);
  assert.deepEqual(w.holds.held, []);
  const { client: second, server } = w.connect();
  second.close();
  w.run(1_000_000);
  server.close();
  w.run(10_000_000);
  assert.equal(w.filter.list.length, 1, "in TIME-WAIT");
  assert.equal(w.holds.held.length, 1);
  w.run(60_000_000);
  assert.deepEqual(w.filter.list, []);
  assert.deepEqual(w.holds.held, []);
  w.a.close();
});

test("ports that the kernel's programs own are in use; connect goes around them", () => {
  const w = new Shared();
  w.holds.taken.add(22);
  const listener = w.a.tcpSocket()!;
  assert.equal(listener.bind(ANY6, 22), -errno.EADDRINUSE);
  assert.equal(w.a.udpSocket().bind(ANY6, 22), -errno.EADDRINUSE);
  const probe = w.a.tcpSocket(Family.INET)!;
  probe.connect(B, 80);
  for (let port = 32_768; port <= 60_999; port++) {
    if (port !== 45_678) w.holds.taken.add(port);
  }
  const client = w.a.tcpSocket(Family.INET)!;
  assert.equal(client.connect(B, 80), -errno.EINPROGRESS);
  // The one left, or the one that the first connection holds.
  assert.ok([45_678, probe.localPort].includes(client.localPort));
  w.holds.taken.clear();
  assert.equal(listener.bind(ANY6, 0), 0);
  assert.equal(listener.localPort, 40_000, "as the kernel chooses");
  w.a.close();
});

test("a full filter is an error to the program, and leaves nothing behind", () => {
  const w = new Shared();
  w.filter.limit = 0;
  const udp = w.a.udpSocket(Family.INET);
  assert.equal(udp.bind(ANY4, 5000), -errno.ENOBUFS);
  const listener = w.a.tcpSocket(Family.INET)!;
  assert.equal(listener.bind(ANY4, 80), 0);
  assert.equal(listener.listen(4), -errno.ENOBUFS);
  const client = w.a.tcpSocket(Family.INET)!;
  assert.equal(client.connect(B, 80), -errno.ENOBUFS);
  const reader = w.a.udpSocket(Family.INET);
  w.filter.limit = 1;
  assert.equal(reader.bind(ANY4, 5001), 0);
  assert.equal(reader.joinGroup(GROUP), -errno.ENOBUFS);
  assert.equal(reader.connect(B, 9), -errno.ENOBUFS);
  assert.equal(reader.remotePort, 0);
  assert.equal(w.a.ip.counters.get("claimsRefused"), 5);
  for (const s of [udp, listener, client, reader]) s.close();
  assert.deepEqual(w.filter.list, []);
  assert.deepEqual(w.holds.held, []);
  w.a.close();
});

test("UDP: a port while unconnected, the peer's datagrams once connected, groups by port", () => {
  const w = new Shared();
  const s = w.udp(5000);
  assert.deepEqual(w.filter.list, ["port 17 0.0.0.0:5000"]);
  assert.equal(s.connect(B, 9), 0);
  assert.deepEqual(w.filter.list, ["flow 17 10.0.0.1:5000 10.0.0.2:9"]);
  assert.equal(s.disconnect(), 0);
  assert.deepEqual(w.filter.list, ["port 17 0.0.0.0:5000"]);
  assert.equal(s.joinGroup(GROUP), 0);
  assert.deepEqual(w.filter.list, ["group 239.1.1.1:5000", "port 17 0.0.0.0:5000"]);
  assert.deepEqual(w.holds.held, ["17 0.0.0.0:5000", "group 239.1.1.1"]);
  assert.equal(s.blockSource(GROUP, B), 0);
  assert.deepEqual(w.holds.held, ["17 0.0.0.0:5000", "group 239.1.1.1 not from 10.0.0.2"]);
  s.close();
  assert.deepEqual(w.filter.list, []);
  assert.deepEqual(w.holds.held, []);
  const early = w.a.udpSocket(Family.INET);
  assert.equal(early.joinGroup(GROUP), 0);
  assert.deepEqual(w.filter.list, [], "no port yet");
  assert.equal(early.bind(ANY4, 5000), 0);
  assert.deepEqual(w.filter.list, ["group 239.1.1.1:5000", "port 17 0.0.0.0:5000"]);
  assert.equal(early.leaveGroup(GROUP), 0);
  assert.deepEqual(w.filter.list, ["port 17 0.0.0.0:5000"]);
  assert.deepEqual(w.sent, [], "the kernel's IGMP speaks");
  w.a.close();
  assert.deepEqual(w.holds.held, []);
});

test("groups and broadcasts leave by the interface that the kernel says", () => {
  const w = new Shared();
  const s = w.udp(5000);
  s.set("SO_BROADCAST", 1);
  assert.equal(s.send(BYTES, 0, 100, GROUP, 5000), 100);
  assert.equal(s.send(BYTES, 0, 100, IpAddress.parse("10.0.0.255"), 5000), 100);
  w.run(1_000);
  assert.deepEqual(
    w.sent.map((frame) => frame.to),
    ["01:00:5e:01:01:01", "ff:ff:ff:ff:ff:ff"],
  );
  assert.deepEqual(w.kernel.asked, []);
  w.a.close();
});

test("loopback and what stays there is nobody's business", () => {
  const w = new Shared();
  const s = w.a.udpSocket(Family.INET);
  assert.equal(s.bind(IpAddress.parse("127.0.0.1"), 0), 0);
  assert.deepEqual(w.filter.list, []);
  assert.deepEqual(w.holds.held, []);
  w.a.close();
});

test("an unknown neighbour is the kernel's to resolve; what waits is sent when it says", () => {
  const w = new Shared();
  w.kernel.setRoute("10.0.0.254");
  w.run(1_000);
  const s = w.udp(5000);
  assert.equal(s.send(BYTES, 0, 100, B, 7), 100);
  w.run(1_000);
  assert.deepEqual(w.kernel.asked, ["10.0.0.254"]);
  assert.deepEqual(w.sent, []);
  w.run(1_000_000);
  assert.deepEqual(w.kernel.asked, ["10.0.0.254", "10.0.0.254"], "asked again after a second");
  w.kernel.setNeighbour("10.0.0.254", OTHER_MAC);
  w.run(1_000);
  assert.deepEqual(w.sent, [{ to: "02:00:00:00:00:99", type: 0x800, bytes: 142 }]);
  w.a.close();
});

test("a neighbour that the kernel cannot resolve is unreachable", () => {
  const w = new Shared();
  w.kernel.setRoute("10.0.0.254");
  w.run(1_000);
  const client = w.a.tcpSocket(Family.INET)!;
  assert.equal(client.connect(B, 80), -errno.EINPROGRESS);
  w.run(1_500_000);
  w.kernel.setNeighbour("10.0.0.254", new Uint8Array(0), Nud.FAILED);
  w.run(1_000);
  assert.equal(client.takeError(), errno.EHOSTUNREACH);
  w.a.close();
});

test("a stale neighbour is used, and the kernel asked to confirm it, not at every packet", () => {
  const w = new Shared();
  w.kernel.setNeighbour("10.0.0.2", w.bMac, Nud.STALE);
  w.run(1_000);
  const s = w.udp(5000);
  for (let i = 0; i < 100; i++) {
    s.send(BYTES, 0, 100, B, 7);
    w.run(10_000);
  }
  assert.equal(w.sent.length, 100);
  assert.deepEqual(w.kernel.asked, ["10.0.0.2"]);
  w.kernel.setNeighbour("10.0.0.2", w.bMac, Nud.REACHABLE);
  w.run(60_000_000);
  s.send(BYTES, 0, 100, B, 7);
  assert.equal(w.kernel.asked.length, 1, "it would say when it is stale again");
  w.a.close();
});

test("neighbours that are stale and not in use make room for others", () => {
  const w = new Shared();
  const s = w.udp(5000);
  const send = (i: number): number => {
    const address = `10.0.${i >> 8}.${i & 255}`;
    w.kernel.setNeighbour(address, OTHER_MAC, Nud.STALE);
    return s.send(BYTES, 0, 100, IpAddress.parse(address), 7);
  };
  for (let i = 1_000; i < 2_024; i++) assert.ok(send(i) === 100 || i > 2_000, `${i}`);
  w.run(1_000);
  assert.equal(send(3_000), -errno.ENOBUFS);
  for (let s = 0; s < 70; s++) w.run(1_000_000);
  assert.equal(send(3_000), 100);
  w.a.close();
});

test("the next frame goes to a neighbour's new hardware address", () => {
  const w = new Shared();
  const { client } = w.connect();
  w.kernel.setNeighbour("10.0.0.2", OTHER_MAC, Nud.STALE);
  w.run(1_000);
  w.sent.length = 0;
  client.send(BYTES);
  w.run(1_000);
  assert.equal(w.sent[0]!.to, "02:00:00:00:00:99");
  w.a.close();
});

test("a route that changes under a connection is taken at once", () => {
  const w = new Shared();
  const { client, server } = w.connect();
  w.kernel.setNeighbour("10.0.0.254", OTHER_MAC);
  w.kernel.setRoute("10.0.0.254");
  w.run(1_000);
  w.sent.length = 0;
  client.send(BYTES);
  w.run(1_000);
  assert.equal(w.sent[0]!.to, "02:00:00:00:00:99");
  w.kernel.setRoute(null);
  w.run(2_000_000);
  assert.equal(received(server), 100, "sent again on the old way");
  w.a.close();
});

test("a smaller MTU, of the link or of the route, makes smaller segments; a larger one larger", () => {
  const w = new Shared();
  const { client, server } = w.connect();
  const longest = (): number => {
    w.sent.length = 0;
    client.send(new Uint8Array(20_000));
    w.run(3_000_000);
    assert.equal(received(server), 20_000);
    return client.info()!.sndMss;
  };
  assert.equal(longest(), 1448);
  w.kernel.setLink({ mtuBytes: 1000 });
  w.run(1_000);
  assert.equal(w.a.interfaceByName("eth0")!.mtuBytes, 1000);
  assert.equal(longest(), 948);
  w.kernel.setLink({ mtuBytes: 1500 });
  w.kernel.setRoute(null, 1200);
  w.run(1_000);
  assert.equal(longest(), 1148);
  w.kernel.setRoute(null, 0);
  w.run(1_000);
  assert.equal(longest(), 1448);
  w.a.close();
});

test("nothing is sent from an address that has gone; the connection goes on when it is back", () => {
  const w = new Shared();
  const { client, server } = w.connect();
  w.kernel.setAddresses(addressOf("10.0.0.9", 24));
  w.run(1_000);
  w.sent.length = 0;
  assert.equal(client.send(BYTES), 100);
  w.run(500_000);
  assert.deepEqual(w.sent, []);
  assert.equal(client.state, State.ESTABLISHED);
  const fresh = w.a.udpSocket(Family.INET);
  assert.equal(fresh.bind(A, 5000), -errno.EADDRNOTAVAIL);
  w.kernel.setAddresses(addressOf("10.0.0.1", 24));
  w.run(5_000_000);
  assert.equal(received(server), 100);
  w.a.close();
});

test("a link that is down loses frames and says so; when it is up, everything goes on", () => {
  const w = new Shared();
  const { client, server } = w.connect();
  w.kernel.hasRoute = false; // as the kernel does for a link without carrier
  w.kernel.setLink({ flags: LinkFlags.UP });
  w.run(1_000);
  assert.equal(w.a.interfaceByName("eth0")!.isUp, false);
  assert.equal(w.a.tcpSocket(Family.INET)!.connect(B, 80), -errno.ENETUNREACH);
  w.sent.length = 0;
  client.send(BYTES);
  w.run(300_000);
  assert.deepEqual(w.sent, []);
  w.kernel.hasRoute = true;
  w.kernel.setLink({ flags: LinkFlags.UP | LinkFlags.RUNNING });
  w.run(3_000_000);
  assert.equal(received(server), 100);
  w.a.close();
});

test("what is the kernel's to answer is not answered: echo, ARP", () => {
  const w = new Shared();
  const echo = w.b.pingSocket();
  assert.equal(echo.send(A, 1, BYTES), 0);
  w.b.ip.arp.announce(w.b.interfaceByName("eth0")!, B);
  w.run(10_000);
  assert.deepEqual(w.sent, []);
  assert.equal(w.a.ip.drops.get("ICMP4_IGNORED"), 1);
  assert.equal(w.a.ip.drops.get("ARP_NOT_FOR_US"), 2, "this one, and b's at its start");
  assert.equal(w.a.pingSocket().send(B, 1, BYTES), -errno.EOPNOTSUPP);
  w.a.close();
});

test("an address of the kernel's other interfaces is ours too", () => {
  const w = new Shared();
  const elsewhere = { ...addressOf("10.99.0.1", 32), linkIndex: 1 };
  w.kernel.setAddresses(...w.kernel.own, elsewhere);
  w.run(1_000);
  const s = w.a.udpSocket(Family.INET);
  assert.equal(s.bind(IpAddress.parse("10.99.0.1"), 53), 0);
  assert.deepEqual(w.filter.list, ["port 17 10.99.0.1:53"]);
  w.a.close();
});

test("a device that takes every frame, or settings that are the kernel's, make no shared host", () => {
  const pool = createPool({ smallSlots: 64, bigSlots: 64 });
  const { a, b } = simLink(pool, pool);
  const without = { code: "EINVAL", message: /sim device .* cannot share its interface/ };
  assert.throws(() => createHost({ device: a, pool, shared: true }), without);
  const device = new SharedDevice(b, new RecordingFilter());
  const given = { code: "EINVAL", message: /is shared with the kernel: .*ip address add/ };
  assert.throws(() => createHost({ device, pool, addresses: ["10.0.0.1/24"] }), given);
  const absent = { code: "ENODEV", message: /no interface sim.b to share/ };
  assert.throws(() => createHost({ device, pool }), absent);
});

test("no slot stays behind", () => {
  const w = new Shared();
  const { pool } = w;
  const { client } = w.connect();
  w.kernel.setRoute("10.0.0.77");
  w.run(1_000);
  client.send(BYTES);
  w.run(1_000);
  w.a.close();
  w.b.close();
  assert.equal(pool.freeSmall, 4_096);
  assert.equal(pool.freeBig, 128);
});
