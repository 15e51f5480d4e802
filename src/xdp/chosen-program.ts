/**
 * A program as traces where these are faster, else as a whole: both come to the same, so it may change its mind at
 * any packet. A trace has to be found and counted, which a program of a few instructions is over before.
 *
 * Measured, trace against whole program (best of 20 pieces, node 20, 2026-11): filter of 14 instructions 9.5 and 4.9 ns,
 * forwarder of 108 17.0 and 17.6, five-tuple filter of 61 with a lookup 18.1 and 22.0, balancer of 220 with a lookup
 * 34.4 and 43.0. So finding a trace costs what a hundred instructions save, or twenty and a lookup.
 */
import { type BurstRunner, runOneByOne } from "../ebpf/burst.js";
import type { EbpfError } from "../ebpf/ebpf-error.js";
import type { PacketContext, XdpInstance, XdpResult } from "../ebpf/instance.js";
import type { Runtime } from "../ebpf/runtime.js";
import type { Trace } from "./trace.js";
import { TracedProgram, type TracingOptions } from "./traced-program.js";

/** Instructions that a packet must take for its trace to be faster, and what a lookup in a table counts as. */
const LEAST_INSTRUCTIONS = 100;
const LOOKUP_INSTRUCTIONS = 80;
/** Packets by which it is decided, and after how many it is decided anew. */
const SAMPLE_PACKETS = 4_096;
const PACKETS_UNTIL_NEXT = 1 << 20;
/** Of a burst's packets: when more have no trace, all are the whole program's. */
const MOST_HOST_PACKETS = SAMPLE_PACKETS >> 2;

export class ChosenProgram implements BurstRunner {
  readonly traced: TracedProgram;
  readonly runtime: Runtime;
  private readonly instance: XdpInstance;
  private isWhole = false;
  burstError: EbpfError | null = null;
  /** Packets from the last decision to the next, and how many are left. */
  private period = SAMPLE_PACKETS;
  private left = SAMPLE_PACKETS;
  /** Hits of each trace at the last decision. */
  private before = new Float64Array(0);
  private mean = 0;
  /** The same of packets in bursts, and how many had been the host's at the last decision. */
  private areBurstsWhole = false;
  private burstsLeft = SAMPLE_PACKETS;
  private hostBefore = 0;

  constructor(instance: XdpInstance, options: TracingOptions = {}) {
    this.instance = instance;
    this.runtime = instance.runtime;
    this.traced = new TracedProgram(instance, options);
  }

  /** What runs, and why, in words. */
  get choice(): string {
    if (this.areBurstsWhole)
      return "the whole program, as many packets take paths that have no trace";
    if (this.mean === 0) return "traces";
    const mean = `${Math.round(this.mean)} instructions a packet, a lookup being ${LOOKUP_INSTRUCTIONS}`;
    return this.isWhole
      ? `the whole program, as traces pay from ${LEAST_INSTRUCTIONS} on: ${mean}`
      : `traces: ${mean}`;
  }

  get runsTraces(): boolean {
    return !this.isWhole && !this.areBurstsWhole;
  }

  /** Runs the program on a copy of a packet. */
  run(packet: Uint8Array, context: PacketContext = {}): XdpResult {
    return this.instance.run(packet, context, this);
  }

  /** Hot path. As `XdpInstance.runAt`. */
  runAt(at: number, end: number, hardStart: number, hardEnd: number): number {
    if (this.left <= 0) this.decide();
    this.left--;
    return this.isWhole
      ? this.instance.runAt(at, end, hardStart, hardEnd)
      : this.traced.runAt(at, end, hardStart, hardEnd);
  }

  /**
   * Hot path. As `XdpInstance.runBurst`. In bursts a trace costs less to find than any program takes.
   *
   * Measured, trace against whole program, both in bursts: filter of 14 instructions 1.7 and 2.1 ns, forwarder 6.4 and 10.5,
   * five-tuple filter 9.7 and 20.5, balancer 22.5 and 36.2 (best pieces of three interleaved runs, node 20, 2026-11). But
   * a packet without a trace ends a burst: of 65,536 paths, of which 4,096 have one, 208 and 44.
   */
  runBurst(recordsAt: number, count: number): number {
    const { traced } = this;
    if (!traced.canBurst) return runOneByOne(this, recordsAt, count);
    if (this.burstsLeft <= 0) this.decideBursts();
    const runner = this.areBurstsWhole ? this.instance : traced;
    const n = runner.runBurst(recordsAt, count);
    this.burstError = runner.burstError;
    this.burstsLeft -= n;
    return n;
  }

  private decideBursts(): void {
    const { hostOnly } = this.traced;
    this.areBurstsWhole = !this.areBurstsWhole && hostOnly - this.hostBefore > MOST_HOST_PACKETS;
    this.hostBefore = hostOnly;
    this.burstsLeft = this.areBurstsWhole ? PACKETS_UNTIL_NEXT : SAMPLE_PACKETS;
  }

  private decide(): void {
    if (this.isWhole) {
      this.isWhole = false;
      this.period = SAMPLE_PACKETS;
    } else {
      this.mean = this.work() / (this.period - this.left);
      this.isWhole = this.mean < LEAST_INSTRUCTIONS;
      this.period = PACKETS_UNTIL_NEXT;
    }
    this.left = this.period;
    this.before = Float64Array.from(this.traced.traces, ({ id }) => this.traced.hitsOf(id));
  }

  /** Of the last period's packets that traces ran; others are the whole program's anyway. */
  private work(): number {
    let sum = 0;
    for (const trace of this.traced.traces) {
      const hits = this.traced.hitsOf(trace.id) - (this.before[trace.id] ?? 0);
      // Less than none: traces were forgotten, and made again.
      if (hits > 0) sum += hits * workOf(trace);
    }
    return sum;
  }
}

function workOf({ executed, ops }: Trace): number {
  let lookups = 0;
  for (const { kind } of ops) if (kind === "lookup") lookups++;
  return executed + LOOKUP_INSTRUCTIONS * lookups;
}
