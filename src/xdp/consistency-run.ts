/**
 * Runs packets and the control plane on maps of two sides, under a model for each map, in virtual time, and
 * checks every read with an oracle. Which side a packet runs on is given: the trace cache decides it.
 */
import { Random } from "../base/random.js";
import {
  AccessKind,
  type CommitListener,
  HOST,
  Link,
  type MapModel,
  type ModelPlace,
  NIC,
  type Side,
} from "./consistency.js";
import { type ModelName, makeModel } from "./consistency-models.js";
import { ConsistencyOracle } from "./consistency-oracle.js";
import { cellOfCpu, PerCpuModel } from "./model-per-cpu.js";
import { VirtualTime } from "./virtual-time.js";

export interface MapAccess {
  /** Place among the models. */
  readonly map: number;
  readonly cell: number;
  readonly kind: AccessKind;
}

export interface PacketWork {
  readonly atNs: number;
  readonly side: Side;
  readonly accesses: readonly MapAccess[];
}

/** The control plane reads or writes a cell. */
export interface ControlWork {
  readonly atNs: number;
  readonly map: number;
  readonly cell: number;
  readonly isWrite: boolean;
}

export interface ConsistencyOptions {
  /** Of a message over PCIe, and by how much it varies. */
  readonly linkNs?: number;
  readonly jitterNs?: number;
  /** Between two accesses of a packet on the host. */
  readonly hostStepNs?: number;
  readonly seed?: number;
}

export interface MapReport {
  /** The model's name. */
  readonly model: string;
  readonly messages: number;
  readonly reads: number;
  readonly writes: number;
  readonly staleReads: number;
  /** See `ConsistencyOracle`. */
  readonly inversions: number;
  readonly misplaced: number;
}

export interface ConsistencyReport {
  readonly packets: number;
  readonly maps: readonly MapReport[];
  /** Packets of the NIC that went to the host because of a map. */
  readonly redirected: number;
  /** Packets on the NIC that waited for a cell, and for how long altogether. */
  readonly waited: number;
  readonly waitedNs: number;
  /** What packets on the host waited for messages. */
  readonly hostWaitedNs: number;
}

/** A model by its name, or one of the caller's own. */
export type ModelChoice = ModelName | ((place: ModelPlace) => MapModel);

interface RunningMap {
  readonly model: MapModel;
  readonly link: Link;
  readonly oracle: ConsistencyOracle;
  writes: number;
}

/** Values that writes give are this far apart, so that sums on top of them differ, too. */
const WRITE_STEP = 2 ** 20;

export function runConsistency(
  models: readonly ModelChoice[],
  packets: readonly PacketWork[],
  control: readonly ControlWork[] = [],
  options: ConsistencyOptions = {},
): ConsistencyReport {
  const run = new ConsistencyRun(models, options);
  for (const packet of packets) run.addPacket(packet);
  for (const work of control) run.addControl(work);
  return run.finish(packets.length);
}

class ConsistencyRun {
  private readonly time = new VirtualTime();
  private readonly maps: RunningMap[];
  private readonly hostStepNs: number;
  private redirected = 0;
  private waited = 0;
  private waitedNs = 0;
  private hostWaitedNs = 0;
  private readonly linkNs: number;
  private written = 0;

  constructor(models: readonly ModelChoice[], options: ConsistencyOptions) {
    const { linkNs = 450, jitterNs = 0, hostStepNs = 20, seed = 1 } = options;
    const random = new Random(seed);
    this.hostStepNs = hostStepNs;
    this.linkNs = linkNs;
    const latency = (): number => linkNs + (jitterNs > 0 ? random.below(jitterNs + 1) : 0);
    this.maps = models.map((choice) => {
      const link = new Link(this.time, latency);
      const listener: CommitListener = {
        commitWrite: (cell, value) => oracle.commitWrite(cell, value),
        commitAdd: (cell, amount) => oracle.commitAdd(cell, amount),
      };
      const place = { time: this.time, link, listener };
      const model = typeof choice === "string" ? makeModel(choice, place) : choice(place);
      const oracle = new ConsistencyOracle(model.contract);
      return { model, link, oracle, writes: 0 };
    });
  }

  addPacket(packet: PacketWork): void {
    this.time.after(packet.atNs, () => {
      if (packet.side === NIC) this.startOnNic(packet.accesses);
      else this.runOnHost(packet.accesses, 0);
    });
  }

  addControl({ atNs, map, cell, isWrite }: ControlWork): void {
    this.time.after(atNs, () => {
      const { model, oracle } = this.maps[map]!;
      const own = this.cellOf(map, HOST, cell);
      if (isWrite) {
        this.change(map, own, AccessKind.WRITE, (value, done) => model.set(own, value, done));
        return;
      }
      const read = oracle.beginRead(HOST, own);
      model.get(own, (value) => oracle.endRead(read, value));
    });
  }

  finish(packets: number): ConsistencyReport {
    this.time.run();
    const maps = this.maps.map(({ model, link, oracle, writes }) => ({
      model: model.name,
      messages: link.messages,
      reads: oracle.reads,
      writes,
      staleReads: oracle.staleReads,
      inversions: oracle.inversions,
      misplaced: oracle.misplaced,
    }));
    const { redirected, waited, waitedNs, hostWaitedNs } = this;
    return { packets, maps, redirected, waited, waitedNs, hostWaitedNs };
  }

  private startOnNic(accesses: readonly MapAccess[]): void {
    const mayRun = accesses.every(({ map, cell, kind }) =>
      this.maps[map]!.model.mayUse(this.cellOf(map, NIC, cell), kind),
    );
    if (!mayRun) {
      this.redirected++;
      this.time.after(this.linkNs, () => this.runOnHost(accesses, 0));
      return;
    }
    const begin = this.time.now;
    this.acquireAll(accesses, () => {
      if (this.time.now > begin) {
        this.waited++;
        this.waitedNs += this.time.now - begin;
      }
      for (const access of accesses) this.access(NIC, access, () => {});
    });
  }

  /** `done` when the NIC has every cell at the same time. */
  private acquireAll(accesses: readonly MapAccess[], done: () => void): void {
    for (const { map, cell } of accesses) {
      let isHere = false;
      let goesOnLater = false;
      this.maps[map]!.model.acquire(NIC, this.cellOf(map, NIC, cell), () => {
        isHere = true;
        if (goesOnLater) this.acquireAll(accesses, done);
      });
      if (isHere) continue;
      goesOnLater = true;
      return;
    }
    done();
  }

  private runOnHost(accesses: readonly MapAccess[], n: number): void {
    const access = accesses[n];
    if (access === undefined) return;
    const begin = this.time.now;
    this.access(HOST, access, () => {
      this.hostWaitedNs += this.time.now - begin;
      this.time.after(this.hostStepNs, () => this.runOnHost(accesses, n + 1));
    });
  }

  private access(side: Side, { map, cell, kind }: MapAccess, done: () => void): void {
    const { model, oracle } = this.maps[map]!;
    const own = this.cellOf(map, side, cell);
    if (kind !== AccessKind.READ) {
      this.change(map, own, kind, (value, ended) => {
        const finish = (): void => {
          ended();
          done();
        };
        if (kind === AccessKind.ADD) model.add(side, own, value, finish);
        else model.write(side, own, value, finish);
      });
      return;
    }
    const read = oracle.beginRead(side, own);
    model.read(side, own, (value) => {
      oracle.endRead(read, value);
      done();
    });
  }

  /** Tells the oracle when a change begins and ends. */
  private change(
    map: number,
    cell: number,
    kind: AccessKind,
    act: (value: number, done: () => void) => void,
  ): void {
    const running = this.maps[map]!;
    const value = kind === AccessKind.ADD ? 1 : ++this.written * WRITE_STEP;
    const what = kind === AccessKind.ADD ? "add" : "write";
    const change = running.oracle.beginChange(what, cell, value);
    running.writes++;
    act(value, () => running.oracle.endChange(change));
  }

  private cellOf(map: number, side: Side, cell: number): number {
    return this.maps[map]!.model instanceof PerCpuModel ? cellOfCpu(side, cell) : cell;
  }
}
