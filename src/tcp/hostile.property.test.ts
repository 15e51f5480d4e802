import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { TcpScript } from "../../test/support/tcp-script.js";
import { TcpOption } from "./tcp-option.js";

// Segments that no decent peer sends, in every state, mixed with what users do: nothing throws
// (checked builds assert every invariant), and nothing is left when all is closed.

const segment = fc.record({
  flags: fc.constantFrom(
    "A",
    "PA",
    "S",
    "SA",
    "FA",
    "R",
    "RA",
    "SF",
    "PAU",
    "AE",
    "AC",
    "SEC",
    "F",
    "U",
  ),
  seq: fc.oneof(fc.integer({ min: -20, max: 400 }), fc.integer({ min: 60_000, max: 70_000 })),
  n: fc.constantFrom(0, 0, 1, 10, 100, 1000),
  ack: fc.oneof(fc.integer({ min: -5, max: 3000 }), fc.constant(100_000)),
  win: fc.constantFrom(0, 1, 100, 5000, 65_535),
  urg: fc.constantFrom(0, 1, 5, 60_000),
  options: fc.constantFrom(
    "",
    " sack 5:50",
    " sack 100:50,1:3000",
    " ts 5 0",
    " ts 900000 7",
    " mss 1",
    " mss 500 ws 14 sackOK ts 4 0",
  ),
  tos: fc.constantFrom(0, 2, 3),
  batched: fc.boolean(),
});
const step = fc.oneof(
  { weight: 6, arbitrary: segment },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "write",
      "writeOob",
      "read",
      "readOob",
      "slot",
      "shutdown",
      "cork",
      "uncork",
      "mtu",
      "icmp",
      "accept",
      "tick",
      "wait",
    ),
  },
);

function act(s: TcpScript, what: string, k: number): void {
  const { tcp } = s.world;
  const now = s.world.nowUs;
  if (what === "tick") s.at(now / 1000 + 15);
  else if (what === "wait") s.at(now / 1000 + 3000);
  else if (what === "accept") {
    const row = tcp.accept(s.listener);
    if (row >= 0 && s.row < 0) s.row = row;
    else if (row >= 0) tcp.close(row, now);
  } else if (s.row < 0) return;
  else if (what === "write") s.app.write(700 * (k % 7) + 1);
  else if (what === "writeOob") s.app.write(3, 1);
  else if (what === "read") s.app.read(500);
  else if (what === "readOob") s.app.read(1, 1);
  else if (what === "slot") {
    const slot = tcp.receiveSlot(s.row, now);
    if (slot >= 0) s.world.pool.give(slot);
  } else if (what === "shutdown") s.app.shutdown();
  else if (what === "cork") s.app.set(TcpOption.CORK, 1);
  else if (what === "uncork") s.app.set(TcpOption.CORK, 0);
  else if (what === "mtu") {
    s.world.limitBytes = 300 + 97 * (k % 11);
    tcp.pathMtuChanged(s.row, now);
  } else if (what === "icmp") tcp.icmpError(s.row, 113, true, (s.iss + 1) as never, now);
}

function play(steps: readonly unknown[], isActive: boolean, settings: object): void {
  const s = new TcpScript({
    settings: { timestamps: true, windowScaling: true, ecn: 1, ...settings },
  });
  const free = s.world.freeSlots;
  s.listen();
  if (isActive) s.connect();
  else {
    s.send("S 0:0 mss 1000 sackOK ws 3");
    s.send("A 1:1 ack 1");
    s.row = s.world.tcp.accept(s.listener);
  }
  steps.forEach((one, k) => {
    if (typeof one === "string") {
      act(s, one, k);
    } else {
      const f = one as Record<string, number | string | boolean>;
      const n = f.n as number;
      const text = `${f.flags} ${f.seq}:${(f.seq as number) + n} ack ${f.ack} win ${f.win} urg ${f.urg}${f.options}`;
      s.send(text, { tos: f.tos as number, batched: f.batched as boolean });
    }
    if (s.row >= 0) s.world.tcp.readiness(s.row);
    s.sent.length = 0;
  });
  if (s.row >= 0) {
    s.world.tcp.info(s.row, s.world.nowUs);
    s.world.tcp.close(s.row, s.world.nowUs);
  }
  s.world.closeListener(80);
  s.skip();
  s.at(s.world.nowUs / 1000 + 4_000_000);
  s.world.assertClean();
  assert.equal(s.world.freeSlots, free);
}

const steps = fc.array(step, { maxLength: 60 });

test("hostile segments to a connection that was accepted", () => {
  fc.assert(
    fc.property(steps, (list) => play(list, false, {})),
    { numRuns: 300 },
  );
});

test("hostile segments to a connection attempt", () => {
  fc.assert(
    fc.property(steps, (list) => play(list, true, {})),
    { numRuns: 300 },
  );
});

test("hostile segments with SYN cookies always on, and tiny limits", () => {
  const tight = { synCookies: 2, reassemblySlots: 2, rmemDefaultBytes: 4096, maxOrphans: 1 };
  fc.assert(
    fc.property(steps, (list) => play(list, false, tight)),
    { numRuns: 200 },
  );
});
