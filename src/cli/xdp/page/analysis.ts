/**
 * A program on a capture: every packet's path, verdict and effect. Time is the capture's, random numbers are
 * always the same, so that a packet can be run again with the maps as they were.
 */
import { assembleText } from "../../../ebpf/asm-text.js";
import { Btf } from "../../../ebpf/btf.js";
import { XdpInstance } from "../../../ebpf/instance.js";
import { instanceMap, writeEntries } from "../../../ebpf/map-text.js";
import { type BpfObject, parseObject } from "../../../ebpf/object.js";
import { verdictName } from "../../../ebpf/xdp-verdict.js";
import type { PolicyName } from "../../../xdp/cache-policies.js";
import { tcamSize } from "../../../xdp/tcam.js";
import type { Trace } from "../../../xdp/trace.js";
import { TracedProgram } from "../../../xdp/traced-program.js";
import { outlinedTrace, type ReadableTrace } from "../readable-trace.js";
import { SEED } from "../runner.js";
import { type CacheStory, NOT_CACHEABLE, tellCache } from "./cache-story.js";
import { Captured, MAX_PACKETS } from "./captured.js";
import { type PacketEffect, runInDetail } from "./packet-detail.js";
import { PageError } from "./page-error.js";
import { type PathNode, pathTree } from "./path-tree.js";

export interface AnalysisInput {
  /** Of the object's file: `.s` is a program as text. */
  readonly name: string;
  readonly object: Uint8Array;
  readonly capture: Uint8Array;
  /** null: the object's only XDP program, or its first. */
  readonly program: string | null;
  readonly btf: Uint8Array | null;
  /** Files of entries for maps. */
  readonly maps: readonly {
    readonly map: string;
    readonly text: string;
    readonly source: string;
  }[];
  readonly maxEntries: Readonly<Record<string, number>>;
}

export interface PathReport extends ReadableTrace {
  /** Packets by verdict: one that only the host can run may have several. */
  readonly verdicts: Readonly<Record<string, number>>;
}

export interface Report {
  readonly program: string;
  /** All XDP programs of the object. */
  readonly programs: readonly string[];
  readonly packets: number;
  /** No whole Ethernet frames: no program sees them. */
  readonly skipped: number;
  /** Why the capture was not read to its end; empty: it was. */
  readonly complaint: string;
  readonly verdicts: Readonly<Record<string, number>>;
  readonly paths: readonly PathReport[];
  readonly tree: PathNode;
}

export interface PacketRow {
  readonly n: number;
  readonly seconds: number;
  readonly text: string;
  readonly lengthBytes: number;
  /** Empty: no program sees it. */
  readonly verdict: string;
  /** null: none that was kept. */
  readonly path: number | null;
}

export interface PacketPage {
  readonly rows: readonly PacketRow[];
  /** Packets there are, of the path that was asked for. */
  readonly total: number;
}

/** In `paths`. */
const UNSEEN = -2;
const UNKNOWN = -1;

function read({ name, object, btf }: AnalysisInput): BpfObject {
  if (name.endsWith(".s")) return assembleText(Buffer.from(object).toString("utf8"), name);
  return parseObject(object, btf === null ? {} : { kernelTypes: Btf.parse(btf) });
}

export class Analysis {
  private readonly input: AnalysisInput;
  private readonly object: BpfObject;
  private readonly captured: Captured;
  private readonly name: string;
  private readonly traced: TracedProgram;
  private readonly paths: Int32Array;
  private readonly verdicts: Int32Array;
  private readonly prints: string[] = [];
  /** For packets in detail, and the packet that it runs next. */
  private again: XdpInstance | null = null;
  private nextAgain = 0;

  /** Throws `PageError`, `EbpfError`. */
  constructor(input: AnalysisInput) {
    this.input = input;
    this.object = read(input);
    this.name = this.choose();
    this.traced = new TracedProgram(this.open(true));
    this.captured = new Captured(input.capture);
    const { length } = this.captured.packets;
    this.paths = new Int32Array(length).fill(UNSEEN);
    this.verdicts = new Int32Array(length);
    for (let n = 0; n < length; n++) this.run(n);
  }

  private get names(): string[] {
    return this.object.programs
      .filter(({ section }) => section.startsWith("xdp"))
      .map(({ name }) => name);
  }

  private choose(): string {
    const { program } = this.input;
    const { names } = this;
    if (program !== null && names.includes(program)) return program;
    if (program !== null)
      throw new PageError("object", `there is no XDP program ${program}`, names.join(", "));
    // What is only there for tail calls is seldom meant.
    const called = new Set(this.object.maps.flatMap(({ entries }) => entries));
    const first = names.find((name) => !called.has(name)) ?? names[0];
    if (first !== undefined) return first;
    throw new PageError(
      "object",
      "the object has no XDP program",
      'Name the section of its entry function with SEC("xdp").',
    );
  }

  private open(verifies: boolean): XdpInstance {
    const { maxEntries, maps } = this.input;
    const print = (line: string): void => void this.prints.push(line);
    const options = { program: this.name, maxEntries, verifies, seed: SEED, print };
    const instance = XdpInstance.open(this.object, { ...options, engine: "wasm" });
    for (const { map, text, source } of maps) {
      writeEntries(this.object, map, text, source, instanceMap(instance, map));
    }
    return instance;
  }

  private run(n: number): void {
    if (!this.captured.isSeen(n)) return;
    const { traced } = this;
    traced.instance.runtime.setTime(this.captured.timeOf(n));
    this.prints.length = 0;
    this.verdicts[n] = traced.run(this.captured.packets[n]!.bytes).verdict;
    this.paths[n] = traced.lastTrace < traced.traces.length ? traced.lastTrace : UNKNOWN;
  }

  report(): Report {
    const packets = new Map<number, number>();
    const verdicts: Record<string, number> = {};
    const verdictsOf = new Map<number, Record<string, number>>();
    let skipped = 0;
    for (const [n, path] of this.paths.entries()) {
      if (path === UNSEEN) {
        skipped++;
        continue;
      }
      packets.set(path, (packets.get(path) ?? 0) + 1);
      const verdict = verdictName(this.verdicts[n]!);
      verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
      const own = verdictsOf.get(path) ?? {};
      own[verdict] = (own[verdict] ?? 0) + 1;
      verdictsOf.set(path, own);
    }
    const { isCut, complaint } = this.captured;
    return {
      program: this.name,
      programs: this.names,
      packets: this.paths.length - skipped,
      skipped,
      complaint: isCut
        ? `only the first ${MAX_PACKETS} packets are shown`
        : (complaint ?? "").replace(/^at/, "the capture is read up to a fault at"),
      verdicts,
      paths: this.known()
        .map((trace) =>
          this.path(trace, packets.get(trace.id) ?? 0, verdictsOf.get(trace.id) ?? {}),
        )
        .sort((a, b) => b.packets - a.packets),
      tree: pathTree(this.traced, packets),
    };
  }

  private known(): Trace[] {
    return this.traced.traces.filter((trace) => trace !== undefined);
  }

  private path(
    trace: Trace,
    packets: number,
    verdicts: Readonly<Record<string, number>>,
  ): PathReport {
    const path = outlinedTrace(this.traced, trace, packets);
    const [first = ""] = Object.keys(verdicts);
    return { ...path, verdict: path.verdict === "" ? first : path.verdict, verdicts };
  }

  /** Packets from a place on, all or those of a path. */
  rows(from: number, count: number, path: number | null): PacketPage {
    let total = 0;
    const rows: PacketRow[] = [];
    for (const [n, taken] of this.paths.entries()) {
      if (path !== null && taken !== path) continue;
      if (total >= from && rows.length < count) rows.push(this.row(n));
      total++;
    }
    return { rows, total };
  }

  private row(n: number): PacketRow {
    const path = this.paths[n]!;
    return {
      n,
      seconds: this.captured.secondsOf(n),
      text: this.captured.line(n),
      lengthBytes: this.captured.packets[n]!.bytes.length,
      verdict: path === UNSEEN ? "" : verdictName(this.verdicts[n]!),
      path: path < 0 ? null : path,
    };
  }

  /** What the program does to a packet. Throws `PageError`. */
  packet(n: number): PacketRow & { readonly effect: PacketEffect | null } {
    if (!(n >= 0 && n < this.paths.length)) {
      throw new PageError("request", `there is no packet ${n}`, "Choose one from the list.");
    }
    if (this.paths[n] === UNSEEN) return { ...this.row(n), effect: null };
    if (this.again === null || this.nextAgain > n) {
      this.again = this.open(false);
      this.nextAgain = 0;
    }
    const { again, captured } = this;
    for (; this.nextAgain < n; this.nextAgain++) {
      if (!captured.isSeen(this.nextAgain)) continue;
      again.runtime.setTime(captured.timeOf(this.nextAgain));
      again.run(captured.packets[this.nextAgain]!.bytes);
      this.prints.length = 0;
    }
    again.runtime.setTime(captured.timeOf(n));
    this.nextAgain++;
    return {
      ...this.row(n),
      effect: runInDetail(again, captured.packets[n]!.bytes, this.prints),
    };
  }

  cache(policy: PolicyName, entries: number): CacheStory {
    const { e } = this.traced.tracer;
    const cacheable = this.known().filter(({ hostOnly }) => hostOnly === null);
    const bits = new Map(
      cacheable.map(({ id, condition }) => [id, tcamSize(e, condition).bits] as const),
    );
    const paths = this.paths.map((path) => (bits.has(path) ? path : NOT_CACHEABLE));
    return tellCache(paths, bits, policy, entries);
  }
}
