/** Datagrams that go from ring to ring, and what becomes of them when the receiver's is full. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DatagramAt, DatagramFlag, Kind, Op, OpenedFor, SocketAt } from "../ring/engine-layout.js";
import { closeFd } from "../sys/fd.js";
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

test("a sender that has put more on the long way than a turn takes in goes back to the short one", () => {
  withEngine((rig) => {
    const receiver = udp(rig.client(), 7_000);
    const sender = udp(rig.client(), 7_001);
    const turns = new Turns(rig);
    const pass = (): void => {
      for (let i = 0; sender.sendTo(numbered(i), HOST, 7_000); i++) {}
      turns.turn(100);
    };
    pass();
    turns.turn(LONG_US); // the receiver sleeps
    for (let i = 0; i < 30; i++) pass();
    let long = 0;
    for (let i = 0; i < 200; i++) {
      if (i === 100) long = turns.looped;
      while (receiver.receiveFrom() !== null) {}
      pass();
    }
    assert.ok(long > 0, "none has gone the long way");
    assert.equal(turns.looped, long);
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

test("who closes while its receiver does not read leaves its port at once", () => {
  withEngine((rig) => {
    const deaf = udp(rig.client(), 7_000);
    const client = rig.client();
    const sender = udp(client, 7_001);
    const turns = new Turns(rig);
    let sent = 0;
    while (sent < 100 && sender.sendTo(numbered(sent), HOST, 7_000)) sent++;
    turns.turn(1);
    while (sender.sendTo(numbered(sent), HOST, 7_000)) sent++;
    turns.turn(1);
    assert.ok(sender.room < sender.txBytes, "nothing waits for the receiver");
    closeFd(sender.endFd);
    client.startCall(0, Op.RELEASE, sender.local, []);
    turns.turn(1);
    assert.equal(client.isDone(0), true);
    udp(client, 7_001);
    assert.ok(deaf.receiveFrom() !== null);
  });
});

test("what goes before calls does not take all of a turn", () => {
  withEngine((rig) => {
    const client = rig.client();
    const calls = Array.from({ length: 24 }, (_, i) => udp(client, 7_100 + i));
    const others = rig.client();
    for (let i = 0; i < calls.length; i++) udp(others, 7_200 + i);
    const turns = new Turns(rig);
    for (const [n, sender] of calls.entries()) {
      while (sender.sendTo(new Uint8Array(0), HOST, 7_200 + n)) {}
      client.startCall(n, Op.GETSOCKOPT, sender.local, []);
    }
    const unsent = (): number => calls.reduce((n, { room, txBytes }) => n + txBytes - room, 0);
    const all = unsent();
    turns.turn(1);
    assert.ok(all - unsent() <= all / 4, "a turn sends it all");
    for (let i = 0; i < calls.length; i++) turns.turn(LONG_US);
    assert.ok(calls.every((_, n) => client.isDone(n)));
    assert.equal(unsent(), 0);
  });
});

test("a host that always sends itself something does not slow down others' datagrams", () => {
  withEngine((rig) => {
    const receiver = udp(rig.client(), 7_000);
    const sender = udp(rig.client(), 7_001);
    const busy = udp(rig.client(), 7_002);
    const turns = new Turns(rig);
    sender.sendTo(new Uint8Array(8), HOST, 7_009); // to nobody: the long way
    let got = 0;
    for (let i = 0; i < 50; i++) {
      while (busy.sendTo(new Uint8Array(0), HOST, 7_009)) {}
      while (sender.sendTo(new Uint8Array(8), HOST, 7_000)) {}
      turns.turn(5);
      while (receiver.receiveFrom() !== null) got++;
    }
    assert.ok(got > 500, `only ${got} arrive in 50 turns`);
  });
});

test("nor for who was silent while it has sent itself 2^31 datagrams", () => {
  withEngine((rig) => {
    const receiver = udp(rig.client(), 7_000);
    const busy = udp(rig.client(), 7_002); // has its turn first
    const sender = udp(rig.client(), 7_001);
    const turns = new Turns(rig);
    sender.sendTo(new Uint8Array(8), HOST, 7_009); // to nobody: the long way
    for (let i = 0; i < 4; i++) turns.turn(5);
    const { loopback } = rig.engine.stack.ip;
    const overtakenBy = 0x8000_1000 | 0;
    loopback.lastIn = (loopback.lastIn + overtakenBy) | 0;
    loopback.lastOut = (loopback.lastOut + overtakenBy) | 0;
    let got = 0;
    for (let i = 0; i < 50; i++) {
      while (busy.sendTo(new Uint8Array(0), HOST, 7_009)) {}
      sender.sendTo(new Uint8Array(8), HOST, 7_000);
      turns.turn(5);
      while (receiver.receiveFrom() !== null) got++;
    }
    assert.ok(got >= 49, `only ${got} of 50 arrive in 50 turns`);
  });
});

test("what goes the long way is not overtaken when others' multicasts come in before it", () => {
  withEngine((rig) => {
    const receiver = udp(rig.client(), 7_000);
    const sender = udp(rig.client(), 7_001);
    const member = udp(rig.client(), 7_002);
    const casters = [udp(rig.client(), 7_003), udp(rig.client(), 7_004)];
    const membership = Uint8Array.of(239, 1, 1, 1, 0, 0, 0, 0); // IP_ADD_MEMBERSHIP
    assert.equal(member.call(Op.SETSOCKOPT, [0, 35], membership).result, 0);
    const turns = new Turns(rig);
    const at = sender.txAt + (sender.word(SocketAt.txTail) & (sender.txBytes - 1));
    sender.sendTo(numbered(0), HOST, 7_000);
    sender.view.setUint16(at + DatagramAt.flags, DatagramFlag.TTL, true); // by which it goes the long way
    sender.view.setUint8(at + DatagramAt.ttl, 9);
    sender.sendTo(numbered(1), HOST, 7_000);
    for (const caster of casters) {
      for (let i = 0; i < 60; i++) assert.ok(caster.sendTo(new Uint8Array(8), "239.1.1.1", 7_002));
    }
    const numbers: number[] = [];
    for (let i = 0; i < 10; i++) {
      turns.turn(1);
      const got = receiver.receiveFrom();
      if (got !== null) numbers.push(numberOf(got.data));
    }
    assert.deepEqual(numbers, [0, 1]);
    assert.ok(turns.looped > 100, `${turns.looped} came back`);
  });
});
