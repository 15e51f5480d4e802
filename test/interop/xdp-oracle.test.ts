/**
 * The kernel is the oracle: every program of examples/xdp and of Debian's libxdp1, on every packet of the
 * captures and on damaged ones, gives the same verdict, bytes and maps in the kernel, in the interpreter
 * (in strict mode), compiled to WebAssembly, and as traces with caches of several sizes and policies.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { exampleObjects, libxdpObjects } from "../support/xdp-objects.js";
import { Oracle } from "../support/xdp-oracle.js";
import { capturedPackets, damagedPackets } from "../support/xdp-packets.js";
import { setupOf } from "../support/xdp-setups.js";

const PACKETS = 14_000;
const seed = 20261121;

test("programs do to packets and maps what they do in the kernel", (t) => {
  const captured = capturedPackets();
  const packets = [
    ...captured,
    ...damagedPackets(captured, Math.max(0, PACKETS - captured.length), seed),
  ];
  let comparisons = 0;
  let entries = 0;
  const objects = [...exampleObjects(), ...libxdpObjects()];
  let programs = 0;
  let traced = 0;
  let byTrace = 0;
  for (const { name, object } of objects) {
    const maps = object.maps.map((map) => map.name);
    const setup = setupOf(name, maps, captured);
    for (const program of object.programs) {
      if (!program.section.startsWith("xdp")) continue;
      const oracle = new Oracle(name, object, program.name);
      try {
        oracle.fill(setup);
        for (const packet of packets) oracle.compare(packet);
        entries += oracle.compareMaps();
      } finally {
        oracle.close();
      }
      programs++;
      comparisons += oracle.comparisons;
      traced += oracle.tracedComparisons;
      byTrace += oracle.byTrace;
      const verdicts = [...oracle.verdicts].sort().map(([verdict, n]) => `${verdict}:${n}`);
      t.diagnostic(`${name} ${program.name}: ${verdicts.join(" ")}`);
    }
  }
  t.diagnostic(
    `${comparisons} comparisons of ${programs} programs on ${packets.length} packets ` +
      `(${captured.length} captured), ${entries} entries of maps, 0 differences, seed ${seed}; ` +
      `${traced} with traces, of which ${byTrace} ran by one`,
  );
  assert.ok(comparisons >= 1_000_000, `${comparisons} comparisons`);
});
