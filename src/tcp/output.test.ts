import assert from "node:assert/strict";
import { test } from "node:test";
import { TcpScript } from "../../test/support/tcp-script.js";
import { Readiness } from "./readiness.js";
import { State } from "./state.js";
import { TcpOption } from "./tcp-option.js";
import { TransferFlags } from "./transfer-flags.js";

test("data go out in segments of the peer's MSS, PSH on the last", () => {
  const s = TcpScript.accepted();
  s.app.write(2500);
  s.expect("A 1:1001 ack 1").expect("A 1001:2001 ack 1").expect("PA 2001:2501 ack 1");
});

test("with GSO one large segment leaves, cut to whole segments", () => {
  const s = TcpScript.accepted({ gsoBytes: 60_000 });
  s.app.write(5000);
  s.expect("PA 1:5001 ack 1").expectNothing();
});

test("Nagle: a small segment waits for the ACK of another (RFC 1122 §4.2.3.4)", () => {
  const s = TcpScript.accepted();
  s.app.write(10);
  s.expect("PA 1:11 ack 1");
  s.app.write(10);
  s.app.write(10);
  s.expectNothing();
  s.at(5).send("A 1:1 ack 11").expect("PA 11:31 ack 1");
});

test("TCP_NODELAY sends small segments at once", () => {
  const s = TcpScript.accepted();
  s.app.set(TcpOption.NODELAY, 1);
  s.app.write(10);
  s.expect("PA 1:11 ack 1");
  s.app.write(10);
  s.expect("PA 11:21 ack 1");
});

test("TCP_CORK holds a partial segment until it is cleared, or for 200 ms", () => {
  const s = TcpScript.accepted();
  s.app.set(TcpOption.CORK, 1);
  s.app.write(1500);
  s.expect("A 1:1001 ack 1").expectNothing();
  s.app.set(TcpOption.CORK, 0);
  s.expect("PA 1001:1501 ack 1");
  s.at(1).send("A 1:1 ack 1501");
  s.app.set(TcpOption.CORK, 1);
  s.app.write(10);
  s.expectNothing();
  s.at(200).expectNothing();
  s.at(201).expect("PA 1501:1511 ack 1");
});

test("MSG_MORE holds a partial segment until the next send", () => {
  const s = TcpScript.accepted();
  s.app.write(10, TransferFlags.MORE);
  s.expectNothing();
  s.app.write(10);
  s.expect("PA 1:21 ack 1");
});

test("the peer's window limits what goes out; a closed one is probed with back-off", () => {
  const s = TcpScript.accepted({ peerWindow: 1500 });
  s.app.write(4000);
  s.expect("A 1:1001 ack 1").expectNothing();
  s.at(10).send("A 1:1 ack 1001 win 0").expectNothing();
  s.at(209).expectNothing();
  s.at(1000);
  assert.ok(s.sent.length >= 1);
  for (const probe of s.sent) assert.match(probe, /^A 1000:1000 /);
  s.skip();
  s.send("A 1:1 ack 1001 win 5000");
  s.expect("A 1001:2001 ack 1").expect("A 2001:3001 ack 1").expect("PA 3001:4001 ack 1");
});

test("window probes go on while the peer answers (MUST-37), and end the connection if not", () => {
  const s = TcpScript.accepted();
  s.app.write(1000);
  s.skip();
  s.at(1).send("A 1:1 ack 1001 win 0");
  s.app.write(1000);
  for (let minute = 1; minute <= 60; minute++)
    s.at(minute * 60_000)
      .send("A 1:1 ack 1001 win 0")
      .skip();
  assert.equal(s.state, State.ESTABLISHED);
  s.at(7_200_000).skip();
  assert.equal(s.state, State.CLOSED);
  assert.equal(s.world.tcp.takeError(s.row), 110);
});

test("a small part of the window is left alone until the persist timer fires (RFC 1122 §4.2.3.4)", () => {
  const s = TcpScript.accepted({ peerWindow: 4000 });
  s.app.write(4000);
  s.skip();
  s.at(1).send("A 1:1 ack 4001 win 900");
  s.app.write(2000);
  // The largest window was 4,000: 900 is silly, until the persist timer overrides.
  s.expectNothing();
  s.at(1500);
  assert.match(s.sent[0]!, /^A 4001:4901 /);
});

test("FIN rides on the last data segment", () => {
  const s = TcpScript.accepted();
  s.app.write(1500);
  s.app.close();
  s.expect("A 1:1001 ack 1").expect("FPA 1001:1501 ack 1");
});

test("a lost segment is sent again, and the connection goes on", () => {
  const s = TcpScript.accepted();
  s.app.write(3000);
  s.expect("A 1:1001 ack 1").expect("A 1001:2001 ack 1").expect("PA 2001:3001 ack 1");
  s.at(5000);
  assert.match(s.sent.at(-1)!, /^P?A \d+:\d+ ack 1/);
  s.skip();
  s.send("A 1:1 ack 3001").expectNothing();
  s.at(20_000).expectNothing();
});

test("TCP_USER_TIMEOUT ends the connection before the retries do (RFC 5482)", () => {
  const s = TcpScript.accepted();
  s.app.set(TcpOption.USER_TIMEOUT, 5000);
  s.app.write(100);
  s.at(4000);
  assert.equal(s.state, State.ESTABLISHED);
  s.at(8000);
  assert.equal(s.state, State.CLOSED);
  assert.equal(s.world.tcp.takeError(s.row), 110);
});

test("the send buffer fills, readiness says so, and tells when it drains", () => {
  const s = TcpScript.accepted({ settings: { wmemDefaultBytes: 20_000, wmemMaxBytes: 20_000 } });
  assert.equal(s.app.write(50_000), 20_000);
  assert.equal(s.app.write(1), -11);
  assert.equal(s.world.tcp.readiness(s.row) & Readiness.OUT, 0);
  s.skip();
  s.world.changedRows.clear();
  s.at(5).send("A 1:1 ack 9001");
  assert.ok(s.world.changedRows.has(s.row));
  assert.equal(s.world.tcp.readiness(s.row) & Readiness.OUT, Readiness.OUT);
});

test("TCP_NOTSENT_LOWAT limits what waits unsent", () => {
  const s = TcpScript.accepted();
  s.app.set(TcpOption.NOTSENT_LOWAT, 5000);
  s.send("A 1:1 ack 1 win 0");
  assert.equal(s.app.write(6000), 6000);
  assert.equal(s.app.write(1), -11);
});

test("a smaller path MTU makes segments smaller, and sends again what was too large", () => {
  const s = TcpScript.accepted({ peerSyn: "mss 1400" });
  s.app.write(1400);
  s.expect("PA 1:1401 ack 1");
  s.world.limitBytes = 620;
  s.world.tcp.pathMtuChanged(s.row, s.world.nowUs);
  s.world.turn(s.world.nowUs);
  assert.match(s.sent[0]!, /^P?A 1:601 /);
  assert.equal(s.world.tcp.info(s.row, 0).sndMss, 600);
});

test("an empty pool puts output off, and nothing is lost", () => {
  const s = TcpScript.accepted({ smallSlots: 64, bigSlots: 0 });
  s.app.write(5000);
  const taken: number[] = [];
  for (let slot = s.world.pool.take(); slot >= 0; slot = s.world.pool.take()) taken.push(slot);
  s.expectNothing();
  for (const slot of taken) s.world.pool.give(slot);
  s.at(20);
  assert.equal(s.sent.length, 5);
});

test("over IPv6, with the path's larger header", () => {
  const s = TcpScript.accepted({
    local: "fd00::1",
    peer: "fd00::2",
    limitBytes: 1460,
    gsoBytes: 60_000,
    peerSyn: "mss 1440",
  });
  s.app.write(3000);
  s.expect("PA 1:3001 ack 1");
  s.send("PA 1:101 ack 3001").skip();
  assert.equal(s.app.read(), 100);
});

test("a large loopback segment and a small one take slots of their size", () => {
  const s = TcpScript.accepted({ limitBytes: 65_496, peerSyn: "mss 65476" });
  s.app.write(60_000);
  s.expect("PA 1:60001 ack 1");
  s.at(1).send("A 1:1 ack 60001");
  const big = s.world.pool.freeBig;
  let seen = -1;
  s.world.sink = (slot) => {
    seen = s.world.pool.freeBig;
    s.world.pool.give(slot);
  };
  s.app.write(10);
  s.expectNothing();
  assert.equal(seen, big);
});

test("keepalive does not cut TCP_USER_TIMEOUT short", () => {
  const s = TcpScript.accepted();
  s.app.set(TcpOption.KEEPALIVE, 1);
  s.app.set(TcpOption.KEEPIDLE, 1);
  s.app.set(TcpOption.USER_TIMEOUT, 30_000);
  s.app.write(100);
  s.at(29_000);
  assert.equal(s.state, State.ESTABLISHED);
  s.at(40_000);
  assert.equal(s.state, State.CLOSED);
  assert.equal(s.world.tcp.takeError(s.row), 110);
});

test("a user timeout longer than tcp_retries2 takes its place, as in Linux", () => {
  const s = TcpScript.accepted({ settings: { retries2: 3 } });
  s.app.set(TcpOption.USER_TIMEOUT, 60_000);
  s.app.write(100);
  s.at(59_000);
  assert.equal(s.state, State.ESTABLISHED);
  s.at(61_000);
  assert.equal(s.state, State.CLOSED);
});

test("a window probe that finds the pool empty is sent later", () => {
  const s = TcpScript.accepted();
  s.send("A 1:1 ack 1 win 500").skip();
  s.app.write(1000);
  s.skip();
  const { pool } = s.world;
  const taken: number[] = [];
  for (let slot = pool.take(); slot >= 0; slot = pool.take()) taken.push(slot);
  for (let slot = pool.takeBig(); slot >= 0; slot = pool.takeBig()) taken.push(slot);
  s.at(60_000);
  for (const slot of taken) pool.give(slot);
  s.skip().at(200_000);
  assert.ok(s.sent.length > 0, "something was sent");
});
