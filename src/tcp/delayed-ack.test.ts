import assert from "node:assert/strict";
import { test } from "node:test";
import { TcpScript } from "../../test/support/tcp-script.js";
import { TcpOption } from "./tcp-option.js";

/** A connection past its quick ACKs, at 100 ms; `next` is the peer's next sequence number. */
function settled(): { s: TcpScript; next: number } {
  const s = TcpScript.accepted();
  let next = 1;
  for (let k = 0; k < 20; k++) {
    s.at(5 * (k + 1))
      .send(`PA ${next}:${next + 1000} ack 1`)
      .skip();
    next += 1000;
    s.app.read();
  }
  s.at(200).skip();
  return { s, next };
}

test("the first segments of a connection are acknowledged at once", () => {
  const s = TcpScript.accepted();
  s.send("PA 1:101 ack 1").expect("A 1:1 ack 101");
  s.send("PA 101:201 ack 1").expect("A 1:1 ack 201");
});

test("later an ACK waits 40 ms, and a second full segment makes it go", () => {
  const { s, next } = settled();
  s.send(`PA ${next}:${next + 100} ack 1`).expectNothing();
  s.at(239).expectNothing();
  s.at(241).expect(`A 1:1 ack ${next + 100}`);
  s.send(`A ${next + 100}:${next + 1100} ack 1`).expectNothing();
  s.send(`A ${next + 1100}:${next + 2100} ack 1`).expect(`A 1:1 ack ${next + 2100}`);
});

test("segments of one batch share an ACK", () => {
  const s = TcpScript.accepted();
  for (let k = 0; k < 4; k++)
    s.send(`A ${1000 * k + 1}:${1000 * k + 1001} ack 1`, { batched: true });
  s.expect("A 1:1 ack 4001").expectNothing();
});

test("the answer carries the ACK", () => {
  const { s, next } = settled();
  s.send(`PA ${next}:${next + 100} ack 1`, { batched: true });
  s.app.write(50);
  s.expect(`PA 1:51 ack ${next + 100}`);
  s.at(1000);
  assert.ok(s.sent.every((text) => !text.startsWith("A 51:51")));
});

test("TCP_QUICKACK acknowledges at once", () => {
  const { s, next } = settled();
  s.app.set(TcpOption.QUICKACK, 1);
  s.send(`PA ${next}:${next + 100} ack 1`).expect(`A 1:1 ack ${next + 100}`);
});

test("reading opens the window, and the peer hears of it when it has doubled", () => {
  const s = TcpScript.accepted({ settings: { rmemDefaultBytes: 8000, moderateRcvbuf: false } });
  for (let k = 0; k < 8; k++) s.send(`A ${1000 * k + 1}:${1000 * k + 1001} ack 1`);
  s.skip();
  assert.equal(s.app.read(500), 500);
  s.expectNothing();
  s.app.read(3000);
  s.expect("A 1:1 ack 8001 win 3500");
});

test("the receive buffer grows with the reader (dynamic right-sizing)", () => {
  const s = TcpScript.accepted({
    settings: { windowScaling: true, timestamps: true },
    peerSyn: "mss 1000 ws 7 ts 1000 0",
  });
  const before = s.world.tcp.getOption(s.row, TcpOption.RCVBUF);
  let next = 1;
  let ours = 0;
  for (let round = 1; round < 12; round++) {
    s.at(round * 20);
    const last = s.sent.at(-1);
    if (last !== undefined) ours = Number(/ts (-?\d+)/.exec(last)![1]);
    s.sent.length = 0;
    for (let k = 0; k < 40; k++) {
      s.send(`A ${next}:${next + 1000} ack 1 ts ${1000 + round} ${ours}`, { batched: true });
      next += 1000;
    }
    s.app.read(65_536);
  }
  assert.ok(s.world.tcp.getOption(s.row, TcpOption.RCVBUF) > before);
});
