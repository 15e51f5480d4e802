/**
 * A programmable NIC and its host in virtual time. Each packet is processed wholly on one side.
 *
 *            hit: the lanes run its trace
 *  packets -> match stage -> engines (VLIW) -> verdict
 *                  | miss
 *                  v
 *                PCIe -> host cores run the program -> verdict
 *                          | a path that the cache wants
 *                          v
 *                        tracer -> PCIe -> installed, after a time
 *
 * The match stage takes a packet a cycle. Queues are bounded, and what finds one full is lost. While a trace
 * is on its way to the NIC, packets of its path go on missing; the place that it takes is empty until then.
 * A path that is new to a trace which the NIC has is traced and put beside the others, and takes no place. What
 * was traced once needs not be traced again.
 *
 * What each packet's path is, what its trace costs and what the program costs on the host is given
 * (path-log.ts). Nothing here depends on anything but its arguments.
 */

import type { CacheSimulator } from "./cache-simulator.js";
import { type FifoServers, makeServers } from "./fifo-servers.js";

export interface NicMachine {
  readonly clockMhz: number;
  /** Processors for traces, each with its lanes. */
  readonly engines: number;
  /** Cycles that finding the trace takes. */
  readonly matchCycles: number;
  readonly nicQueue: number;
  /** One way over PCIe, and its bandwidth. */
  readonly pcieNs: number;
  readonly pcieGbps: number;
  readonly hostCores: number;
  readonly hostQueue: number;
  /** A packet on the host: what it costs whatever the program, and each instruction. */
  readonly hostPacketNs: number;
  readonly hostInstructionNs: number;
  /** Tracing a path and compiling the trace, on a core of its own. */
  readonly traceNs: number;
  /** Putting it into the NIC's tables, after PCIe. */
  readonly installNs: number;
  /** Traces that may wait to be made; more are not made. */
  readonly traceQueue: number;
}

/**
 * hXDP's clock and processor; PCIe 3.0 ×8; a host core that spends 50 ns a packet in its driver and two
 * instructions a nanosecond; tracing as measured here (docs/xdp-evaluation.md).
 */
export const DEFAULT_NIC: NicMachine = {
  clockMhz: 156.25,
  engines: 1,
  matchCycles: 4,
  nicQueue: 256,
  pcieNs: 450,
  pcieGbps: 63,
  hostCores: 1,
  hostQueue: 1024,
  hostPacketNs: 50,
  hostInstructionNs: 0.5,
  traceNs: 150_000,
  installNs: 20_000,
  traceQueue: 64,
};

/** A packet that arrives. */
export interface NicPacket {
  readonly atNs: number;
  readonly lengthBytes: number;
  /** Its path, and the trace that has it: paths with the same effects are one trace. */
  readonly path: number;
  readonly trace: number;
  /** Instructions of the program on the host. */
  readonly instructions: number;
  /** Round trips to the NIC that it takes on the host, for maps that live there. */
  readonly hostRoundTrips: number;
}

/** What the simulator asks about traces. */
export interface TraceCosts {
  /** Rows on the NIC; 0: only the host may run it. */
  readonly cycles: number;
  readonly tcamBits: number;
}

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface NicReport {
  readonly packets: number;
  readonly onNic: number;
  readonly onHost: number;
  /** Of those on the host: their trace was on its way to the NIC. */
  readonly onHostMeanwhile: number;
  /** Found a queue full. */
  readonly lostOnNic: number;
  readonly lostOnHost: number;
  readonly installed: number;
  /** Traces that were wanted when the tracer's queue was full. */
  readonly untraced: number;
  /** Shares of the time that each was busy, 0 to 1. */
  readonly nicLoad: number;
  readonly hostLoad: number;
  readonly tracerLoad: number;
  /** Bytes of packets that crossed PCIe because they missed. */
  readonly pcieBytes: number;
  /** From arrival to verdict, nanoseconds. */
  readonly latencyNs: Quantiles;
  readonly nicLatencyNs: Quantiles;
  readonly hostLatencyNs: Quantiles;
  readonly spanNs: number;
  /** Share of packets on the NIC, for each `windowPackets` packets. */
  readonly windows: readonly number[];
}

export interface NicOptions {
  readonly machine?: Partial<NicMachine>;
  readonly cache: CacheSimulator;
  readonly costs: readonly TraceCosts[];
  readonly windowPackets?: number;
}

export function simulateNic(packets: readonly NicPacket[], options: NicOptions): NicReport {
  return new NicSimulation(options).run(packets);
}

/** A packet that missed, when the host takes it up: then the host learns of its path. */
interface Miss {
  readonly atNs: number;
  readonly path: number;
  readonly trace: number;
}

class NicSimulation {
  private readonly machine: NicMachine;
  private readonly cache: CacheSimulator;
  private readonly costs: readonly TraceCosts[];
  private readonly windowPackets: number;
  private readonly cycleNs: number;
  private readonly engines: FifoServers;
  private readonly host: FifoServers;
  private readonly tracer: FifoServers;
  private matchFreeAt = 0;
  private pcieFreeAt = 0;
  /** By trace: when the NIC has it; by path: when its condition is there. */
  private readonly activeAt = new Map<number, number>();
  private readonly knownAt = new Map<number, number>();
  /** In the order of their times, as the host takes packets in order. */
  private readonly misses: Miss[] = [];
  private firstMiss = 0;
  private onHostMeanwhile = 0;
  private installed = 0;
  private untraced = 0;
  private pcieBytes = 0;
  private readonly nicLatencies: number[] = [];
  private readonly hostLatencies: number[] = [];
  private lastEndNs = 0;

  constructor(options: NicOptions) {
    this.machine = { ...DEFAULT_NIC, ...options.machine };
    this.cache = options.cache;
    this.costs = options.costs;
    this.windowPackets = options.windowPackets ?? 1000;
    this.cycleNs = 1000 / this.machine.clockMhz;
    this.engines = makeServers(this.machine.engines, this.machine.nicQueue);
    this.host = makeServers(this.machine.hostCores, this.machine.hostQueue);
    this.tracer = makeServers(1, this.machine.traceQueue);
  }

  run(packets: readonly NicPacket[]): NicReport {
    const windows: number[] = [];
    let onNicInWindow = 0;
    for (const [n, packet] of packets.entries()) {
      if (this.arrive(packet)) onNicInWindow++;
      if ((n + 1) % this.windowPackets !== 0) continue;
      windows.push(onNicInWindow / this.windowPackets);
      onNicInWindow = 0;
    }
    return this.report(packets, windows);
  }

  /** True when it runs on the NIC. */
  private arrive(packet: NicPacket): boolean {
    const { machine, cycleNs } = this;
    const begin = Math.max(packet.atNs, this.matchFreeAt);
    this.matchFreeAt = begin + cycleNs;
    const matched = begin + machine.matchCycles * cycleNs;
    this.learn(begin);
    const cycles = this.costs[packet.trace]!.cycles;
    if (cycles > 0 && this.cache.hit(packet.trace)) {
      if (this.isActive(packet, begin)) {
        const start = this.engines.take(matched, cycles * cycleNs);
        if (start >= 0) this.end(this.nicLatencies, packet, start + cycles * cycleNs);
        return true;
      }
      this.onHostMeanwhile++;
    }
    this.toHost(packet, matched, cycles > 0);
    return false;
  }

  private isActive({ path, trace }: NicPacket, nowNs: number): boolean {
    const knownAt = this.knownAt.get(path);
    return knownAt !== undefined && knownAt <= nowNs && this.activeAt.get(trace)! <= nowNs;
  }

  private toHost(packet: NicPacket, atNs: number, mayInstall: boolean): void {
    const { machine } = this;
    const crossing = (packet.lengthBytes * 8) / machine.pcieGbps;
    const begin = Math.max(atNs, this.pcieFreeAt);
    this.pcieFreeAt = begin + crossing;
    this.pcieBytes += packet.lengthBytes;
    const arrived = begin + crossing + machine.pcieNs;
    const serviceNs =
      machine.hostPacketNs +
      packet.instructions * machine.hostInstructionNs +
      packet.hostRoundTrips * 2 * machine.pcieNs;
    const start = this.host.take(arrived, serviceNs);
    if (start < 0) return;
    if (mayInstall) this.misses.push({ atNs: start, path: packet.path, trace: packet.trace });
    this.end(this.hostLatencies, packet, start + serviceNs);
  }

  /** What the host has seen until now: it asks the policy about each miss, and has traces made. */
  private learn(nowNs: number): void {
    const { misses } = this;
    for (; this.firstMiss < misses.length; this.firstMiss++) {
      const miss = misses[this.firstMiss]!;
      if (miss.atNs > nowNs) return;
      this.learnOf(miss);
    }
  }

  private learnOf({ atNs, path, trace }: Miss): void {
    const { machine, cache, knownAt } = this;
    const wasThere = cache.has(trace);
    const isKnown = knownAt.has(path);
    if (wasThere && isKnown) return; // an earlier miss has brought it
    if (!wasThere) cache.install(trace, this.costs[trace]!.tcamBits);
    if (!cache.has(trace)) return;
    let madeAt = atNs;
    if (!isKnown) {
      const start = this.tracer.take(atNs, machine.traceNs);
      if (start < 0) {
        this.untraced++;
        if (!wasThere) cache.invalidate(trace);
        return;
      }
      madeAt = start + machine.traceNs;
    }
    const readyAt = madeAt + machine.pcieNs + machine.installNs;
    if (!isKnown) knownAt.set(path, readyAt);
    if (wasThere) return;
    this.installed++;
    this.activeAt.set(trace, readyAt);
  }

  private end(latencies: number[], packet: NicPacket, atNs: number): void {
    latencies.push(atNs - packet.atNs);
    this.lastEndNs = Math.max(this.lastEndNs, atNs);
  }

  private report(packets: readonly NicPacket[], windows: number[]): NicReport {
    const spanNs = Math.max(this.lastEndNs, 1);
    return {
      packets: packets.length,
      onNic: this.nicLatencies.length,
      onHost: this.hostLatencies.length,
      onHostMeanwhile: this.onHostMeanwhile,
      lostOnNic: this.engines.lost,
      lostOnHost: this.host.lost,
      installed: this.installed,
      untraced: this.untraced,
      nicLoad: this.engines.busyNs / spanNs / this.machine.engines,
      hostLoad: this.host.busyNs / spanNs / this.machine.hostCores,
      tracerLoad: Math.min(1, this.tracer.busyNs / spanNs),
      pcieBytes: this.pcieBytes,
      latencyNs: quantiles([...this.nicLatencies, ...this.hostLatencies]),
      nicLatencyNs: quantiles(this.nicLatencies),
      hostLatencyNs: quantiles(this.hostLatencies),
      spanNs,
      windows,
    };
  }
}

function quantiles(values: readonly number[]): Quantiles {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}
