/** Polled bursts between two pollers of one thread. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { IpAddress } from "../base/ip-address.js";
import { createPool } from "../socket/create-host.js";
import { simLink } from "../socket/devices.js";
import { openPoller } from "./poll.js";

const pool = createPool({ smallSlots: 1_024, bigSlots: 64 });
const cable = simLink({ pool });
const a = openPoller({ device: cable.a, pool, addresses: ["10.0.0.1/24"] });
const b = openPoller({ device: cable.b, pool, addresses: ["10.0.0.2/24"] });
after(() => {
  a.close();
  b.close();
});

/** Turns both until it is so. */
function until(isSo: () => boolean): void {
  for (let i = 0; i < 100_000; i++) {
    if (isSo()) return;
    a.turn();
    b.turn();
  }
  assert.fail("it did not come to pass");
}

test("datagrams are read where they lie, answered in place and given back", () => {
  const server = b.udp({ port: 7 });
  const client = a.udp().connect("10.0.0.2", 7);
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 10; i++) {
      const at = client.take();
      a.memory[at] = round;
      a.memory[at + 1] = i;
      assert.equal(client.send(2), 2);
    }
    let served = 0;
    until(() => {
      const n = server.receive();
      for (let i = 0; i < n; i++) {
        assert.equal(server.address(i), "10.0.0.1");
        assert.equal(server.ports[i], client.port);
        b.memory[server.at[i]!]! += 100;
        assert.equal(server.reply(i), 2);
      }
      served += n;
      return served === 10;
    });
    const answers: number[][] = [];
    until(() => {
      const n = client.receive();
      for (let i = 0; i < n; i++) answers.push([...client.view(i)]);
      return answers.length === 10;
    });
    assert.deepEqual(
      answers,
      Array.from({ length: 10 }, (_, i) => [100 + round, i]),
    );
  }
  assert.equal(client.take() >= 0, true);
  client.close();
  server.close();
});

test("a group may be joined before the link is up", () => {
  const early = simLink({ pool });
  early.b.setUp(false);
  const receiver = openPoller({ device: early.b, pool, addresses: ["10.1.0.2/24"] });
  const feed = receiver.udp({ port: 5_000 }).join("239.1.1.1");
  early.b.setUp(true);
  const sender = openPoller({ device: early.a, pool, addresses: ["10.1.0.1/24"] });
  const out = sender.udp().connect("239.1.1.1", 5_000);
  out.take();
  assert.equal(out.send(4), 4);
  for (let i = 0; i < 100 && feed.receive() === 0; i++) {
    sender.turn();
    receiver.turn();
  }
  assert.equal(feed.view(0).length, 4);
  receiver.close();
  sender.close();
});

test("a datagram may be sent to anybody", () => {
  const server = b.udp({ address: "10.0.0.2", port: 8 });
  const client = a.udp();
  client.take();
  assert.equal(client.send(4, IpAddress.parse("10.0.0.2"), 8), 4);
  until(() => server.receive() === 1);
  assert.equal(client.send(1), -107);
  server.close();
  client.close();
});

test("a stream's chunks come in order, and its end is seen", () => {
  const listener = b.listen({ port: 80 });
  const connecting = a.stack.tcpSocket(2)!;
  connecting.connect(IpAddress.parse("10.0.0.2"), 80);
  let server = listener.accept();
  until(() => {
    server ??= listener.accept();
    return server !== null;
  });
  const sent = Uint8Array.from({ length: 50_000 }, (_, i) => i % 251);
  let at = 0;
  let received = 0;
  until(() => {
    if (at < sent.length) {
      const n = connecting.send(sent, at);
      if (n > 0) at += n;
      if (at === sent.length) connecting.shutdown(1);
    }
    for (let i = 0, n = server!.receive(); i < n; i++) {
      for (const byte of server!.view(i)) assert.equal(byte, received++ % 251);
    }
    return server!.isEnded;
  });
  assert.equal(received, sent.length);
  assert.equal(server!.errno, 0);
  server!.close();
  connecting.close();
  listener.close();
});

test("errors are thrown with their codes", () => {
  assert.throws(() => a.udp({ address: "192.0.2.1" }), { code: "EADDRNOTAVAIL" });
  const first = a.udp({ port: 99 });
  assert.throws(() => a.udp({ port: 99 }), { code: "EADDRINUSE" });
  first.close();
  assert.throws(() => a.connect("10.0.0.9", 1, 20), { code: "ETIMEDOUT" });
});
