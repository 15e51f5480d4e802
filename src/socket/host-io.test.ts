/** A host whose users are told as Node tells of I/O: what leaves when, with turns that the test makes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Host } from "./host.js";
import { Family } from "./linux-options.js";
import type { Runner } from "./runner.js";
import type { TcpSocket } from "./tcp-socket.js";
import { B4, TwoStacks } from "./two-stacks.js";

const CONNECTIONS = 4;
const bytes = (n: number): Uint8Array => new Uint8Array(n);

/** Connections from `a` to the host around `b`, whose users are yet to come. */
function connections() {
  const net = new TwoStacks();
  const runner = { tellsAsIo: true, add() {}, kick() {} } as unknown as Runner;
  const host = new Host("b", net.b, runner, [], 0);
  const listener = net.b.tcpSocket(Family.INET)!;
  listener.bind(B4, 80);
  listener.listen(CONNECTIONS);
  const clients: TcpSocket[] = [];
  const servers: TcpSocket[] = [];
  for (let k = 0; k < CONNECTIONS; k++) {
    const client = net.a.tcpSocket(Family.INET)!;
    client.connect(B4, 80);
    net.settle();
    clients.push(client);
    servers.push(listener.accept()!);
  }
  return { net, host, clients, servers };
}

test("what a connection has written leaves before the next one is told of anything", () => {
  const { net, host, clients, servers } = connections();
  const arrived: number[] = [];
  for (const server of servers) {
    host.attach(server, {
      onReady: () => {
        if (server.receive(bytes(100)) < 0) return;
        net.a.turn(net.nowUs);
        arrived.push(clients.filter((client) => client.readableBytes > 0).length);
        server.send(bytes(64), 0, 64);
      },
      onHostClosed() {},
    });
  }
  host.tell(); // that they can be written to
  for (const client of clients) client.send(bytes(64), 0, 64);
  net.a.turn(net.nowUs);
  net.b.turn(net.nowUs);
  assert.equal(host.tell(), true);
  assert.deepEqual(arrived, [0, 1, 2, 3]);
  net.a.turn(net.nowUs);
  assert.equal(clients.filter((client) => client.readableBytes > 0).length, CONNECTIONS);
});

test("in the midst of a turn only segments of the largest size leave, the rest with its end", () => {
  const { net, clients, servers } = connections();
  const [server, client] = [servers[0]!, clients[0]!];
  server.send(bytes(30_000), 0, 30_000);
  net.b.flushEarly();
  net.a.turn(net.nowUs);
  assert.equal(client.readableBytes, 0);
  server.send(bytes(60_000), 0, 60_000);
  net.b.flushEarly();
  net.a.turn(net.nowUs);
  const early = client.readableBytes;
  assert.ok(early > 0 && early % 1_448 === 0, `${early} bytes`);
  net.b.flush();
  net.a.turn(net.nowUs);
  assert.ok(client.readableBytes > early);
});
