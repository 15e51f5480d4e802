import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { Random } from "../base/random.js";
import { arrivalTimes } from "./arrivals.js";
import { LruPolicy } from "./cache-lru.js";
import { CacheSimulator } from "./cache-simulator.js";
import { makeServers } from "./fifo-servers.js";
import { mutatePacket } from "./hostile.js";
import { type NicMachine, type NicPacket, simulateNic } from "./nic-simulator.js";

/** Round numbers: a cycle is 10 ns, PCIe 100 ns and no time a byte, a packet on the host 50 ns. */
const MACHINE: Partial<NicMachine> = {
  clockMhz: 100,
  matchCycles: 2,
  pcieNs: 100,
  pcieGbps: Number.POSITIVE_INFINITY,
  hostPacketNs: 50,
  hostInstructionNs: 0,
  traceNs: 1000,
  installNs: 200,
};

const packet = (atNs: number, trace = 0): NicPacket => ({
  atNs,
  path: trace,
  trace,
  lengthBytes: 64,
  instructions: 10,
  hostRoundTrips: 0,
});

function simulate(
  packets: readonly NicPacket[],
  machine: Partial<NicMachine> = {},
  cycles: readonly number[] = [5, 5, 5, 5],
): ReturnType<typeof simulateNic> {
  return simulateNic(packets, {
    machine: { ...MACHINE, ...machine },
    cache: new CacheSimulator({ entries: 2 }, new LruPolicy()),
    costs: cycles.map((n) => ({ cycles: n, tcamBits: 8 })),
    windowPackets: 1,
  });
}

test("the first packet of a path runs on the host, the next ones when the trace has arrived on the NIC", () => {
  // Match until 20, host from 120; traced until 1120, at the NIC at 1220, in its tables at 1420.
  const { windows, onHostMeanwhile, installed, nicLatencyNs, hostLatencyNs } = simulate([
    packet(0),
    packet(1000),
    packet(1400),
    packet(1420),
  ]);
  assert.deepEqual(windows, [0, 0, 0, 1]);
  assert.equal(onHostMeanwhile, 2);
  assert.equal(installed, 1);
  assert.equal(nicLatencyNs.max, 20 + 50);
  assert.equal(hostLatencyNs.max, 20 + 100 + 50);
});

test("a path that only the host may run is never installed", () => {
  const { onHost, installed } = simulate([packet(0), packet(5000), packet(9000)], {}, [0]);
  assert.deepEqual([onHost, installed], [3, 0]);
});

test("a new path of a trace that the NIC has takes no place, and is not traced twice", () => {
  const other = (atNs: number): NicPacket => ({ ...packet(atNs), path: 7 });
  const { windows, installed } = simulate([packet(0), packet(5000), other(6000), other(9000)]);
  assert.deepEqual(windows, [0, 1, 0, 1]);
  assert.equal(installed, 1);
});

test("round trips for maps of the NIC are the host's time", () => {
  const { hostLatencyNs, hostLoad, spanNs } = simulate([{ ...packet(0), hostRoundTrips: 2 }]);
  assert.equal(hostLatencyNs.max, 20 + 100 + 50 + 400);
  assert.equal(hostLoad * spanNs, 450);
});

test("queues are bounded, and what finds one full is lost and counted", () => {
  const burst = Array.from({ length: 10 }, () => packet(0));
  const { onHost, lostOnHost } = simulate(burst, { hostQueue: 4, hostPacketNs: 100_000 });
  // One is served, four wait.
  assert.deepEqual([onHost, lostOnHost], [5, 5]);
});

test("a tracer that is asked for more than it may queue makes none of them", () => {
  const packets = [
    packet(0, 0),
    packet(1, 1),
    packet(2, 2),
    packet(3, 3),
    packet(50_000, 3),
    packet(60_000, 3),
  ];
  const { installed, untraced } = simulate(packets, { traceQueue: 1, hostCores: 4 });
  assert.deepEqual([installed, untraced], [3, 2]);
});

test("servers take arrivals in order, the first that is free", () => {
  const two = makeServers(2, 8);
  assert.deepEqual(
    [0, 0, 0, 5, 40].map((at) => two.take(at, 10)),
    [0, 0, 10, 10, 40],
  );
  assert.equal(two.busyNs, 50);
});

test("every packet ends on one side or is lost, and a run can be repeated", () => {
  const traces = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 300 });
  fc.assert(
    fc.property(traces, fc.integer(), (all, seed) => {
      const times = arrivalTimes(all.length, 5e6, new Random(seed));
      const packets = all.map((trace, n) => packet(times[n]!, trace));
      const run = (): ReturnType<typeof simulateNic> =>
        simulate(packets, { hostQueue: 3, nicQueue: 2, traceQueue: 2 }, [3, 9, 0, 40, 1, 2]);
      const report = run();
      const { onNic, onHost, lostOnNic, lostOnHost } = report;
      assert.equal(onNic + onHost + lostOnNic + lostOnHost, all.length);
      assert.deepEqual(run(), report);
    }),
    { numRuns: 50 },
  );
});

test("arrivals come at their rate, evenly or by chance", () => {
  assert.deepEqual([...arrivalTimes(4, 1e9)], [0, 1, 2, 3]);
  const times = arrivalTimes(100_000, 1e6, new Random(1));
  assert.ok(Math.abs(times.at(-1)! / 1e8 - 1) < 0.02, `${times.at(-1)}`);
});

test("mutated packets are copies whose headers alone differ, the same for a seed", () => {
  const original = Uint8Array.from({ length: 100 }, (_, n) => n);
  const random = new Random(7);
  for (let n = 0; n < 200; n++) {
    const changed = mutatePacket(original, 3, random);
    assert.ok(changed.length >= 14 && changed.length <= 100);
    assert.deepEqual(changed.subarray(60), original.subarray(60, changed.length));
  }
  assert.deepEqual(original[3], 3);
  assert.deepEqual(
    mutatePacket(original, 3, new Random(5)),
    mutatePacket(original, 3, new Random(5)),
  );
});
