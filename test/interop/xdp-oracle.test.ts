/**
 * The kernel is the oracle: every program of examples/xdp and of Debian's libxdp1, on every packet of the
 * captures and on damaged ones, gives the same verdict, bytes and maps in the kernel, in the interpreter
 * (in strict mode), compiled to WebAssembly, as traces that all stay, and as traces with caches of every kind
 * that `millrace xdp eval` has: four to a program, in turn, so that each kind has at least one program.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CACHE_KINDS, type CacheKind } from "../support/xdp-caches.js";
import { exampleObjects, libxdpObjects } from "../support/xdp-objects.js";
import { Oracle } from "../support/xdp-oracle.js";
import { capturedPackets, damagedPackets } from "../support/xdp-packets.js";
import { setupOf } from "../support/xdp-setups.js";

const PACKETS = 12_000;
const seed = 20261121;
/** Kinds of caches that run each program. */
const CACHES = 4;

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
  const compared = new Set<CacheKind>();
  let traced = 0;
  let byTrace = 0;
  for (const { name, object } of objects) {
    const maps = object.maps.map((map) => map.name);
    const setup = setupOf(name, maps, captured);
    for (const program of object.programs) {
      if (!program.section.startsWith("xdp")) continue;
      const first = programs * CACHES;
      const kinds = Array.from(
        { length: CACHES },
        (_, n) => CACHE_KINDS[(first + n) % CACHE_KINDS.length]!,
      );
      for (const kind of kinds) compared.add(kind);
      const oracle = new Oracle(name, object, program.name, kinds);
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
      `${traced} with traces, of which ${byTrace} ran by one; ${compared.size} kinds of caches`,
  );
  assert.equal(compared.size, CACHE_KINDS.length);
  assert.ok(comparisons >= 1_000_000, `${comparisons} comparisons`);
});
