import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Random } from "../base/random.js";
import { type BpfObject, parseObject } from "../ebpf/object.js";
import { mergedOf, profileProgram } from "./evaluation.js";
import { cacheUse, hitRate, pathTable } from "./evaluation-cache.js";
import { runAttack, runNic } from "./evaluation-nic.js";
import { evaluateProgram } from "./evaluation-report.js";
import { stateTable } from "./evaluation-state.js";
import { mutatePacket } from "./hostile.js";
import { mixTraffic } from "./traffic-mix.js";

function objectOf(name: string): BpfObject {
  return parseObject(readFileSync(new URL(`../../../fuzz/corpus/elf/${name}.o`, import.meta.url)));
}

/** Datagrams of some sources, IPv6 now and then, something else too. */
function traffic(count: number, seed: number, edits = 0): Uint8Array[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => {
    const packet = new Uint8Array(80);
    packet.set(random.chance(0.8) ? [8, 0, 0x45] : [0x86, 0xdd, 0x60], 12);
    packet[23] = random.chance(0.5) ? 6 : 17;
    packet[26] = random.below(5);
    return edits === 0 ? packet : mutatePacket(packet, edits, random);
  });
}

test("the example of two traces: IPv6 passes and all else is dropped", () => {
  const profile = profileProgram(objectOf("ipv6_filter"), "ipv6_filter", traffic(1000, 1));
  const { paths, merged, hostOnly, ternary } = pathTable(profile);
  assert.deepEqual([paths, merged, hostOnly, ternary], [2, 2, 0, 1]);
  assert.equal(hitRate(profile, "path", "lru", 2), 998 / 1000);
});

test("paths with the same effects are one trace, so fewer entries hit as often", () => {
  const profile = profileProgram(objectOf("tunnel"), "tunnel", traffic(2000, 1, 3));
  const { paths, merged } = pathTable(profile);
  assert.ok(merged < paths, `${merged} of ${paths}`);
  assert.ok(hitRate(profile, "merged", "lru", 2) > hitRate(profile, "path", "lru", 2));
  const bound = hitRate(profile, "merged", "belady", 2);
  for (const policy of ["fifo", "lru", "clock", "lfu", "tinylfu", "second-miss"] as const) {
    assert.ok(hitRate(profile, "merged", policy, 2) <= bound, policy);
  }
});

test("a cache limited in bits never holds more, and one that has room for all hits as one of as many entries", () => {
  const profile = profileProgram(objectOf("tunnel"), "tunnel", traffic(2000, 1, 3));
  const policies = ["fifo", "lru", "clock", "lfu", "tinylfu", "second-miss", "belady"] as const;
  for (const unit of ["path", "merged"] as const) {
    const all = cacheUse(profile, unit, "lru", { entries: 1000 });
    for (const policy of policies) {
      assert.deepEqual(
        cacheUse(profile, unit, policy, { tcamBits: all.mostTcamBits }),
        all,
        policy,
      );
      for (const part of [0.05, 0.2, 0.5, 0.8]) {
        const tcamBits = Math.floor(part * all.mostTcamBits);
        const use = cacheUse(profile, unit, policy, { tcamBits });
        assert.ok(use.mostTcamBits <= tcamBits, `${policy}: ${use.mostTcamBits} of ${tcamBits}`);
        assert.ok(use.hitRate <= all.hitRate, policy);
      }
    }
  }
});

test("every packet of a program with state runs somewhere, and no read is stale at any rate of updates", () => {
  const packets = traffic(3000, 2, 1);
  const profile = profileProgram(objectOf("ddos_guard"), "ddos_guard", packets);
  const { onNic, onHost, lostOnNic, lostOnHost } = runNic(profile, {
    policy: "lru",
    entries: 4,
    packetsPerS: 100_000,
  });
  assert.equal(onNic + onHost + lostOnNic + lostOnHost, packets.length);
  assert.ok(onNic > packets.length / 2);
  for (const updatesPerS of [0, 1000, 100_000]) {
    const rows = stateTable(profile, { updatesPerS });
    assert.ok(rows.some(({ map }) => map === "sources"));
    for (const row of rows) assert.equal(row.staleReads + row.misplaced, 0, row.model);
  }
});

test("an attack is felt while it lasts", () => {
  const third = 2000;
  const ordinary = traffic(third, 3);
  const attack = traffic(third, 4, 6);
  const packets = [...ordinary, ...attack, ...ordinary];
  const profile = profileProgram(objectOf("tunnel"), "tunnel", packets, { accessPackets: 0 });
  assert.ok(mergedOf(profile).length === packets.length);
  const row = runAttack(
    profile,
    { before: third, during: third, after: third },
    { unit: "path", policy: "lru", entries: 2, packetsPerS: 100_000 },
  );
  assert.ok(row.missDuring > row.missBefore, `${row.missBefore} ${row.missDuring}`);
  assert.ok(row.recoveryPackets <= third);
});

test("an evaluation is the same for the same seed", () => {
  const run = (): unknown =>
    evaluateProgram(
      objectOf("ddos_guard"),
      { object: "ddos_guard", program: "ddos_guard" },
      traffic(600, 5),
      {
        tables: ["paths", "cache", "vliw", "nic", "state", "attack"],
        sizes: [2, 8],
        tcamSizes: [1000, 10_000],
        policies: ["lru", "tinylfu"],
        entries: 4,
        hostileEdits: 3,
        packetsPerS: 1_000_000,
        updatesPerS: [0, 10_000],
        seed: 9,
      },
    );
  assert.deepEqual(run(), run());
});

test("a mix takes packets of many files, each file's in order", () => {
  const files = [1, 2, 3].map((file) =>
    Array.from({ length: 40 }, (_, n) => Uint8Array.of(file, n)),
  );
  const mixed = mixTraffic(files, 100, new Random(1), { atATime: 3 });
  assert.equal(mixed.length, 100);
  assert.deepEqual(mixTraffic([[]], 10, new Random(1)), []);
  const changes = mixed.filter((packet, n) => n > 0 && packet[0] !== mixed[n - 1]![0]).length;
  assert.ok(changes > 20, `${changes} changes of file`);
  const first = mixed.filter(([file]) => file === 1).map(([, n]) => n);
  for (const [n, at] of first.entries()) assert.ok(n === 0 || at === 0 || at === first[n - 1]! + 1);
});
