/** Datagrams that go from ring to ring, and what becomes of them when the receiver's is full. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Kind, Op, OpenedFor } from "../ring/engine-layout.js";
import { type EngineRig, withEngine } from "./engine-fixture.js";
import type { TestClient } from "./test-client-fixture.js";
import type { TestSocket } from "./test-socket-fixture.js";

const HOST = "10.77.0.1";
/** Longer than a full ring is waited for. */
const LONG_US = 1_000;

function udp(client: TestClient, port: number): TestSocket {
  const socket = client.open({ kind: Kind.UDP, at: OpenedFor.BIND, own: "0.0.0.0", ownPort: port });
  assert.equal(socket.result, 0, socket.reason);
  return socket;
}

/** Turns at times of its own: how long one takes on this machine is of no interest. */
class Turns {
  private readonly rig: EngineRig;
  private nowUs: number;

  constructor(rig: EngineRig) {
    this.rig = rig;
    this.nowUs = rig.engine.stack.nowUs;
  }

  turn(us: number): void {
    this.nowUs += us;
    this.rig.engine.turn(this.nowUs);
  }

  /** Frames that have gone the long way, through the stack. */
  get looped(): number {
    return this.rig.engine.stack.ip.loopback.counters.get("rxFrames");
  }
}

const PAYLOAD = 1_400;
const numbered = (i: number): Uint8Array => {
  const data = new Uint8Array(PAYLOAD);
  new DataView(data.buffer).setUint32(0, i);
  return data;
};
const numberOf = (data: Uint8Array): number =>
  new DataView(data.buffer, data.byteOffset).getUint32(0);

test("a sender that never pauses goes back to the short way, in order, when its receiver reads", () => {
  withEngine((rig) => {
    const receiver = udp(rig.client(), 7_000);
    const sender = udp(rig.client(), 7_001);
    const turns = new Turns(rig);
    let sent = 0;
    const fill = (): void => {
      while (sender.sendTo(numbered(sent), HOST, 7_000)) sent++;
    };
    // The receiver sleeps for long enough that some go through the stack.
    for (let i = 0; i < 4; i++) {
      fill();
      turns.turn(1);
    }
    turns.turn(LONG_US);
    turns.turn(1);
    const long = turns.looped;
    assert.ok(long > 0, "none has gone the long way");
    let last = -1;
    let lost = 0;
    while (last < 3_000) {
      fill();
      turns.turn(1);
      for (let i = 0; i < 10; i++) {
        const got = receiver.receiveFrom();
        if (got === null) break;
        const number = numberOf(got.data);
        assert.ok(number > last, `${number} comes after ${last}`);
        lost += number - last - 1;
        last = number;
      }
    }
    assert.ok(turns.looped <= 1_000, `${turns.looped} have gone the long way`);
    assert.ok(lost <= 1_000, `${lost} are lost`);
  });
});

test("who does not read holds its senders up once", () => {
  withEngine((rig) => {
    const deaf = udp(rig.client(), 7_000);
    const other = udp(rig.client(), 7_001);
    const sender = udp(rig.client(), 7_002);
    const turns = new Turns(rig);
    const send = (i: number, port: number): void => {
      for (let tries = 0; !sender.sendTo(numbered(i), HOST, port); tries++) {
        assert.ok(tries < 100, "the sender's ring stays full");
        turns.turn(1);
      }
    };
    for (let i = 0; i < 100; i++) send(i, 7_000);
    for (let n = 0; n < 4; n++) turns.turn(1);
    turns.turn(LONG_US);
    for (let i = 0; i < 500; i++) {
      send(i, 7_000);
      send(i, 7_001);
      for (let n = 0; n < 4; n++) turns.turn(1);
      const got = other.receiveFrom();
      assert.ok(got !== null, `datagram ${i} waits for another's receiver`);
      assert.equal(numberOf(got.data), i);
      // Neither by saying that there is room where there is none.
      deaf.setHead(deaf.rxHead);
    }
  });
});

test("what was sent before a call goes before it, however much it is", () => {
  withEngine((rig) => {
    const first = udp(rig.client(), 7_000);
    const second = udp(rig.client(), 7_001);
    const sender = udp(rig.client(), 7_002);
    assert.equal(sender.callWith(Op.CONNECT, HOST, 7_000), 0);
    let sent = 0;
    while (sent < 300 && sender.sendTo(new Uint8Array(8), null)) sent++;
    assert.equal(sender.callWith(Op.CONNECT, HOST, 7_001), 0);
    for (let i = 0; i < 100; i++) rig.run();
    let got = 0;
    while (first.receiveFrom() !== null) got++;
    assert.equal(got, sent);
    assert.equal(second.receiveFrom(), null);
  });
});
