/** XDP programs as traces: beside the whole program in WebAssembly, and the kernel's JIT; and what traces cost. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileExample, compileProgram } from "../../test/support/xdp-objects.js";
import { measureCase } from "../child.js";
import type { Scenario } from "../scenario.js";

const PROGRAMS = fileURLToPath(new URL("../../../bench/programs/", import.meta.url));
/** The program with the most paths, of Debian's libxdp1. */
const FILTER = `/usr/lib/${arch() === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/bpf/xdpfilt_dny_all.o`;

/** Without maps and helpers: as in ebpf.ts. */
const STANDALONE = arch() === "x64" ? ["ipv6_filter", "rewrite"] : [];

function objectFile(
  bytes: Uint8Array,
  name = "program.o",
): { file: string; cleanUp: () => Promise<void> } {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  const file = join(folder, name);
  writeFileSync(file, bytes);
  return { file, cleanUp: async () => rmSync(folder, { recursive: true }) };
}

function perPacket(program: string, summary: string, compile = compileExample): Scenario {
  return {
    name: `traces-${program.replaceAll("_", "-")}`,
    summary: `${summary}, as a trace where that is faster`,
    metric: "ns_per_packet",
    smallerIsBetter: true,
    rounds: 5,
    prepare: async () => {
      const { file, cleanUp } = objectFile(compile(program, "v3"));
      return {
        millrace: () => measureCase("ebpf", program, "chosen-burst", file),
        baselines: {
          "one-a-call": () => measureCase("ebpf", program, "trace", file),
          "chosen-one-a-call": () => measureCase("ebpf", program, "chosen", file),
          kernel: () => measureCase("ebpf", program, "kernel", file),
          "whole-program": () => measureCase("ebpf", program, "wasm-burst", file),
          ...(STANDALONE.includes(program)
            ? { "native-jit": () => measureCase("ebpf", program, "native", file) }
            : {}),
        },
        cleanUp,
      };
    },
  };
}

const benchProgram: typeof compileExample = (name, cpu) =>
  compileProgram(join(PROGRAMS, `${name}.c`), cpu);

function tree(
  name: string,
  what: string,
  open: () => { file: string; cleanUp: () => Promise<void> },
) {
  const scenario: Scenario = {
    name,
    summary: `which of 32 traces a packet takes, ${what}; baselines: of 2, 4, 8, 16; of 32, 64 packets a call`,
    metric: "ns_per_packet",
    smallerIsBetter: true,
    rounds: 5,
    prepare: async () => {
      const { file, cleanUp } = open();
      const of = (traces: number) => () => measureCase("traces", "tree", `${traces}`, file);
      return {
        millrace: of(32),
        baselines: {
          "2": of(2),
          "4": of(4),
          "8": of(8),
          "16": of(16),
          batched: () => measureCase("traces", "tree-batch", "32", file),
        },
        cleanUp,
      };
    },
  };
  return scenario;
}

const install: Scenario = {
  name: "traces-install",
  summary:
    "a packet of a path that is new: traced and taken in, beyond its run (xdp-filter's 200 paths)",
  metric: "p50_us",
  smallerIsBetter: true,
  rounds: 5,
  prepare: async () => {
    const { file, cleanUp } = objectFile(readFileSync(FILTER), "xdpfilt_dny_all.o");
    return {
      millrace: () => measureCase("traces", "install", "-", file),
      baselines: { "compiled-at-once": () => measureCase("traces", "install", "0", file) },
      cleanUp,
    };
  },
};

export const TRACE_SCENARIOS: readonly Scenario[] = [
  perPacket("ipv6_filter", "an XDP filter of 14 instructions"),
  perPacket("rewrite", "an XDP forwarder without maps, 108 instructions", benchProgram),
  perPacket("five_tuple", "an XDP filter with 10,000 flows and a counter"),
  perPacket("balancer", "an XDP balancer: four lookups, two checksums"),
  tree("traces-tree", "by headers alone", () => objectFile(benchProgram("classify", "v3"))),
  tree("traces-tree-maps", "xdp-filter's, with up to eight lookups", () =>
    objectFile(readFileSync(FILTER), "xdpfilt_dny_all.o"),
  ),
  install,
];
