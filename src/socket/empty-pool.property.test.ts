/** Whole hosts whose pool is empty now and then: nothing throws, nothing leaks, traffic recovers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { EINPROGRESS } from "../base/errno.js";
import { ANY6 } from "../base/ip-address.js";
import { US_PER_MS, US_PER_S } from "../base/time.js";
import { Capability } from "../nic/device.js";
import { NO_SLOT } from "../ring/pool.js";
import type { TcpSocket } from "./tcp-socket.js";
import { B4, B6, TwoStacks } from "./two-stacks.js";

const TOTAL_BYTES = 120_000;
const data = new Uint8Array(TOTAL_BYTES).map((_, i) => (i * 7 + (i >> 8)) & 255);
const buffer = new Uint8Array(20_000);

/** Sends what fits, receives what is there: the positions afterwards. */
class Transfer {
  sent = 0;
  readonly got: number[] = [];

  step(from: TcpSocket, to: TcpSocket | null): void {
    const n = from.send(data.subarray(this.sent, this.sent + 9000));
    if (n > 0) this.sent += n;
    if (to === null) return;
    for (let m = to.receive(buffer); m > 0; m = to.receive(buffer)) {
      for (let i = 0; i < m; i++) this.got.push(buffer[i]!);
    }
  }
}

for (const capabilities of [undefined, 0, Capability.TX_CHECKSUM]) {
  test(`a TCP transfer through pools that refuse slots, device capabilities ${capabilities ?? "all"}`, () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 5, max: 80 }),
        fc.boolean(),
        (seed, percent, six) => {
          const net = new TwoStacks(
            capabilities === undefined ? { delayUs: 50 } : { delayUs: 50, capabilities },
          );
          // Neighbours are known: else no solicitation may get a slot, and the connection fails rightly.
          net.a.tcpSocket()!.connect(six ? B6 : B4, 81);
          net.run(US_PER_S);
          const start = net.heldSlots;
          let isStarved = true;
          let state = seed | 1;
          const { pool } = net;
          const take = pool.take.bind(pool);
          const takeBig = pool.takeBig.bind(pool);
          const refuses = (): boolean => {
            state = (Math.imul(state, 1_103_515_245) + 12_345) | 0;
            return isStarved && ((state >>> 8) & 0xffff) % 100 < percent;
          };
          pool.take = () => (refuses() ? NO_SLOT : take());
          pool.takeBig = () => (refuses() ? NO_SLOT : takeBig());
          const listener = net.b.tcpSocket()!;
          assert.equal(listener.bind(ANY6, 80), 0);
          assert.equal(listener.listen(16), 0);
          const client = net.a.tcpSocket()!;
          assert.equal(client.connect(six ? B6 : B4, 80), -EINPROGRESS);
          const t = new Transfer();
          let server: TcpSocket | null = null;
          for (let i = 0; i < 300; i++) {
            net.run(20 * US_PER_MS);
            server ??= listener.accept();
            t.step(client, server);
          }
          isStarved = false;
          for (let i = 0; i < 3000 && t.got.length < TOTAL_BYTES; i++) {
            net.run(100 * US_PER_MS);
            server ??= listener.accept();
            t.step(client, server);
          }
          assert.equal(t.got.length, TOTAL_BYTES);
          assert.deepEqual(Uint8Array.from(t.got), data);
          client.close();
          server!.close();
          listener.close();
          net.run(200 * US_PER_S);
          assert.equal(net.heldSlots, start);
        },
      ),
      { numRuns: 8 },
    );
  });
}
