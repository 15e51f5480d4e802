/** Claims: counted, bounded, gone when the filter is closed; and the order of fragments. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { E2BIG, EBADF } from "../../src/base/errno.js";
import { ANY4, IpAddress } from "../../src/base/ip-address.js";
import { SteeringFilter } from "../../src/nic/steering-filter.js";
import * as ipv4 from "../../src/wire/ipv4.js";
import { enterNamespace, needsRoot } from "../support/namespace.js";
import { SteeringRun } from "../support/steering-run.js";
import { frame } from "../vectors/frames.js";

await enterNamespace(import.meta.url);
const options = { skip: needsRoot() };

const UDP = 17;
/** A datagram from 10.0.0.10:12345 to 10.0.0.1:3799. */
const datagram = (): Uint8Array => frame("udpNoChecksum");
const LOCAL = IpAddress.parse("10.0.0.1");
const REMOTE = IpAddress.parse("10.0.0.10");
const IP_AT = 14;

test("a claim ends after as many removals as additions, and not before", options, () => {
  const run = new SteeringRun();
  const { filter } = run;
  assert.equal(run.isTaken(datagram()), false);
  for (const add of [
    () => filter.addFlow(UDP, LOCAL, 3799, REMOTE, 12_345),
    () => filter.addPort(UDP, LOCAL, 3799),
    () => filter.addPort(UDP, ANY4, 3799),
  ]) {
    assert.equal(add(), 0);
    assert.equal(add(), 0);
  }
  for (const remove of [
    () => filter.removeFlow(UDP, LOCAL, 3799, REMOTE, 12_345),
    () => filter.removePort(UDP, LOCAL, 3799),
    () => filter.removePort(UDP, ANY4, 3799),
  ]) {
    remove();
    assert.equal(run.isTaken(datagram()), true);
    remove();
    remove(); // once too often is nothing
  }
  assert.equal(run.isTaken(datagram()), false);
  run.close();
});

test("a full table says E2BIG and takes claims again when there is room", options, () => {
  const before = readdirSync("/proc/self/fd").length;
  const filter = new SteeringFilter({ maxFlows: 1, maxPorts: 1 });
  assert.equal(filter.addPort(UDP, LOCAL, 1), 0);
  assert.equal(filter.addPort(UDP, LOCAL, 2), -E2BIG);
  assert.equal(filter.addFlow(UDP, LOCAL, 1, REMOTE, 1), 0);
  assert.equal(filter.addFlow(UDP, LOCAL, 1, REMOTE, 2), -E2BIG);
  filter.removePort(UDP, LOCAL, 2); // it was never claimed
  filter.removePort(UDP, LOCAL, 1);
  assert.equal(filter.addPort(UDP, LOCAL, 2), 0);
  filter.close();
  filter.close();
  assert.equal(filter.addPort(UDP, LOCAL, 2), -EBADF);
  assert.equal(filter.addGroup(IpAddress.parse("224.0.0.9"), 0), -EBADF);
  filter.removePort(UDP, LOCAL, 2);
  assert.equal(readdirSync("/proc/self/fd").length, before);
});

test("fragments follow their first one; a first one without claim ends that", options, () => {
  const run = new SteeringRun();
  run.filter.addPort(UDP, LOCAL, 3799);
  const first = datagram();
  ipv4.setFragment(first, IP_AT, 0, true);
  const last = datagram();
  ipv4.setFragment(last, IP_AT, 1480, false);
  assert.equal(run.isTaken(last), false, "before its first");
  assert.equal(run.isTaken(first), true);
  assert.equal(run.isTaken(last), true);
  assert.equal(run.isTaken(last), true, "a duplicate");
  const other = last.slice();
  ipv4.setId(other, IP_AT, 1);
  assert.equal(run.isTaken(other), false, "of another packet");
  run.filter.removePort(UDP, LOCAL, 3799);
  assert.equal(run.isTaken(last), true, "its packet was claimed");
  assert.equal(run.isTaken(first), false, "the same identification, used again");
  assert.equal(run.isTaken(last), false);
  run.close();
});

test("fragments that come too late after their first one are the kernel's", options, () => {
  const run = new SteeringRun([], true, 0n);
  run.filter.addPort(UDP, LOCAL, 3799);
  const first = datagram();
  ipv4.setFragment(first, IP_AT, 0, true);
  const last = datagram();
  ipv4.setFragment(last, IP_AT, 1480, false);
  assert.equal(run.isTaken(first), true);
  assert.equal(run.isTaken(last), false);
  run.close();
});

test("a frame in several buffers is steered by what is in the first", options, () => {
  const run = new SteeringRun();
  run.filter.addPort(UDP, LOCAL, 3799);
  const jumbo = new Uint8Array(9000).fill(0xa5);
  jumbo.set(datagram());
  const { verdict, lengthBytes } = run.run(jumbo);
  assert.equal(verdict, 4);
  assert.deepEqual(run.left(lengthBytes), jumbo);
  run.filter.removePort(UDP, LOCAL, 3799);
  assert.equal(run.isTaken(jumbo), false);
  run.close();
});

test(
  "a port at any address is claimed at the host's addresses only, once these are known",
  options,
  () => {
    const run = new SteeringRun();
    run.filter.addPort(UDP, ANY4, 3799);
    assert.equal(run.isTaken(datagram()), true);
    run.filter.setLocalAddresses([REMOTE]);
    assert.equal(run.isTaken(datagram()), false);
    run.filter.setLocalAddresses([REMOTE, LOCAL]);
    assert.equal(run.isTaken(datagram()), true);
    run.filter.setLocalAddresses([]);
    assert.equal(run.isTaken(datagram()), false);
    run.filter.setLocalAddresses(null);
    assert.equal(run.isTaken(datagram()), true);
    run.close();
  },
);
