import assert from "node:assert/strict";
import { test } from "node:test";
import { TcpScript } from "../../test/support/tcp-script.js";
import { Readiness } from "./readiness.js";
import { State } from "./state.js";
import { TcpOption } from "./tcp-option.js";

const MODERN = { timestamps: true, windowScaling: true };
const MODERN_SYN = "mss 1000 sackOK ts 700 0 ws 7";

test("a SYN offers MSS, SACK, timestamps and window scale; the SYN-ACK only what was offered", () => {
  const s = new TcpScript({ settings: MODERN });
  s.connect();
  assert.match(s.sent[0]!, /^S 0:0 win 65535 mss 1460 ws 7 sackOK ts -?\d+ 0$/);
  const t = new TcpScript({ settings: MODERN });
  t.listen();
  t.send("S 0:0 mss 1000");
  assert.match(t.sent[0]!, /^SA 0:0 ack 1 win 65535 mss 1460$/);
  t.send("R 1:1");
  t.sent.length = 0;
  t.send(`S 0:0 ${MODERN_SYN}`);
  assert.match(t.sent[0]!, /^SA -?\d+:-?\d+ ack 1 win 65535 mss 1460 ws 7 sackOK ts -?\d+ 700$/);
});

test("timestamps: segments carry them, PAWS drops older ones (RFC 7323 §5.3)", () => {
  const s = TcpScript.accepted({ settings: MODERN, peerSyn: MODERN_SYN });
  s.send("PA 1:11 ack 1 ts 705 0").expect("A 1:1 ack 11");
  s.send("PA 11:21 ack 1 ts 704 0").expect("A 1:1 ack 11");
  assert.equal(s.world.tcp.drops.get("TCP_PAWS"), 1);
  s.send("PA 11:21 ack 1 ts 705 0").skip();
  assert.equal(s.app.read(), 20);
});

test("segments leave room for timestamps: MSS less 12", () => {
  const s = TcpScript.accepted({ settings: MODERN, peerSyn: MODERN_SYN });
  s.app.write(1000);
  s.expect("A 1:989 ack 1");
});

test("the peer's window is scaled after the handshake", () => {
  const s = TcpScript.accepted({ settings: MODERN, peerSyn: MODERN_SYN, peerWindow: 100 });
  assert.equal(s.world.tcp.info(s.row, 0).sndWndBytes, 12_800);
});

test("ECN: accepted when asked, CE is echoed until CWR (RFC 3168 §6.1)", () => {
  const s = new TcpScript();
  s.listen();
  s.send("SEC 0:0 mss 1000").expect("SAE 0:0 ack 1");
  s.send("A 1:1 ack 1");
  s.row = s.world.tcp.accept(s.listener);
  s.send("A 1:101 ack 1", { tos: 3 }).expect("AE 1:1 ack 101");
  s.send("A 101:201 ack 1", { tos: 2 }).expect("AE 1:1 ack 201");
  s.send("AC 201:301 ack 1", { tos: 2 }).expect("A 1:1 ack 301");
  s.app.write(100);
  s.expect("PA 1:101 ack 301 ect");
});

test("ECN: the sender answers ECE with CWR, once", () => {
  const s = new TcpScript();
  s.listen();
  s.send("SEC 0:0 mss 1000").skip();
  s.send("A 1:1 ack 1");
  s.row = s.world.tcp.accept(s.listener);
  s.app.write(3000);
  s.skip();
  s.at(5).send("AE 1:1 ack 3001");
  s.app.write(2000);
  s.expect("AC 3001:4001 ack 1").expect("PA 4001:5001 ack 1");
});

test("without ECN nothing is marked", () => {
  const s = TcpScript.accepted();
  s.send("A 1:101 ack 1", { tos: 3 }).expect("A 1:1 ack 101");
});

test("keepalive: probes after the idle time, then RST (RFC 1122 §4.2.3.6)", () => {
  const s = TcpScript.accepted();
  s.app.set(TcpOption.KEEPIDLE, 10);
  s.app.set(TcpOption.KEEPINTVL, 2);
  s.app.set(TcpOption.KEEPCNT, 3);
  s.app.set(TcpOption.KEEPALIVE, 1);
  s.at(9_999).expectNothing();
  s.at(10_000).expect("A 0:0 ack 1");
  s.send("A 1:1 ack 1").expectNothing();
  s.at(19_999).expectNothing();
  s.at(20_000).expect("A 0:0 ack 1");
  s.at(22_000).expect("A 0:0 ack 1");
  s.at(24_000).expect("A 0:0 ack 1");
  s.at(26_000).expect("RA 1:1 ack 1");
  assert.equal(s.state, State.CLOSED);
  assert.equal(s.world.tcp.takeError(s.row), 110);
});

test("urgent data are kept aside; a read stops at the mark (RFC 6093)", () => {
  const s = TcpScript.accepted();
  s.send("PAU 1:7 ack 1 urg 4", { data: new TextEncoder().encode("abc!de") });
  assert.equal(s.app.text(1, 1), "!");
  assert.equal(s.app.read(1, 1), -22);
  assert.equal(s.app.text(), "abc");
  assert.equal(s.world.tcp.atMark(s.row), true);
  assert.equal(s.app.text(), "de");
});

test("SO_OOBINLINE leaves the urgent byte in the stream", () => {
  const s = TcpScript.accepted();
  s.app.set(TcpOption.OOBINLINE, 1);
  s.send("PAU 1:7 ack 1 urg 4", { data: new TextEncoder().encode("abc!de") });
  assert.equal(s.app.read(1, 1), -22);
  assert.equal(s.app.text(), "abc");
  assert.equal(s.app.text(), "!de");
});

test("MSG_OOB sends URG with the byte after as pointer", () => {
  const s = TcpScript.accepted();
  s.app.write(10, 1);
  s.expect("PAU 1:11 ack 1 urg 10");
  s.app.write(1000);
  s.expect("PA 11:1011 ack 1");
});

test("MSG_PEEK leaves the data", () => {
  const s = TcpScript.accepted();
  s.send("PA 1:101 ack 1").skip();
  assert.equal(s.app.read(50, 2), 50);
  assert.equal(s.app.read(), 100);
});

test("a slot can be taken without a copy", () => {
  const s = TcpScript.accepted();
  s.send("PA 1:101 ack 1").skip();
  const slot = s.world.tcp.receiveSlot(s.row, 0);
  const { at, end } = s.world.pool;
  assert.equal(end[slot]! - at[slot]!, 100);
  s.world.pool.give(slot);
  assert.equal(s.world.tcp.receiveSlot(s.row, 0), -11);
});

test("options read back what was set, refuse nonsense, and are inherited", () => {
  const s = TcpScript.accepted({
    before: (w, row) => {
      assert.equal(w.tcp.setOption(row, TcpOption.NODELAY, 1, 0), 0);
      assert.equal(w.tcp.setOption(row, TcpOption.KEEPCNT, 5, 0), 0);
      assert.equal(w.tcp.setOption(row, TcpOption.CONGESTION, 1, 0), 0);
    },
  });
  const get = (o: number): number => s.world.tcp.getOption(s.row, o);
  assert.equal(get(TcpOption.NODELAY), 1);
  assert.equal(get(TcpOption.KEEPCNT), 5);
  assert.equal(get(TcpOption.CONGESTION), 1);
  assert.equal(s.app.set(TcpOption.CONGESTION, 2), -22);
  assert.equal(s.app.set(TcpOption.KEEPCNT, 0), -22);
  assert.equal(s.app.set(999, 1), -92);
  for (const [option, value] of [
    [TcpOption.KEEPIDLE, 30],
    [TcpOption.KEEPINTVL, 40],
    [TcpOption.SYNCNT, 3],
    [TcpOption.LINGER, 7],
    [TcpOption.LINGER2, 9],
    [TcpOption.USER_TIMEOUT, 1000],
    [TcpOption.NOTSENT_LOWAT, 2000],
    [TcpOption.RCVLOWAT, 10],
    [TcpOption.SNDBUF, 100_000],
    [TcpOption.RCVBUF, 100_000],
    [TcpOption.WINDOW_CLAMP, 50_000],
    [TcpOption.ECN, 1],
  ] as const) {
    assert.equal(s.app.set(option, value), 0);
    assert.equal(get(option), value);
  }
});

test("TCP_MAXSEG caps both what is announced and what is sent", () => {
  const s = TcpScript.accepted({
    before: (w, row) => void w.tcp.setOption(row, TcpOption.MAXSEG, 600, 0),
  });
  s.app.write(1000);
  s.expect("A 1:601 ack 1");
  assert.equal(s.world.tcp.info(s.row, 0).advMss, 600);
});

test("TCP_INFO tells what happened", () => {
  const s = TcpScript.accepted();
  s.app.write(100);
  s.expect("PA 1:101 ack 1");
  s.at(10).send("PA 1:51 ack 101").skip();
  const info = s.world.tcp.info(s.row, s.world.nowUs);
  assert.equal(info.state, State.ESTABLISHED);
  assert.equal(info.bytesSent, 100);
  assert.equal(info.bytesReceived, 50);
  assert.equal(info.dataSegsIn, 1);
  assert.equal(info.dataSegsOut, 1);
  assert.equal(info.unacked, 0);
  assert.equal(info.sndMss, 1000);
});

test("amounts that Linux bends instead of refusing them", () => {
  const s = TcpScript.accepted();
  const get = (option: number): number => s.world.tcp.getOption(s.row, option);
  assert.equal(get(TcpOption.LINGER2), 60);
  assert.equal(s.app.set(TcpOption.LINGER2, 40_000), 0);
  assert.equal(get(TcpOption.LINGER2), 120);
  assert.equal(s.app.set(TcpOption.DEFER_ACCEPT, -1), 0);
  assert.equal(get(TcpOption.DEFER_ACCEPT), 0);
  assert.equal(s.app.set(TcpOption.SNDBUF, -1), 0);
  assert.equal(get(TcpOption.SNDBUF), 4_194_304);
  assert.equal(s.app.set(TcpOption.MAXSEG, 0), 0);
  assert.equal(s.app.set(TcpOption.MAXSEG, 87), -22);
});

test("SO_RCVLOWAT beyond what the window takes does not keep the reader waiting", () => {
  const s = TcpScript.accepted({
    before: (w, row) => void w.tcp.setOption(row, TcpOption.RCVBUF, 4_096, 0),
  });
  s.app.set(TcpOption.RCVLOWAT, 1_000_000);
  assert.equal(s.world.tcp.getOption(s.row, TcpOption.RCVLOWAT), 2_048);
  s.send("A 1:1001 ack 1").skip();
  assert.equal(s.world.tcp.readiness(s.row) & Readiness.IN, 0);
  s.send("A 1001:2001 ack 1").send("A 2001:3001 ack 1").skip();
  assert.equal(s.world.tcp.readiness(s.row) & Readiness.IN, Readiness.IN);
  const one = TcpScript.accepted();
  one.app.set(TcpOption.RCVLOWAT, 1_000_000);
  assert.equal(one.world.tcp.info(one.row, 0).rcvSpaceBytes > 0, true);
});

test("TCP_DEFER_ACCEPT of a connection is what was set, also after an invalid segment was answered", () => {
  const s = TcpScript.accepted();
  assert.equal(s.app.set(TcpOption.DEFER_ACCEPT, 5), 0);
  s.at(20_000).send("A 900000:900000 ack 1").expect("A 1:1 ack 1");
  assert.equal(s.world.tcp.getOption(s.row, TcpOption.DEFER_ACCEPT), 5);
});
