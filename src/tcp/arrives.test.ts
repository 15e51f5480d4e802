import assert from "node:assert/strict";
import { test } from "node:test";
import { TcpScript } from "../../test/support/tcp-script.js";
import type { DropName } from "../wire/drop.js";
import { State } from "./state.js";

const dropped = (s: TcpScript, name: DropName): number => s.world.tcp.drops.get(name);

test("RFC 9293 §3.10.7.1: a segment for nobody is answered with RST at its ACK number", () => {
  const s = new TcpScript();
  s.send("A 7:7 ack 900").expect("R 900:900");
  s.send("S 7:7").expect("RA 0:0 ack 8");
  s.send("R 7:7").expectNothing();
  assert.equal(dropped(s, "TCP_NO_SOCKET"), 3);
});

test("RFC 9293 §3.10.7.4 first: a segment outside the window is acknowledged and dropped", () => {
  const s = TcpScript.accepted();
  s.send("PA 70000:70100 ack 1").expect("A 1:1 ack 1");
  assert.equal(dropped(s, "TCP_OUT_OF_WINDOW"), 1);
  assert.equal(s.app.read(), -11);
});

test("empty segments outside the window are answered once in half a second", () => {
  const s = TcpScript.accepted();
  s.at(1000).send("A 90000:90000 ack 1").expect("A 1:1 ack 1");
  s.send("A 90000:90000 ack 1").expectNothing();
  s.at(1600).send("A 90000:90000 ack 1").expect("A 1:1 ack 1");
  assert.equal(s.world.tcp.counters.get("oowRateLimited"), 1);
});

test("RFC 5961 §3: RST at RCV.NXT resets, elsewhere in the window it is challenged", () => {
  const s = TcpScript.accepted();
  s.send("R 100:100").expect("A 1:1 ack 1");
  assert.equal(s.state, State.ESTABLISHED);
  s.send("R 90000:90000").expectNothing();
  s.send("R 1:1").expectNothing();
  assert.equal(s.state, State.CLOSED);
  assert.equal(s.app.read(), -104);
  assert.equal(s.app.read(), 0);
  assert.equal(s.app.write(1), -32);
});

test("RFC 5961 §4: SYN inside a connection is challenged", () => {
  const s = TcpScript.accepted();
  s.send("S 1:1").expect("A 1:1 ack 1");
  assert.equal(s.state, State.ESTABLISHED);
  assert.equal(dropped(s, "TCP_UNEXPECTED_SYN"), 1);
});

test("RFC 5961 §5: an ACK of what was never sent is challenged", () => {
  const s = TcpScript.accepted();
  s.send("A 1:1 ack 500").expect("A 1:1 ack 1");
  assert.equal(dropped(s, "TCP_BAD_ACK"), 1);
});

test("a segment without ACK is dropped", () => {
  const s = TcpScript.accepted();
  s.send("P 1:11").expectNothing();
  assert.equal(dropped(s, "TCP_NO_ACK"), 1);
});

test("data that overlap what has come are cut; a duplicate is acknowledged at once", () => {
  const s = TcpScript.accepted();
  s.send("PA 1:101 ack 1").expect("A 1:1 ack 101");
  s.send("PA 51:151 ack 1").expect("A 1:1 ack 151");
  s.send("PA 1:101 ack 1").expect("A 1:1 ack 151");
  assert.equal(s.app.read(), 150);
});

test("out-of-order data are acknowledged at once, and delivered when the gap fills", () => {
  const s = TcpScript.accepted({ peerSyn: "mss 1000 sackOK" });
  s.send("A 101:201 ack 1").expect("A 1:1 ack 1 sack 101:201");
  s.send("A 301:401 ack 1").expect("A 1:1 ack 1 sack 301:401,101:201");
  s.send("A 201:301 ack 1").expect("A 1:1 ack 1 sack 101:401");
  assert.equal(s.app.read(), -11);
  s.send("A 1:101 ack 1").expect("A 1:1 ack 401");
  assert.equal(s.app.read(), 400);
});

test("RFC 2883: what came twice is reported first", () => {
  const s = TcpScript.accepted({ peerSyn: "mss 1000 sackOK" });
  s.send("A 1:101 ack 1").expect("A 1:1 ack 101");
  s.send("A 1:101 ack 1").expect("A 1:1 ack 101 sack 1:101");
  s.send("A 201:301 ack 1").expect("A 1:1 ack 101 sack 201:301");
  s.send("A 201:301 ack 1").expect("A 1:1 ack 101 sack 201:301,201:301");
});

test("a FIN that comes out of order counts when its turn comes", () => {
  const s = TcpScript.accepted();
  s.send("FA 101:201 ack 1").expect("A 1:1 ack 1");
  assert.equal(s.state, State.ESTABLISHED);
  s.send("A 1:101 ack 1").expect("A 1:1 ack 202");
  assert.equal(s.state, State.CLOSE_WAIT);
  assert.equal(s.app.read(), 200);
  assert.equal(s.app.read(), 0);
});

test("data beyond the window are cut off, the FIN with them", () => {
  const s = TcpScript.accepted({ settings: { rmemDefaultBytes: 4096, moderateRcvbuf: false } });
  s.at(0);
  for (let seq = 1; seq < 4001; seq += 1000)
    s.send(`A ${seq}:${seq + 1000} ack 1`, { batched: true });
  s.skip();
  s.send("FA 4001:4201 ack 1").expect("A 1:1 ack 4097 win 0");
  assert.equal(s.state, State.ESTABLISHED);
  s.send("A 4097:4098 ack 1").expect("A 1:1 ack 4097 win 0");
  assert.equal(dropped(s, "TCP_BUFFER_FULL"), 1);
  assert.equal(s.app.read(4096), 4096);
  s.expect("A 1:1 ack 4097 win 4096");
});

test("in-order data and pure ACKs take the fast path", () => {
  const s = TcpScript.accepted();
  s.send("PA 1:1001 ack 1").skip();
  s.app.write(500);
  s.expect("PA 1:501 ack 1001");
  s.at(1).send("A 1001:1001 ack 501");
  assert.equal(s.world.tcp.counters.get("predictedData"), 1);
  assert.equal(s.world.tcp.counters.get("predictedAcks"), 1);
});

test("small segments share a slot", () => {
  const s = TcpScript.accepted();
  const free = s.world.freeSlots;
  for (let i = 1; i <= 100; i++) s.send(`PA ${i}:${i + 1} ack 1`);
  assert.equal(s.world.freeSlots, free - 1);
  assert.equal(s.app.read(), 100);
  assert.equal(s.world.freeSlots, free);
});

test("RFC 9293 §3.5 simultaneous open (MUST-10)", () => {
  const s = new TcpScript();
  s.connect();
  s.expect("S 0:0");
  s.send("S 0:0 mss 1000 win 65535").expect("SA 0:0 ack 1 mss 1460");
  assert.equal(s.state, State.SYN_RECEIVED);
  s.send("SA 0:0 ack 1 mss 1000 win 65535").skip();
  assert.equal(s.state, State.ESTABLISHED);
  s.app.write(10);
  s.expect("PA 1:11 ack 1");
});

test("connect: RST refuses, silence times out after seven SYNs", () => {
  const refused = new TcpScript();
  refused.connect();
  refused.expect("S 0:0");
  refused.send("RA 0:0 ack 1").expectNothing();
  assert.equal(refused.world.tcp.takeError(refused.row), 111);

  const s = new TcpScript();
  s.connect();
  s.expect("S 0:0");
  for (const seconds of [1, 3, 7, 15, 31, 63]) s.at(seconds * 1000).expect("S 0:0");
  s.at(126_999).expectNothing();
  s.at(127_000).expectNothing();
  assert.equal(s.state, State.CLOSED);
  assert.equal(s.world.tcp.takeError(s.row), 110);
});

test("a socket may connect again after a refusal", () => {
  const s = new TcpScript();
  s.connect();
  s.expect("S 0:0");
  s.send("RA 0:0 ack 1").expectNothing();
  assert.equal(s.world.tcp.connect(s.row, 0), -115);
  s.send(`SA 0:0 ack ${Number(/^S (-?\d+)/.exec(s.sent.shift()!)![1]) + 1} mss 1000`).skip();
  assert.equal(s.state, State.ESTABLISHED);
  assert.equal(s.app.read(), -11);
});

test("an ICMP error ends a connection attempt; later it is only remembered", () => {
  const s = new TcpScript();
  s.connect();
  s.expect("S 0:0");
  s.world.tcp.icmpError(s.row, 113, false, (s.iss + 99) as never, 0);
  assert.equal(s.state, State.SYN_SENT);
  s.world.tcp.icmpError(s.row, 113, false, s.iss as never, 0);
  assert.equal(s.world.tcp.takeError(s.row), 113);

  const t = TcpScript.accepted();
  t.world.tcp.icmpError(t.row, 111, true, (t.iss + 1) as never, 0);
  assert.equal(t.state, State.ESTABLISHED);
  assert.equal(t.world.tcp.counters.get("staleIcmp"), 0);
});

test("a SYN-ACK for a wrong SYN is reset", () => {
  const s = new TcpScript();
  s.connect();
  s.expect("S 0:0");
  s.send("SA 0:0 ack 77").expect("R 77:77");
  assert.equal(s.state, State.SYN_SENT);
});
