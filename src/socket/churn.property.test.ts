/**
 * Connections that come and go while the rows grow: the flow table reads its keys from the rows, and
 * every byte still reaches the connection that it was sent to.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ANY6 } from "../base/ip-address.js";
import { Random } from "../base/random.js";
import { Family } from "./linux-options.js";
import type { TcpSocket } from "./tcp-socket.js";
import { B4, B6, TwoStacks } from "./two-stacks.js";

interface Open {
  readonly client: TcpSocket;
  readonly server: TcpSocket;
}

const MOST = 220; // rows of one stack grow from 64 to 128 and 256

function open(net: TwoStacks, listener: TcpSocket, random: Random): Open {
  const isV6 = random.chance(0.5);
  const client = net.a.tcpSocket(isV6 ? Family.INET6 : Family.INET)!;
  client.connect(isV6 ? B6 : B4, 80);
  net.settle();
  const server = listener.accept();
  assert.ok(server !== null, "accepted");
  assert.equal(server.remotePort, client.localPort);
  return { client, server };
}

/** A word goes to and fro. */
function talk(net: TwoStacks, o: Open, word: string): void {
  const into = new Uint8Array(64);
  for (const [from, to] of [
    [o.client, o.server],
    [o.server, o.client],
  ] as const) {
    assert.equal(from.send(Buffer.from(word)), word.length);
    net.settle();
    const n = to.receive(into);
    assert.equal(Buffer.from(into.subarray(0, Math.max(n, 0))).toString(), word);
  }
}

for (const seed of [1, 2, 3]) {
  test(`every byte reaches its connection while rows grow and are used again (seed ${seed})`, () => {
    const net = new TwoStacks();
    const random = new Random(seed);
    const listener = net.b.tcpSocket()!;
    assert.equal(listener.bind(ANY6, 80), 0);
    assert.equal(listener.listen(64), 0);
    const all: Open[] = [];
    for (let step = 0; step < 900; step++) {
      const grows = step < 600;
      if (all.length === 0 || (all.length < MOST && random.chance(grows ? 0.6 : 0.2))) {
        all.push(open(net, listener, random));
      } else if (random.chance(0.5)) {
        talk(net, all[random.below(all.length)]!, `word ${step}`);
      } else {
        const [gone] = all.splice(random.below(all.length), 1);
        if (random.chance(0.5)) gone!.client.abort();
        else gone!.client.close();
        net.settle();
        gone!.server.close();
        net.settle();
        if (random.chance(0.05)) net.run(61_000_000); // the end of TIME-WAITs
      }
    }
    for (const [i, o] of all.entries()) talk(net, o, `last ${i}`);
    assert.equal(net.b.flows.size, all.length);
    for (const o of all) {
      o.client.close();
      o.server.close();
    }
    listener.close();
    net.run(200_000_000);
    assert.deepEqual([net.a.tcp.rows, net.b.tcp.rows], [0, 0]);
    assert.deepEqual([net.a.flows.size, net.b.flows.size], [0, 0]);
  });
}
