import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../base/random.js";
import {
  AccessKind,
  Cells,
  HOST,
  type MapModel,
  type ModelPlace,
  NIC,
  type Side,
} from "./consistency.js";
import { MODEL_NAMES, type ModelName } from "./consistency-models.js";
import {
  type ControlWork,
  type MapAccess,
  type ModelChoice,
  type PacketWork,
  runConsistency,
} from "./consistency-run.js";
import { DeltaModel } from "./model-deltas.js";
import { FlowOwnedModel } from "./model-flow-owned.js";
import { EpochModel, ReplicatedModel } from "./model-replicated.js";

const SEEDS = 150;
const CELLS = 3;

/** What programs may do under each model, and the control plane. */
interface Allowed {
  readonly packet: readonly AccessKind[];
  readonly sets: boolean;
  readonly gets: boolean;
}

const EVERYTHING: Allowed = {
  packet: [AccessKind.READ, AccessKind.WRITE, AccessKind.ADD],
  sets: true,
  gets: true,
};
const READS: Allowed = { packet: [AccessKind.READ], sets: true, gets: true };

const ALLOWED: Readonly<Record<ModelName, Allowed>> = {
  "per-cpu": EVERYTHING,
  replicated: READS,
  epochs: READS,
  "nic-owned": EVERYTHING,
  "flow-owned": EVERYTHING,
  deltas: { packet: [AccessKind.ADD], sets: false, gets: true },
  "host-only": EVERYTHING,
};

/** Packets and control work that meet in time on few cells. */
function randomWork(seed: number, allowed: Allowed): [PacketWork[], ControlWork[]] {
  const random = new Random(seed);
  const spanNs = 200 + random.below(20_000);
  const packets = Array.from({ length: 60 }, () => ({
    atNs: random.below(spanNs),
    side: random.below(2) as Side,
    accesses: Array.from({ length: 1 + random.below(4) }, () => ({
      map: 0,
      cell: random.below(CELLS),
      kind: allowed.packet[random.below(allowed.packet.length)]!,
    })),
  }));
  const mayBoth = allowed.sets && allowed.gets;
  const control = Array.from({ length: 25 }, () => ({
    atNs: random.below(spanNs),
    map: 0,
    cell: random.below(CELLS),
    isWrite: mayBoth ? random.chance(0.7) : allowed.sets,
  }));
  return [packets, control];
}

function runSeed(
  model: ModelChoice,
  seed: number,
  allowed: Allowed,
): ReturnType<typeof runConsistency> {
  const [packets, control] = randomWork(seed, allowed);
  return runConsistency([model], packets, control, { linkNs: 300, jitterNs: 400, seed });
}

for (const name of MODEL_NAMES) {
  test(`${name}: no stale read in ${SEEDS} interleavings`, () => {
    let reads = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { maps } = runSeed(name, seed, ALLOWED[name]);
      assert.equal(maps[0]!.staleReads, 0, `seed ${seed}`);
      assert.equal(maps[0]!.misplaced, 0, `seed ${seed}`);
      reads += maps[0]!.reads;
    }
    assert.ok(reads > SEEDS, `${reads} reads`);
  });
}

/** Stale reads of all seeds: that the oracle sees what is wrong. */
function staleReads(model: ModelChoice, allowed: Allowed): number {
  let stale = 0;
  for (let seed = 1; seed <= SEEDS; seed++)
    stale += runSeed(model, seed, allowed).maps[0]!.staleReads;
  return stale;
}

test("copies that are pushed without holding packets back are no single memory", () => {
  class Pushed extends EpochModel {
    override readonly contract = "atomic" as never;
    protected override change(cell: number, value: number, done: () => void): void {
      const { listener } = this.place;
      super.change(cell, value, done);
      listener.commitWrite(cell, value);
    }
  }
  assert.ok(staleReads((place) => new Pushed(place), READS) > 0);
});

test("an update that returns before the NIC has it lets old values be read", () => {
  class Hasty extends EpochModel {
    protected override change(cell: number, value: number, done: () => void): void {
      super.change(cell, value, () => {});
      done();
    }
  }
  assert.ok(staleReads((place) => new Hasty(place), READS) > 0);
});

test("packets that do not respect the hold read old values", () => {
  class Heedless extends ReplicatedModel {
    override mayUse(): boolean {
      return true;
    }
  }
  assert.ok(staleReads((place) => new Heedless(place), READS) > 0);
});

test("sums that leave out the NIC's part miss additions", () => {
  class Deaf extends DeltaModel {
    override get(cell: number, done: (value: number) => void): void {
      done(super.partOf(HOST, cell));
    }
  }
  assert.ok(staleReads((place) => new Deaf(place), ALLOWED.deltas) > 0);
});

test("a cell used without being owned gives old values", () => {
  class Thief extends FlowOwnedModel {
    override acquire(_side: Side, _cell: number, done: () => void): void {
      done();
    }
  }
  assert.ok(staleReads((place) => new Thief(place), EVERYTHING) > 0);
});

test("caches that write back later give old values", () => {
  class WriteBack implements MapModel {
    readonly name = "write-back";
    readonly contract = "atomic";
    private readonly copies = [new Cells(), new Cells()] as const;
    private readonly place: ModelPlace;
    constructor(place: ModelPlace) {
      this.place = place;
    }
    mayUse(): boolean {
      return true;
    }
    acquire(_side: Side, _cell: number, done: () => void): void {
      done();
    }
    read(side: Side, cell: number, done: (value: number) => void): void {
      done(this.copies[side].get(cell));
    }
    write(side: Side, cell: number, value: number, done: () => void): void {
      this.copies[side].set(cell, value);
      this.place.listener.commitWrite(cell, value);
      this.place.link.send(side, () => this.copies[1 - side]!.set(cell, value));
      done();
    }
    add(side: Side, cell: number, amount: number, done: () => void): void {
      this.copies[side].add(cell, amount);
      this.place.listener.commitAdd(cell, amount);
      this.place.link.send(side, () => this.copies[1 - side]!.add(cell, amount));
      done();
    }
    set(cell: number, value: number, done: () => void): void {
      this.write(HOST, cell, value, done);
    }
    get(cell: number, done: (value: number) => void): void {
      this.read(HOST, cell, done);
    }
  }
  assert.ok(staleReads((place) => new WriteBack(place), EVERYTHING) > 0);
});

const read = (cell: number): MapAccess => ({ map: 0, cell, kind: AccessKind.READ });
const write = (cell: number): MapAccess => ({ map: 0, cell, kind: AccessKind.WRITE });

test("nic-owned: nothing is sent for packets on the NIC, a round trip for each access on the host", () => {
  const packets: PacketWork[] = [
    { atNs: 0, side: NIC, accesses: [write(1), read(1)] },
    { atNs: 100, side: HOST, accesses: [read(1), write(1)] },
  ];
  const { maps, hostWaitedNs } = runConsistency(["nic-owned"], packets, [], { linkNs: 300 });
  assert.equal(maps[0]!.messages, 4);
  assert.equal(hostWaitedNs, 1200);
});

test("flow-owned: a cell moves once when its flow changes sides", () => {
  const at = (atNs: number, side: Side): PacketWork => ({
    atNs,
    side,
    accesses: [write(1), read(1)],
  });
  const packets = [at(0, HOST), at(1000, NIC), at(3000, NIC), at(4000, NIC), at(5000, HOST)];
  const report = runConsistency(["flow-owned"], packets, [], { linkNs: 300 });
  assert.equal(report.maps[0]!.messages, 4);
  assert.equal(report.waitedNs, 600);
});

test("replicated: only packets that use a cell while it changes go to the host", () => {
  const packets = [350, 700, 1200].flatMap((atNs) =>
    [1, 2].map((cell): PacketWork => ({ atNs, side: NIC, accesses: [read(cell)] })),
  );
  const control = [{ atNs: 0, map: 0, cell: 1, isWrite: true }];
  const report = runConsistency(["replicated"], packets, control, { linkNs: 300 });
  assert.equal(report.redirected, 2);
  assert.equal(report.maps[0]!.messages, 3);
});

test("epochs: RCU lets one side see an old value when the other has seen the new one, and counts it", () => {
  const packets: PacketWork[] = [
    { atNs: 100, side: HOST, accesses: [read(1)] },
    { atNs: 200, side: NIC, accesses: [read(1)] },
  ];
  const control = [{ atNs: 0, map: 0, cell: 1, isWrite: true }];
  const { maps } = runConsistency(["epochs"], packets, control, { linkNs: 300 });
  assert.deepEqual([maps[0]!.staleReads, maps[0]!.inversions, maps[0]!.messages], [0, 1, 2]);
});
