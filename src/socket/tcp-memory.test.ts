import assert from "node:assert/strict";
import { test } from "node:test";
import { simLink } from "../nic/sim-link.js";
import type { Pool } from "../ring/pool.js";
import { Simulation } from "../sim/simulation.js";
import { createPool } from "./create-host.js";
import { Family } from "./linux-options.js";
import { Stack } from "./stack.js";
import type { TcpSocket } from "./tcp-socket.js";
import { A4, B4 } from "./two-stacks.js";

/** Two stacks with pools of their own, so that only one of them runs short. */
function world(aPool: Pool, bPool: Pool): { s: Simulation; a: Stack; b: Stack } {
  const link = simLink(aPool, bPool, { delayUs: 1_000 });
  const s = new Simulation();
  const a = new Stack({ pool: aPool, nowUs: s.nowUs, seed: 1 });
  const b = new Stack({ pool: bPool, nowUs: s.nowUs, seed: 2 });
  a.ip.addInterface(link.a, { addresses: [`${A4}/24`] });
  b.ip.addInterface(link.b, { addresses: [`${B4}/24`] });
  s.add(a, b);
  return { s, a, b };
}

function connectMany(s: Simulation, a: Stack, b: Stack, n: number): [TcpSocket[], TcpSocket[]] {
  const listener = b.tcpSocket(Family.INET)!;
  listener.bind(B4, 80);
  listener.listen(n);
  const out: TcpSocket[] = [];
  const accepted: TcpSocket[] = [];
  for (let i = 0; i < n; i++) {
    const c = a.tcpSocket(Family.INET)!;
    assert.equal(c.connect(B4, 80), -115);
    out.push(c);
    s.run(10_000);
    const one = listener.accept();
    assert.ok(one !== null, `connection ${i} was accepted`);
    accepted.push(one);
  }
  return [out, accepted];
}

const DATA = new Uint8Array(65_536);

/** Bytes that the last connection brings across in `us` while all the others write and nobody reads. */
function goodput(
  s: Simulation,
  out: TcpSocket[],
  last: TcpSocket,
  us: number,
  mayWrite: (i: number) => boolean = () => true,
): number {
  const into = new Uint8Array(65_536);
  let received = 0;
  const endUs = s.nowUs + us;
  s.runUntil(endUs, () => {
    for (let i = 0; i < out.length; i++) if (mayWrite(i)) while (out[i]!.send(DATA) > 0);
    for (let n = last.receive(into); n > 0; n = last.receive(into)) received += n;
    return false;
  });
  return received;
}

test("receivers that do not read leave memory for one that does", () => {
  const small = createPool({ smallSlots: 1_024, bigSlots: 64 });
  const { s, a, b } = world(createPool(), small);
  const [out, accepted] = connectMany(s, a, b, 201);
  const last = accepted[200]!;
  goodput(s, out, last, 5_000_000);
  const received = goodput(s, out, last, 10_000_000);
  assert.ok(received > 1_000_000, `the reader got ${received} bytes in 10 s`);
  assert.ok(small.freeSmall >= 16, `${small.freeSmall} small slots are free`);
  assert.ok(b.tcp.counters.get("memoryPressures") > 0);
  // New connections are made all the same, and those who begin to read go on.
  const [more, taken] = ((): [TcpSocket, TcpSocket] => {
    const listener = b.tcpSocket(Family.INET)!;
    listener.bind(B4, 81);
    listener.listen(1);
    const c = a.tcpSocket(Family.INET)!;
    c.connect(B4, 81);
    s.run(3_000_000);
    return [c, listener.accept()!];
  })();
  assert.ok(goodput(s, [more], taken, 10_000_000) > 100_000);
  assert.ok(goodput(s, out, accepted[0]!, 120_000_000) > 100_000);
});

test("senders whose peers do not read leave memory for one whose peer does", () => {
  const small = createPool({ smallSlots: 1_024, bigSlots: 64 });
  const { s, a, b } = world(small, createPool());
  const [out, accepted] = connectMany(s, a, b, 201);
  const last = accepted[200]!;
  goodput(s, out, last, 5_000_000, (i) => i < 200);
  const received = goodput(s, out, last, 10_000_000);
  assert.ok(received > 1_000_000, `the reader got ${received} bytes in 10 s`);
  assert.ok(small.freeSmall >= 16, `${small.freeSmall} small slots are free`);
});
