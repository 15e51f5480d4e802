import assert from "node:assert/strict";
import { test } from "node:test";
import { TcpScript } from "../../test/support/tcp-script.js";
import { Readiness } from "./readiness.js";
import { State } from "./state.js";
import { TcpOption } from "./tcp-option.js";

/** Closes the listener and checks that nothing is left of the connection. */
function assertGone(s: TcpScript): void {
  s.world.closeListener(80);
  s.world.assertClean();
}

test("passive close: CLOSE-WAIT, LAST-ACK, gone", () => {
  const s = TcpScript.accepted();
  s.send("FA 1:1 ack 1").expectNothing();
  s.at(s.world.nowUs / 1000 + 5).expect("A 1:1 ack 2");
  assert.equal(s.state, State.CLOSE_WAIT);
  assert.equal(s.app.read(), 0);
  assert.equal(s.world.tcp.readiness(s.row) & Readiness.RDHUP, Readiness.RDHUP);
  s.app.close();
  s.expect("FA 1:1 ack 2");
  s.send("A 2:2 ack 2").expectNothing();
  assertGone(s);
});

test("who closes soon after the peer acknowledges with the FIN", () => {
  const s = TcpScript.accepted();
  s.send("FA 1:101 ack 1").expectNothing();
  assert.equal(s.app.read(), 100);
  s.app.close();
  s.expect("FA 1:1 ack 102");
  s.send("A 102:102 ack 2").expectNothing();
  assertGone(s);
});

test("a FIN behind data that were not acknowledged yet is acknowledged at once", () => {
  const s = TcpScript.accepted();
  s.send("A 1:101 ack 1", { batched: true });
  s.send("FA 101:101 ack 1").expect("A 1:1 ack 102");
});

test("a FIN that came before the data is acknowledged at once with them", () => {
  const s = TcpScript.accepted();
  s.send("FA 101:101 ack 1").expect("A 1:1 ack 1");
  s.send("A 1:101 ack 1").expect("A 1:1 ack 102");
});

test("simultaneous close: CLOSING, TIME-WAIT", () => {
  const s = TcpScript.accepted();
  s.app.shutdown();
  s.expect("FA 1:1 ack 1");
  s.send("FA 1:1 ack 1").expect("A 2:2 ack 2");
  assert.equal(s.state, State.CLOSING);
  s.send("A 2:2 ack 2").expectNothing();
  assert.equal(s.state, State.TIME_WAIT);
  s.app.close();
  s.at(59_000).expectNothing();
  assert.equal(s.world.tcp.rows, 2);
  s.at(60_001);
  assertGone(s);
});

test("half close: data still come after FIN was sent", () => {
  const s = TcpScript.accepted();
  s.app.write(100);
  s.app.shutdown();
  s.expect("FPA 1:101 ack 1");
  s.send("A 1:1 ack 102").expectNothing();
  assert.equal(s.state, State.FIN_WAIT_2);
  s.send("PA 1:101 ack 102").expect("A 102:102 ack 101");
  assert.equal(s.app.read(), 100);
  assert.equal(s.app.write(1), -32);
  s.send("FA 101:101 ack 102").expect("A 102:102 ack 102");
  assert.equal(s.state, State.TIME_WAIT);
});

test("a lost FIN is sent again", () => {
  const s = TcpScript.accepted();
  s.app.close();
  s.expect("FA 1:1 ack 1");
  s.at(3000);
  assert.match(s.sent[0]!, /^FA 1:1 ack 1 /);
});

test("closing with unread data resets (RFC 2525 §2.17)", () => {
  const s = TcpScript.accepted();
  s.send("PA 1:101 ack 1").skip();
  s.app.close();
  s.expect("RA 1:1 ack 101");
  assertGone(s);
});

test("what was written before a close with unread data leaves before the reset", () => {
  const s = TcpScript.accepted();
  s.send("PA 1:101 ack 1").skip();
  s.world.write(s.row, new Uint8Array(10), 0);
  s.app.close();
  s.expect("PA 1:11 ack 101").expect("RA 11:11 ack 101");
  assertGone(s);
});

test("SO_LINGER 0 resets", () => {
  const s = TcpScript.accepted();
  s.app.set(TcpOption.LINGER, 0);
  s.app.close();
  s.expect("RA 1:1 ack 1");
  assertGone(s);
});

test("data for a closed socket are answered with RST (RFC 1122 §4.2.2.13)", () => {
  const s = TcpScript.accepted();
  s.app.close();
  s.expect("FA 1:1 ack 1");
  s.send("PA 1:11 ack 2").expect("RA 2:2 ack 1");
  assertGone(s);
});

test("an orphan waits 60 s for the peer's FIN", () => {
  const s = TcpScript.accepted();
  s.app.close();
  s.expect("FA 1:1 ack 1");
  s.send("A 1:1 ack 2").expectNothing();
  s.at(59_000);
  assert.equal(s.world.tcp.rows, 2);
  s.at(61_000).expectNothing();
  assertGone(s);
});

test("abort resets at once; queued data are dropped", () => {
  const s = TcpScript.accepted();
  s.app.write(5000);
  s.world.tcp.abort(s.row, 0);
  s.expect("RA 1:1 ack 1");
  assertGone(s);
});

test("TIME-WAIT answers a FIN that comes again, and ignores RST if told to (RFC 1337)", () => {
  const s = TcpScript.accepted({ settings: { rfc1337: true } });
  s.app.close();
  s.expect("FA 1:1 ack 1");
  s.send("FA 1:1 ack 2").expect("A 2:2 ack 2");
  s.send("FA 1:1 ack 2").expect("A 2:2 ack 2");
  s.send("R 2:2").expectNothing();
  assert.equal(s.state, State.TIME_WAIT);
});

test("an exact RST ends TIME-WAIT by default, as in Linux; another does not", () => {
  const s = TcpScript.accepted();
  s.app.shutdown();
  s.expect("FA 1:1 ack 1");
  s.send("FA 1:1 ack 2").expect("A 2:2 ack 2");
  s.send("R 5:5").expectNothing();
  assert.equal(s.state, State.TIME_WAIT);
  s.send("R 2:2").expectNothing();
  assert.equal(s.state, State.CLOSED);
});

test("RFC 6191: a newer SYN takes the place of a connection in TIME-WAIT", () => {
  const s = TcpScript.accepted();
  s.app.close();
  s.expect("FA 1:1 ack 1");
  s.send("FA 1:1 ack 2").expect("A 2:2 ack 2");
  s.send("S 1:1 mss 1000").expect("A 2:2 ack 2");
  s.at(1000).send("S 50000:50000 mss 1000");
  assert.match(s.sent.shift()!, /^SA \d+:\d+ ack 50001/);
  assert.equal(s.world.tcp.counters.get("timeWaitReused"), 1);
});

test("TIME-WAIT makes room for a connection to a server that was started again", () => {
  const s = TcpScript.accepted();
  s.app.close();
  s.expect("FA 1:1 ack 1");
  s.send("FA 1:1 ack 2").expect("A 2:2 ack 2");
  s.world.closeListener(80);
  s.at(1000).send("S 50000:50000 mss 1000").expect("A 2:2 ack 2"); // nobody listens
  s.listen();
  s.at(2000).send("S 60000:60000 mss 1000");
  assert.match(s.sent.shift()!, /^SA \d+:\d+ ack 60001/);
  assert.equal(s.world.tcp.counters.get("timeWaitReused"), 1);
});

test("closing a listener resets what nobody has accepted", () => {
  const s = new TcpScript();
  s.listen();
  s.send("S 0:0 mss 1000").expect("SA 0:0 ack 1");
  s.send("A 1:1 ack 1");
  s.world.closeListener(80);
  s.expect("RA 1:1 ack 1");
  s.world.assertClean();
});

test("closing a connection attempt leaves nothing", () => {
  const s = new TcpScript();
  s.connect();
  s.expect("S 0:0");
  s.app.close();
  s.expectNothing();
  s.world.assertClean();
});

test("rows are used again: many connections leave nothing behind", () => {
  const s = new TcpScript({ capacityRows: 8, settings: { timeWaitUs: 1000 } });
  s.listen();
  for (let k = 0; k < 2000; k++) {
    const base = 10 * k;
    s.send(`S ${base}:${base} mss 1000`);
    const seq = Number(/^SA (-?\d+)/.exec(s.sent.shift()!)![1]);
    s.send(`A ${base + 1}:${base + 1} ack ${seq + 1}`);
    const row = s.world.tcp.accept(s.listener);
    assert.ok(row >= 0, `connection ${k}`);
    s.world.tcp.close(row, s.world.nowUs);
    s.skip();
    s.send(`FA ${base + 1}:${base + 1} ack ${seq + 2}`).skip();
    s.at(3 * (k + 1));
  }
  assertGone(s);
});

test("too many orphans: the next one is reset", () => {
  const s = TcpScript.accepted({ settings: { maxOrphans: 0 } });
  s.app.close();
  s.expect("RA 1:1 ack 1");
  assertGone(s);
});

test("too many in TIME-WAIT: the next one ends without", () => {
  const s = TcpScript.accepted({ settings: { maxTimeWait: 0 } });
  s.app.close();
  s.expect("FA 1:1 ack 1");
  s.send("FA 1:1 ack 2").expect("A 2:2 ack 2");
  assertGone(s);
});

test("TCP_LINGER2 below 0: no FIN-WAIT-2 for an orphan", () => {
  const s = TcpScript.accepted();
  s.app.set(TcpOption.LINGER2, -1);
  s.app.close();
  s.expect("FA 1:1 ack 1");
  s.send("A 1:1 ack 2").expect("RA 2:2 ack 1");
  assertGone(s);
});

test("the end of data hides a reset that comes after it, as in Linux", () => {
  const s = TcpScript.accepted();
  s.send("FA 1:1 ack 1").skip();
  s.send("R 2:2").skip();
  assert.equal(s.app.read(), 0);
  assert.equal(s.world.tcp.takeError(s.row), 32);
});

test("a reset of the last FIN's sender is an error for the one who still holds the socket", () => {
  const s = TcpScript.accepted();
  s.send("FA 1:1 ack 1").skip();
  s.world.tcp.shutdown(s.row, 1, s.world.nowUs);
  assert.equal(s.state, State.LAST_ACK);
  s.send("R 2:2").skip();
  assert.equal(s.world.tcp.takeError(s.row), 104);
});
