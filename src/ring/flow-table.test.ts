import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { IpAddress } from "../base/ip-address.js";
import { FlowTable, NO_ROW, packPorts } from "./flow-table.js";

const TCP = 6;
const UDP = 17;
const LOCAL = IpAddress.parse("10.0.0.1");
const PEER = IpAddress.parse("10.0.0.2");
const LOCAL6 = IpAddress.parse("fd00::1");
const PEER6 = IpAddress.parse("fd00::2");

test("a flow is found by all of its five parts and by nothing else", () => {
  const t = new FlowTable(1, 2);
  const ports = packPorts(80, 40_000);
  assert.equal(t.insert(LOCAL, PEER, ports, TCP, 7), true);
  assert.equal(t.find(LOCAL, PEER, ports, TCP), 7);
  assert.equal(t.find(PEER, LOCAL, ports, TCP), NO_ROW);
  assert.equal(t.find(LOCAL, PEER, packPorts(40_000, 80), TCP), NO_ROW);
  assert.equal(t.find(LOCAL, PEER, ports, UDP), NO_ROW);
  assert.equal(t.find(LOCAL6, PEER, ports, TCP), NO_ROW);
});

test("IPv6 flows differ in every word of both addresses", () => {
  const t = new FlowTable(1, 2);
  const words = (a: IpAddress): number[] => [a.w0, a.w1, a.w2, a.w3];
  t.insert(LOCAL6, PEER6, 1, UDP, 0);
  for (let i = 0; i < 4; i++) {
    const changed = (a: IpAddress): IpAddress =>
      new IpAddress(...(words(a).map((w, j) => (i === j ? w ^ 1 : w)) as [number]));
    assert.equal(t.find(changed(LOCAL6), PEER6, 1, UDP), NO_ROW);
    assert.equal(t.find(LOCAL6, changed(PEER6), 1, UDP), NO_ROW);
  }
  assert.equal(t.find(LOCAL6, PEER6, 1, UDP), 0);
});

test("a flow that is there is not inserted again", () => {
  const t = new FlowTable(1, 2);
  t.insert(LOCAL, PEER, 1, TCP, 3);
  assert.equal(t.insert(LOCAL, PEER, 1, TCP, 4), false);
  assert.equal(t.find(LOCAL, PEER, 1, TCP), 3);
  assert.equal(t.size, 1);
});

test("a row can be removed once, and used again for another flow", () => {
  const t = new FlowTable(1, 2);
  t.insert(LOCAL, PEER, 1, TCP, 3);
  assert.equal(t.remove(3), true);
  assert.equal(t.remove(3), false);
  assert.equal(t.remove(1000), false);
  assert.equal(t.find(LOCAL, PEER, 1, TCP), NO_ROW);
  assert.equal(t.insert(LOCAL, PEER, 2, TCP, 3), true);
  assert.equal(t.find(LOCAL, PEER, 2, TCP), 3);
});

test("the addresses of a row can be read back", () => {
  const t = new FlowTable(1, 2);
  t.insert(LOCAL6, PEER, 9, TCP, 70);
  const a = new IpAddress();
  const b = new IpAddress();
  t.addressesOf(70, a, b);
  assert.equal(`${a} ${b}`, "fd00::1 10.0.0.2");
});

test("findHashed with the flow's hash is find, and the hash depends on the secret", () => {
  const t = new FlowTable(1, 2);
  t.insert(LOCAL, PEER, 5, TCP, 1);
  const h = t.hash(LOCAL, PEER, 5, TCP);
  t.touch(h);
  assert.equal(t.findHashed(h, LOCAL, PEER, 5, TCP), 1);
  assert.notEqual(new FlowTable(1, 3).hash(LOCAL, PEER, 5, TCP), h);
  assert.notEqual(new FlowTable(2, 2).hash(LOCAL, PEER, 5, TCP), h);
});

test("any sequence of inserts and removals does what a Map of strings does", () => {
  const address = fc.constantFrom(LOCAL, PEER, LOCAL6, PEER6, new IpAddress());
  const flow = fc.tuple(address, address, fc.nat(5), fc.constantFrom(TCP, UDP));
  const step = fc.tuple(fc.boolean(), flow);
  fc.assert(
    fc.property(fc.integer(), fc.array(step, { maxLength: 150 }), (secret, steps) => {
      const t = new FlowTable(secret, 0, 1);
      const model = new Map<string, number>();
      const freeRows = Array.from({ length: 200 }, (_, i) => i);
      for (const [adding, [l, r, ports, protocol]] of steps) {
        const key = `${l} ${r} ${ports} ${protocol}`;
        assert.equal(t.find(l, r, ports, protocol), model.get(key) ?? NO_ROW);
        if (adding) {
          const row = freeRows[0]!;
          const isNew = !model.has(key);
          assert.equal(t.insert(l, r, ports, protocol, row), isNew);
          if (isNew) model.set(key, freeRows.shift()!);
        } else {
          const row = model.get(key);
          if (row !== undefined) freeRows.push(row);
          assert.equal(t.remove(row ?? NO_ROW), model.delete(key));
        }
        assert.equal(t.size, model.size);
      }
    }),
  );
});

/** Mean probes of a table of `n` flows made by `flow`, filled to just below its next growth. */
function probes(n: number, flow: (i: number, remote: IpAddress) => number): number {
  const t = new FlowTable(0x1234567, 0x89abcdef);
  const remote = new IpAddress();
  for (let i = 0; i < n; i++) t.insert(LOCAL, remote, flow(i, remote), TCP, i);
  return t.meanProbes();
}

test("the caller's rows serve as keys, also when they move to a larger array", () => {
  const STRIDE = 12;
  const t = new FlowTable(1, 2);
  let rows = new Int32Array(2 * STRIDE);
  const store = (row: number, l: IpAddress, r: IpAddress, ports: number): void =>
    rows.set([l.w0, l.w1, l.w2, l.w3, r.w0, r.w1, r.w2, r.w3, ports, -1], row * STRIDE);
  t.useRows(rows, STRIDE, TCP);
  store(1, LOCAL, PEER, 5);
  assert.equal(t.insert(LOCAL, PEER, 5, TCP, 1), true);
  const moved = new Int32Array(100 * STRIDE);
  moved.set(rows);
  rows = moved;
  store(99, LOCAL6, PEER6, 5);
  assert.equal(t.find(LOCAL, PEER, 5, TCP), 1);
  t.useRows(rows, STRIDE, TCP);
  assert.equal(t.insert(LOCAL6, PEER6, 5, TCP, 99), true);
  assert.equal(t.find(LOCAL, PEER, 5, TCP), 1);
  assert.equal(t.find(LOCAL6, PEER6, 5, TCP), 99);
  assert.equal(t.remove(1), true);
  assert.equal(t.find(LOCAL, PEER, 5, TCP), NO_ROW);
  assert.equal(t.remove(1), false);
  assert.equal(t.remove(99), true);
  assert.equal(t.size, 0);
});

test("look-ups do not slow down with the number of flows, for any pattern of addresses", () => {
  const patterns: Record<string, (i: number, remote: IpAddress) => number> = {
    "one peer, then the next": (i, r) => {
      r.set(0, 0, 0xffff, 0x0a000000 + (i >>> 10));
      return packPorts(80, 1024 + (i & 1023));
    },
    "addresses that differ in the highest bits only": (i, r) => {
      r.set(0, 0, 0xffff, i << 15);
      return packPorts(80, 0x8000);
    },
    "IPv6 hosts of one network": (i, r) => {
      r.set(0xfd000000, 0, 0, i << 10);
      return packPorts(443, 443);
    },
  };
  for (const [name, flow] of Object.entries(patterns)) {
    const growth = probes(65_536, flow) / probes(1024, flow);
    assert.ok(growth < 1.2, `${name}: ${growth} times the probes at 64 times the flows`);
    assert.ok(probes(65_536, flow) < 1.7, name);
  }
});

test("100,000 flows come and go and leave an empty table", () => {
  const t = new FlowTable(7, 8);
  const remote = IpAddress.v4(0);
  for (let i = 0; i < 100_000; i++) {
    remote.w3 = i * 7919;
    t.insert(LOCAL, remote, i & 0xff, TCP, i);
  }
  assert.equal(t.size, 100_000);
  for (let i = 0; i < 100_000; i++) assert.ok(t.remove(i));
  assert.equal(t.size, 0);
  assert.equal(t.meanProbes(), 0);
});
