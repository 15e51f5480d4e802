import assert from "node:assert/strict";
import { test } from "node:test";
import { TcpScript } from "../../test/support/tcp-script.js";
import { IpAddress } from "../base/ip-address.js";
import { TcpOption } from "./tcp-option.js";

/** The engine's sequence number in its last SYN-ACK, relative to the first. */
const synAckSeq = (s: TcpScript): number => Number(/^SA\S* (-?\d+):/.exec(s.sent.pop()!)![1]);

test("SYN-ACK is sent again on SYN and on time, then given up", () => {
  const s = new TcpScript();
  s.listen();
  s.send("S 0:0 mss 1000").expect("SA 0:0 ack 1");
  s.at(500).send("S 0:0 mss 1000").expect("SA 0:0 ack 1");
  s.at(200_000);
  assert.ok(s.sent.length >= 5);
  s.skip();
  assert.equal(s.world.tcp.rows, 1);
});

test("a full accept queue ignores SYNs and holds back handshakes, as Linux does", () => {
  const s = new TcpScript();
  s.listen({}, 0);
  s.send("S 0:0 mss 1000").expect("SA 0:0 ack 1");
  s.send("A 1:1 ack 1").expectNothing();
  // One more than the backlog of 0 waits: the queue is full.
  Object.assign(s, { peer: IpAddress.parse("10.0.0.9") });
  s.send("S 0:0 mss 1000").expectNothing();
  assert.equal(s.world.tcp.drops.get("TCP_ACCEPT_QUEUE_FULL"), 1);
  assert.ok(s.world.tcp.accept(s.listener) >= 0);
  s.send("S 0:0 mss 1000");
  assert.equal(s.sent.length, 1);
});

test("TCP_DEFER_ACCEPT offers the connection when data have come", () => {
  const s = new TcpScript();
  s.listen({ before: (w, row) => void w.tcp.setOption(row, TcpOption.DEFER_ACCEPT, 5, 0) });
  s.send("S 0:0 mss 1000").expect("SA 0:0 ack 1");
  s.send("A 1:1 ack 1").expectNothing();
  assert.equal(s.world.tcp.accept(s.listener), -11);
  s.send("PA 1:11 ack 1").skip();
  s.row = s.world.tcp.accept(s.listener);
  assert.equal(s.app.read(), 10);
});

test("an RST in SYN-RECEIVED goes back to LISTEN", () => {
  const s = new TcpScript();
  s.listen();
  s.send("S 0:0 mss 1000").skip();
  s.send("R 1:1").expectNothing();
  assert.equal(s.world.tcp.rows, 1);
});

test("RFC 4987 §3.6: with the SYN queue full, a cookie makes the connection without a row", () => {
  const s = new TcpScript({ settings: { synCookies: 2 } });
  s.listen();
  s.send("S 0:0 mss 1400 win 65535");
  const seq = synAckSeq(s);
  assert.equal(s.world.tcp.rows, 1);
  s.send(`PA 1:11 ack ${seq + 1} win 4000`).skip();
  s.row = s.world.tcp.accept(s.listener);
  assert.ok(s.row >= 0);
  assert.equal(s.app.read(), 10);
  assert.equal(s.world.tcp.info(s.row, 0).sndMss, 1400);
  assert.equal(s.world.tcp.info(s.row, 0).sndWndBytes, 4000);
  assert.equal(s.world.tcp.counters.get("synCookiesReceived"), 1);
});

test("a burst of SYNs makes rows however small the backlog is; only beyond minSynBacklog it gets cookies", () => {
  const s = new TcpScript({ settings: { minSynBacklog: 16 } });
  s.listen({}, 1);
  for (let i = 0; i < 20; i++) {
    Object.assign(s, { peer: IpAddress.parse(`10.0.1.${1 + i}`) });
    s.send("S 0:0 mss 1000");
    assert.match(s.sent.pop()!, /^SA /);
  }
  assert.equal(s.world.tcp.rows, 1 + 16);
  assert.equal(s.world.tcp.counters.get("synCookiesSent"), 4);
});

test("with a full accept queue a later segment of who has a cookie is dropped, not reset", () => {
  const s = new TcpScript({ settings: { synCookies: 2 } });
  s.listen({}, 0);
  const synAck = (address: string): number => {
    Object.assign(s, { peer: IpAddress.parse(address) });
    s.send("S 0:0 mss 1400 win 65535");
    return synAckSeq(s);
  };
  const first = synAck("10.0.0.2");
  const second = synAck("10.0.0.3");
  Object.assign(s, { peer: IpAddress.parse("10.0.0.2") });
  s.send(`A 1:1 ack ${first + 1} win 4000`).expectNothing();
  Object.assign(s, { peer: IpAddress.parse("10.0.0.3") });
  s.send(`A 1:1001 ack ${second + 1} win 4000`).expectNothing();
  s.send(`A 1001:2001 ack ${second + 1} win 4000`).expectNothing();
  assert.ok(s.world.tcp.accept(s.listener) >= 0);
  s.send(`A 1:1001 ack ${second + 1} win 4000`).skip();
  s.row = s.world.tcp.accept(s.listener);
  assert.equal(s.app.read(), 1000);
});

test("a cookie keeps window scale and SACK in the timestamp", () => {
  const s = new TcpScript({ settings: { synCookies: 2, timestamps: true, windowScaling: true } });
  s.listen();
  s.send("S 0:0 mss 1460 sackOK ts 700 0 ws 9 win 65535");
  const tsVal = Number(/ts (-?\d+)/.exec(s.sent[0]!)![1]);
  const seq = synAckSeq(s);
  s.send(`A 1:1 ack ${seq + 1} win 10 ts 701 ${tsVal}`).skip();
  s.row = s.world.tcp.accept(s.listener);
  const info = s.world.tcp.info(s.row, 0);
  assert.equal(info.options, 7);
  assert.equal(info.sndWscale, 9);
  assert.equal(info.sndWndBytes, 5120);
});

test("a forged or old cookie is answered with RST", () => {
  const s = new TcpScript({ settings: { synCookies: 2 } });
  s.listen();
  s.send("S 0:0 mss 1400");
  const seq = synAckSeq(s);
  s.send(`A 1:1 ack ${seq + 2}`);
  assert.match(s.sent.pop()!, /^R /);
  s.at(300_000).send(`A 1:1 ack ${seq + 1}`);
  assert.match(s.sent.pop()!, /^R /);
  assert.equal(s.world.tcp.drops.get("TCP_BAD_COOKIE"), 2);
});

test("cookies are not believed when none were sent", () => {
  const s = new TcpScript();
  s.listen();
  s.at(500_000).send("A 1:1 ack 12345").expect("R 12345:12345");
});

test("SYN with FIN is dropped; an ACK without a handshake is reset", () => {
  const s = new TcpScript();
  s.listen();
  s.send("SF 0:0").expectNothing();
  assert.equal(s.world.tcp.drops.get("TCP_BAD_FLAGS"), 1);
});
