/**
 * Connections that begin here in the place of one in TIME-WAIT: as tcp_tw_reuse of Linux, whose default is 2, "only
 * for loopback" (ip-sysctl of the kernel's documentation; RFC 6191). The other end is accepted as ever.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EADDRNOTAVAIL, EINPROGRESS } from "../base/errno.js";
import { ANY4, type IpAddress } from "../base/ip-address.js";
import type { FlowTable } from "../ring/flow-table.js";
import { State } from "../tcp/state.js";
import { Family, Level, So } from "./linux-options.js";
import type { Stack } from "./stack.js";
import { TcpBind } from "./tcp-bind.js";
import type { TcpPorts } from "./tcp-ports.js";
import type { TcpSocket } from "./tcp-socket.js";
import { A4, B4, TwoStacks } from "./two-stacks.js";

const SECOND_US = 1_000_000;
const PORT = 40_000;

const timeWaits = (stack: Stack): number => stack.tcp.timeWaits;
const reused = (stack: Stack): number => stack.tcp.counters.get("timeWaitReused");

/** A socket of `stack` on a port that others may have had. */
function onPort(stack: Stack): TcpSocket {
  const socket = stack.tcpSocket(Family.INET)!;
  assert.equal(socket.setOption(Level.SOCKET, So.SO_REUSEADDR, 1), 0);
  assert.equal(socket.bind(ANY4, PORT), 0);
  return socket;
}

/** A connection that `first` closes first, so that it is the one that waits. */
function closed(net: TwoStacks, from: Stack, listener: TcpSocket, to: IpAddress): void {
  const client = onPort(from);
  assert.equal(client.connect(to, 80), -EINPROGRESS);
  net.settle();
  const server = listener.accept()!;
  assert.equal(client.state, State.ESTABLISHED);
  client.close();
  net.settle();
  server.close();
  net.settle();
}

function listening(stack: Stack): TcpSocket {
  const listener = stack.tcpSocket(Family.INET)!;
  assert.equal(listener.setOption(Level.SOCKET, So.SO_REUSEADDR, 1), 0);
  assert.equal(listener.bind(ANY4, 80), 0);
  assert.equal(listener.listen(16), 0);
  return listener;
}

test("towards this host a port in TIME-WAIT is taken again after a second, and data pass", () => {
  const net = new TwoStacks();
  const listener = listening(net.a);
  closed(net, net.a, listener, A4);
  assert.equal(timeWaits(net.a), 1);
  const soon = onPort(net.a);
  assert.equal(soon.connect(A4, 80), -EADDRNOTAVAIL);
  soon.close();
  net.run(SECOND_US + 1);
  const again = onPort(net.a);
  assert.equal(again.connect(A4, 80), -EINPROGRESS);
  net.settle();
  assert.equal(again.state, State.ESTABLISHED);
  const server = listener.accept()!;
  assert.equal(again.send(Buffer.from("new")), 3);
  net.settle();
  const got = new Uint8Array(8);
  assert.equal(server.receive(got), 3);
  assert.deepEqual([timeWaits(net.a), reused(net.a)], [0, 1]);
});

test("towards another host it is not, unless the setting says always", () => {
  for (const timeWaitConnect of ["local", "always"] as const) {
    const net = new TwoStacks({}, { tcp: { timeWaitConnect } });
    const listener = listening(net.b);
    closed(net, net.a, listener, B4);
    assert.deepEqual([timeWaits(net.a), timeWaits(net.b)], [1, 0]);
    net.run(2 * SECOND_US);
    const again = onPort(net.a);
    const result = again.connect(B4, 80);
    assert.equal(result, timeWaitConnect === "always" ? -EINPROGRESS : -EADDRNOTAVAIL);
    net.settle();
    if (timeWaitConnect === "always") assert.equal(again.state, State.ESTABLISHED);
  }
});

test("without timestamps nothing tells the old one's segments apart: it stays", () => {
  const net = new TwoStacks({}, { tcp: { timestamps: false } });
  const listener = listening(net.a);
  closed(net, net.a, listener, A4);
  net.run(5 * SECOND_US);
  assert.equal(onPort(net.a).connect(A4, 80), -EADDRNOTAVAIL);
  assert.equal(timeWaits(net.a), 1);
});

test("a peer in TIME-WAIT takes the new connection", () => {
  const net = new TwoStacks();
  const listener = listening(net.b);
  const client = onPort(net.a);
  client.connect(B4, 80);
  net.settle();
  listener.accept()!.close(); // it waits
  net.settle();
  client.close();
  net.settle();
  assert.deepEqual([timeWaits(net.a), timeWaits(net.b)], [0, 1]);
  net.run(SECOND_US);
  const again = onPort(net.a);
  assert.equal(again.connect(B4, 80), -EINPROGRESS);
  net.settle();
  assert.equal(again.state, State.ESTABLISHED);
  assert.deepEqual([timeWaits(net.b), reused(net.b)], [0, 1]);
});

test("the port that connect chooses may be one in TIME-WAIT, when every other is taken", () => {
  const held: number[] = [];
  const ports = {
    isShareable: () => true,
    hold: (_row: number, port: number) => held.push(port),
  } as unknown as TcpPorts;
  // Row 7 is everywhere, and gives way on one port.
  const flows = { hash: () => 12_345, find: () => 7 } as unknown as FlowTable;
  const asked: [number, boolean][] = [];
  const random = { below: () => 0 } as never;
  let willing = 100;
  const giveWay = (row: number, isLocal: boolean): boolean => {
    asked.push([row, isLocal]);
    willing--;
    return willing === 0;
  };
  const bind = new TcpBind(ports, flows, giveWay, random);
  const port = bind.chooseForConnect(1, A4, B4, 80, true);
  assert.ok(port >= 32_768 && port <= 60_999);
  assert.deepEqual(held, [port]);
  assert.equal(asked.length, 100);
  assert.deepEqual(asked[0], [7, true]);
  const none = new TcpBind(ports, flows, () => false, random);
  assert.equal(none.chooseForConnect(1, A4, B4, 80, true), -EADDRNOTAVAIL);
});
