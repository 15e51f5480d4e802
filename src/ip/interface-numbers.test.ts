import assert from "node:assert/strict";
import { test } from "node:test";
import { simLink } from "../nic/sim-link.js";
import { TestHost } from "./stack-fixture.js";

test("interfaces have the index that they want if it is free, and never another one's", () => {
  const host = new TestHost(1);
  const add = (index?: number) => {
    const { a } = simLink(host.pool, host.pool);
    return host.ip.addInterface(a, index === undefined ? {} : { index });
  };
  const wanted = [undefined, 7, undefined, 1_000_000_001, 7, 1_000_000_001, undefined, 300];
  const made = wanted.map(add);
  assert.deepEqual(
    made.map((iface) => iface.index),
    [2, 7, 8, 1_000_000_001, 9, 10, 11, 300],
  );
  for (const iface of made) assert.equal(host.ip.interfaceAt(iface.index), iface);
  for (const index of [0, -1, 3, 299, 1_000_000_002])
    assert.equal(host.ip.interfaceAt(index), null);
  host.ip.removeInterface(made[1]!);
  host.ip.removeInterface(made[3]!);
  assert.equal(host.ip.interfaceAt(7), null);
  assert.equal(host.ip.interfaceAt(1_000_000_001), null);
  assert.deepEqual([add(7).index, add(1_000_000_001).index, add().index], [7, 1_000_000_001, 12]);
});
