import assert from "node:assert/strict";
import { test } from "node:test";
import { TcpScript } from "../../test/support/tcp-script.js";
import { State } from "./state.js";

test("a listener answers SYN with SYN-ACK, and offers the connection after the ACK", () => {
  const s = new TcpScript();
  s.listen();
  s.send("S 0:0 mss 1000 win 65535").expect("SA 0:0 ack 1 mss 1460 win 65535");
  assert.equal(s.world.tcp.accept(s.listener), -11);
  s.send("A 1:1 ack 1 win 65535").expectNothing();
  s.row = s.world.tcp.accept(s.listener);
  assert.equal(s.state, State.ESTABLISHED);
});

test("connect sends SYN, and ACK for the SYN-ACK", () => {
  const s = new TcpScript();
  s.connect();
  s.expect("S 0:0 mss 1460");
  assert.equal(s.state, State.SYN_SENT);
  s.send("SA 0:0 ack 1 mss 1000 win 65535").expect("A 1:1 ack 1");
  assert.equal(s.state, State.ESTABLISHED);
});

test("data flow both ways and the connection closes in order", () => {
  const s = TcpScript.accepted();
  s.app.write(1000);
  s.expect("PA 1:1001 ack 1");
  s.at(5).send("A 1:1 ack 1001");
  s.send("PA 1:101 ack 1001").expect("A 1001:1001 ack 101");
  assert.equal(s.app.read(), 100);
  s.app.close();
  s.expect("FA 1001:1001 ack 101");
  s.send("FA 101:101 ack 1002").expect("A 1002:1002 ack 102");
  assert.equal(s.state, State.TIME_WAIT);
  s.at(70_000).expectNothing();
  s.world.closeListener(80);
  s.world.assertClean();
});
