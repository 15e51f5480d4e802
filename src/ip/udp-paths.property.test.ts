/** Whatever changes between datagrams, the short ways in and out do what the general ones do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { ip } from "./stack-fixture.js";
import type { UdpEndpoint } from "./udp-endpoint.js";
import { checksummed, icmp4, packet4, udp4, Wire } from "./wire-fixture.js";

const LOCALS = ["10.0.0.1", "10.0.0.9", "0.0.0.0"];
const PEERS = ["10.0.0.2", "10.0.0.3", "10.0.0.255", "192.0.2.1"];

const step = fc.record({
  what: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom("arrive", "arrive", "send", "send", "read") },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        ...["open", "close", "connect", "disconnect", "reuse", "broadcast", "tos", "ttl", "df"],
        ...["noSum", "minTtl", "bindIf", "gso", "small", "shutRead", "address", "neighbour"],
        ...["refused", "mtu", "route", "wait"],
      ),
    },
  ),
  a: fc.integer({ min: 0, max: 3 }),
  b: fc.integer({ min: 0, max: 3 }),
  n: fc.constantFrom(0, 1, 40, 200, 256, 257, 900),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class Side {
  readonly wire = new Wire();
  readonly log: string[] = [];
  private readonly open: UdpEndpoint[] = [];
  private hasSecond = false;
  private hasRoute = false;
  private readonly into = new Uint8Array(2_000);

  constructor(isFast: boolean) {
    this.wire.knowPeer();
    if (isFast) return;
    this.wire.host.ip.prediction.take = () => false;
    this.wire.host.udp.plainSend.may = () => false;
  }

  do(s: Step): void {
    const { wire, open } = this;
    const { host, iface } = wire;
    const e = open[s.a % Math.max(1, open.length)];
    const data = Uint8Array.from({ length: s.n }, (_, i) => i * 3 + s.n);
    if (s.what === "arrive") this.arrive(s, data);
    else if (s.what === "read") for (const each of open) this.read(each);
    else if (s.what === "wait") wire.pass(40_000_000);
    else if (s.what === "open") this.openOne(s);
    else if (s.what === "address") this.moveAddress();
    else if (s.what === "route") this.changeRoute();
    else if (s.what === "neighbour") host.ip.neighbours.remove(iface, ip("10.0.0.2"));
    else if (s.what === "mtu") {
      iface.setMtu(s.b > 1 ? 1_500 : 100 + 200 * s.b);
      host.ip.invalidatePaths();
    } else if (e === undefined) return;
    else if (s.what === "send") {
      const to = s.b === 3 ? null : ip(PEERS[s.b]!);
      this.log.push(`sent ${e.send(data, 0, s.n, to, to === null ? 0 : 4000)}`);
    } else if (s.what === "refused") {
      const quoted = packet4(udp4(53, 4000, data), { src: "10.0.0.1", dst: "10.0.0.2" });
      wire.v4(packet4(icmp4(3, 3, [0, 0, 0, 0], quoted.slice(0, 28)), { protocol: 1 }));
    } else this.change(e, s);
  }

  private change(e: UdpEndpoint, s: Step): void {
    const { what, b } = s;
    if (what === "close") {
      e.close();
      this.open.splice(this.open.indexOf(e), 1);
    } else if (what === "connect") this.log.push(`${e.connect(ip(PEERS[b]!), 4000 + s.a)}`);
    else if (what === "disconnect") this.log.push(`${e.disconnect()}`);
    else if (what === "tos") e.tos = b * 8;
    else if (what === "ttl") e.ttl = b;
    else if (what === "df") e.pmtuDiscover = b;
    else if (what === "noSum") e.checksumOff = b > 1;
    else if (what === "minTtl") e.minTtl = b > 1 ? 65 : 0;
    else if (what === "gso") e.gsoBytes = b * 100;
    else if (what === "small") e.receiveBufferBytes = b * 700;
    else if (what === "shutRead") this.log.push(`${e.shutdown(b % 3)}`);
    else {
      if (what === "reuse") e.reusePort = b > 1;
      else if (what === "broadcast") e.broadcast = b > 1;
      else e.ifIndex = b === 0 ? 7 : b === 1 ? this.wire.iface.index : 0;
      e.optionsChanged();
    }
  }

  private arrive(s: Step, data: Uint8Array): void {
    const h = { src: PEERS[s.b & 1]!, dst: LOCALS[s.a & 1]!, ttl: s.n === 40 ? 1 : 64 };
    const plain = udp4(4000 + (s.a >> 1), 53, data);
    const m = s.n === 200 ? plain : checksummed(plain, 6, 17, h.src, h.dst);
    this.wire.v4(packet4(m, s.n === 900 ? { ...h, options: [1, 1, 1, 0] } : h));
  }

  private openOne(s: Step): void {
    if (this.open.length > 5) return;
    const e = this.wire.host.udp.open(4);
    e.reusePort = s.a > 0;
    e.reuseAddress = s.a > 1;
    const bound = e.bind(ip(LOCALS[s.b % 3]!), 53);
    this.log.push(`bound ${bound}`);
    if (bound < 0) e.close();
    else this.open.push(e);
  }

  private moveAddress(): void {
    const { host, iface } = this.wire;
    if (this.hasSecond) host.ip.removeAddress(iface, ip("10.0.0.9"));
    else host.ip.addAddress(iface, "10.0.0.9/24");
    this.hasSecond = !this.hasSecond;
  }

  private changeRoute(): void {
    const { host } = this.wire;
    if (!this.hasRoute) host.ip.addRoute({ destination: "0.0.0.0/0", gateway: "10.0.0.2" });
    this.hasRoute = true;
  }

  private read(e: UdpEndpoint): void {
    for (let n = e.receive(this.into, 0, 2_000); n !== -11; ) {
      const about = `${e.from}:${e.fromPort} ${e.to} ${e.toIfIndex} ${e.receivedTtl} ${e.receivedTos}`;
      this.log.push(`${n} ${about} ${this.into.subarray(0, Math.max(0, n))}`);
      if (n === 0 && (e.readiness & 0x2000) !== 0) break; // the end, for ever
      n = e.receive(this.into, 0, 2_000);
    }
  }

  close(): void {
    for (const e of this.open) e.close();
    this.wire.assertNothingHeld();
  }

  get all(): unknown {
    const { host } = this.wire;
    const sent = this.wire.sent().map((f) => Buffer.from(f).toString("hex"));
    const readiness = this.open.map((e) => e.readiness);
    const { ip } = host;
    const counters = ip.counters.snapshot();
    const free = [host.pool.freeSmall, host.pool.freeBig];
    return { sent, readiness, counters, drops: ip.drops.snapshot(), free, log: this.log };
  }
}

test("datagrams in and out, with everything around them changing", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 80 }), (steps) => {
      const fast = new Side(true);
      const slow = new Side(false);
      const first: Step = { what: "open", a: 2, b: 0, n: 0 };
      for (const s of [first, ...steps]) {
        fast.do(s);
        slow.do(s);
        assert.deepEqual(fast.all, slow.all, s.what);
      }
      fast.close();
      slow.close();
    }),
    { numRuns: 100 },
  );
});
