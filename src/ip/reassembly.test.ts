/** Reassembly against an obvious model, with hand-made fragments. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { put16 } from "../base/bytes.js";
import { US_PER_S } from "../base/time.js";
import { Batch } from "../ring/batch.js";
import { HEADROOM_BYTES } from "../ring/pool.js";
import * as ethernet from "../wire/ethernet.js";
import * as ipv4 from "../wire/ipv4.js";
import { MAX_PER_SOURCE, TIMEOUT4_US } from "./reassembly.js";
import { ip, Pair } from "./stack-fixture.js";

interface Part {
  readonly offset: number;
  readonly n: number;
  readonly more: boolean;
}

/** Gives host b an IPv4 fragment of the datagram `data` as if 10.0.0.1 had sent it. */
function inject(p: Pair, data: Uint8Array, id: number, part: Part): void {
  const { pool } = p.b;
  const slot = pool.take();
  const at = pool.base(slot) + HEADROOM_BYTES;
  const b = pool.bytes;
  ethernet.write(b, at, p.ifaceB.mac, p.ifaceA.mac, ethernet.TYPE_IPV4);
  const l3At = at + ethernet.HEADER_BYTES;
  ipv4.write(b, l3At, 20 + part.n, 17, ip("10.0.0.1").w3, ip("10.0.0.2").w3);
  ipv4.setId(b, l3At, id);
  ipv4.setFragment(b, l3At, part.offset, part.more);
  ipv4.fillChecksum(b, l3At);
  b.set(data.subarray(part.offset, part.offset + part.n), l3At + 20);
  pool.at[slot] = at;
  pool.end[slot] = l3At + 20 + part.n;
  pool.flags[slot] = 0;
  const batch = new Batch();
  batch.put(slot);
  p.b.ip.input(p.ifaceB, batch, p.nowUs);
}

/** A UDP datagram to port 9 without checksum. */
function datagram(payloadBytes: number): Uint8Array {
  const data = Uint8Array.from({ length: payloadBytes + 8 }, (_, i) => (i * 13) & 255);
  put16(data, 0, 4000);
  put16(data, 2, 9);
  put16(data, 4, data.length);
  put16(data, 6, 0);
  return data;
}

test("parts in any order, with copies, make the datagram; any other overlap ends it", () => {
  const p = new Pair();
  const server = p.b.bound("0.0.0.0", 9);
  const out = new Uint8Array(2000);
  let id = 0;
  const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 24 }), { maxLength: 6 });
  fc.assert(
    fc.property(cuts, fc.infiniteStream(fc.nat()), fc.boolean(), (at, random, overlaps) => {
      id = (id + 1) & 0xffff;
      const data = datagram(192);
      const edges = [0, ...at.sort((x, y) => x - y).map((c) => c * 8), data.length];
      const parts: Part[] = [];
      for (let i = 0; i + 1 < edges.length; i++) {
        const offset = edges[i]!;
        const n = edges[i + 1]! - offset;
        parts.push({ offset, n, more: edges[i + 1] !== data.length });
      }
      const pick = (n: number): number => random.next().value % n;
      const order = parts
        .map((part) => ({ part, key: pick(1000) }))
        .sort((x, y) => x.key - y.key)
        .map((x) => x.part);
      order.splice(pick(order.length), 0, order[0]!); // a copy, before the end
      const first = order[0]!;
      const bad = overlaps && order.length > 2 && first.n >= 16;
      if (bad) order.splice(1, 0, { offset: first.offset, n: 8, more: true });
      const before = p.b.drops("FRAG_OVERLAP");
      for (const part of order) inject(p, data, id, part);
      if (bad) {
        assert.equal(p.b.drops("FRAG_OVERLAP") > before, true);
        p.b.ip.reassembly.close();
      } else {
        assert.equal(server.receive(out, 0, 2000), 192);
        assert.deepEqual(out.subarray(0, 192), data.subarray(8));
        if (parts.length > 1) p.b.ip.reassembly.close(); // a copy that came after the end
      }
      server.receive(out, 0, 2000);
    }),
    { numRuns: 150 },
  );
  p.assertNothingHeld();
});

test("an incomplete datagram is given up after 30 s, and its sender is told", () => {
  const p = new Pair();
  inject(p, datagram(100), 7, { offset: 0, n: 64, more: true });
  p.pass(TIMEOUT4_US - US_PER_S);
  assert.equal(p.b.drops("FRAG_TIMEOUT"), 0);
  p.pass(2 * US_PER_S);
  assert.equal(p.b.drops("FRAG_TIMEOUT"), 1);
  assert.equal(p.b.ip.counters.get("icmpErrorsOut"), 1);
  p.assertNothingHeld();
});

test("one source cannot hold more than its share of datagrams", () => {
  const p = new Pair();
  for (let id = 1; id <= MAX_PER_SOURCE + 3; id++) {
    inject(p, datagram(100), id, { offset: 0, n: 64, more: true });
  }
  assert.equal(p.b.ip.reassembly.size, MAX_PER_SOURCE);
  assert.equal(p.b.drops("FRAG_LIMIT"), 3);
  p.assertNothingHeld();
});

test("fragments that no sender makes are refused", () => {
  const p = new Pair();
  inject(p, datagram(100), 1, { offset: 0, n: 60, more: true }); // not a multiple of 8
  assert.equal(p.b.drops("IP4_BAD_FRAGMENT"), 1);
  inject(p, datagram(100), 2, { offset: 65_528, n: 100, more: false });
  assert.equal(p.b.drops("FRAG_TOO_BIG"), 1);
  inject(p, datagram(100), 3, { offset: 64, n: 10, more: false });
  inject(p, datagram(100), 3, { offset: 80, n: 10, more: false });
  assert.equal(p.b.drops("FRAG_INCONSISTENT"), 1);
  p.assertNothingHeld();
});
