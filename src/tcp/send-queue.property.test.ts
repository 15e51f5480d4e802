import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { pattern } from "../../test/support/tcp-script.js";
import { TcpWorld } from "../../test/support/tcp-world.js";
import { Random } from "../base/random.js";
import { TcpCore } from "./core.js";
import { createRow } from "./rows.js";
import { appendToSend, copySent, dropSendQueue, releaseSent } from "./send-queue.js";
import { advance, seqOf } from "./seq.js";
import { DEFAULT_TCP_SETTINGS } from "./settings.js";

const step = fc.oneof(
  fc.record({ do: fc.constant("write" as const), n: fc.integer({ min: 1, max: 9000 }) }),
  fc.record({ do: fc.constant("ack" as const), n: fc.integer({ min: 1, max: 6000 }) }),
  fc.record({ do: fc.constant("read" as const), n: fc.integer({ min: 1, max: 3000 }) }),
);

test("the send queue is an array of bytes with a moving start", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer(), (steps, start) => {
      const world = new TcpWorld({ smallSlots: 256, bigSlots: 8 });
      const t = new TcpCore({
        slots: world.pool,
        host: world,
        random: new Random(1),
        secret: new Uint8Array(16),
        capacityRows: 2,
        settings: DEFAULT_TCP_SETTINGS,
      });
      const free = world.freeSlots;
      createRow(t);
      t.c.sndUna = seqOf(start);
      let model: number[] = [];
      let written = 0;
      let hint = -1;
      const out = world.pool.takeBig();
      const to = world.pool.base(out);
      for (const { do: what, n } of steps) {
        if (what === "write") {
          const data = pattern(written, n);
          const queued = appendToSend(t, data, 0, n);
          model.push(...data.subarray(0, queued));
          written += queued;
        } else if (what === "ack") {
          const acked = Math.min(n, model.length);
          releaseSent(t, acked);
          t.c.sndUna = advance(t.c.sndUna, acked);
          model = model.slice(acked);
          hint = -1;
        } else if (model.length > 0) {
          const from = n % model.length;
          const bytes = Math.min(n, model.length - from);
          hint = copySent(t, advance(t.c.sndUna, from), bytes, to, hint);
          assert.deepEqual(
            [...world.pool.bytes.subarray(to, to + bytes)],
            model.slice(from, from + bytes),
          );
        }
        assert.equal(t.c.sndQueuedBytes, model.length);
      }
      dropSendQueue(t);
      world.pool.give(out);
      assert.equal(world.freeSlots, free);
    }),
    { numRuns: 100 },
  );
});
