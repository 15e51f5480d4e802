import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { pattern, TcpScript } from "../../test/support/tcp-script.js";

const piece = fc.record({
  from: fc.integer({ min: 1, max: 400 }),
  n: fc.integer({ min: 1, max: 120 }),
});

test("segments in any order, overlapping as they like, give the stream; SACK tells what is held", () => {
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 60 }), (pieces) => {
      const s = TcpScript.accepted({ peerSyn: "mss 1000 sackOK" });
      const free = s.world.freeSlots;
      const have = new Set<number>();
      let got = 0;
      for (const { from, n } of pieces) {
        for (let k = from; k < from + n; k++) have.add(k);
        s.send(`A ${from}:${from + n} ack 1`);
        let next = 1;
        while (have.has(next)) next++;
        const last = s.sent.at(-1);
        if (last !== undefined) {
          for (const [, left, right] of last.matchAll(/[ ,](\d+):(\d+)(?=,|$)/g)) {
            for (let k = Number(left); k < Number(right); k++) assert.ok(have.has(k), last);
          }
        }
        s.sent.length = 0;
        const bytes = s.world.read(s.row);
        if (bytes instanceof Uint8Array) {
          assert.deepEqual(bytes, pattern(got + 1, bytes.length));
          got += bytes.length;
        }
        assert.equal(got, next - 1);
      }
      s.world.tcp.abort(s.row, 0);
      assert.equal(s.world.freeSlots, free);
    }),
    { numRuns: 150 },
  );
});

test("the out-of-order queue is bounded", () => {
  const s = TcpScript.accepted({ settings: { reassemblySlots: 4 } });
  for (let k = 1; k <= 6; k++) s.send(`A ${2000 * k}:${2000 * k + 1000} ack 1`);
  assert.equal(s.world.tcp.drops.get("TCP_OUT_OF_ORDER_LIMIT"), 2);
});
