/** XDP programs on one packet: compiled to WebAssembly, interpreted, by the kernel's JIT (its test run), and that JIT's code alone. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileExample, compileProgram } from "../../test/support/xdp-objects.js";
import { measureCase } from "../child.js";
import type { Scenario } from "../scenario.js";

const PROGRAMS = fileURLToPath(new URL("../../../bench/programs/", import.meta.url));

/** Without maps and helpers, so that the kernel's machine code runs outside of the kernel (x86-64 only). */
const STANDALONE = arch() === "x64" ? ["nothing", "ipv6_filter", "rewrite"] : [];

function ebpfScenario(program: string, summary: string, compile = compileExample): Scenario {
  return {
    name: `ebpf-${program.replaceAll("_", "-")}`,
    summary,
    metric: "ns_per_packet",
    smallerIsBetter: true,
    rounds: 5,
    prepare: async () => {
      const { file, cleanUp } = objectFile(compile(program, "v3"));
      return {
        millrace: () => measureCase("ebpf", program, "wasm-burst", file),
        baselines: {
          "one-a-call": () => measureCase("ebpf", program, "wasm", file),
          kernel: () => measureCase("ebpf", program, "kernel", file),
          interpreter: () => measureCase("ebpf", program, "interp", file),
          ...(STANDALONE.includes(program)
            ? { "native-jit": () => measureCase("ebpf", program, "native", file) }
            : {}),
        },
        cleanUp,
      };
    },
  };
}

function objectFile(bytes: Uint8Array): { file: string; cleanUp: () => Promise<void> } {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  const file = join(folder, "program.o");
  writeFileSync(file, bytes);
  return { file, cleanUp: async () => rmSync(folder, { recursive: true }) };
}

const benchProgram: typeof compileExample = (name, cpu) =>
  compileProgram(join(PROGRAMS, `${name}.c`), cpu);

export const ebpfNull = ebpfScenario("nothing", "an XDP program that does nothing", benchProgram);
export const ebpfFilter = ebpfScenario("ipv6_filter", "an XDP filter of 14 instructions");
export const ebpfRewrite = ebpfScenario(
  "rewrite",
  "an XDP forwarder without maps, 108 instructions",
  benchProgram,
);
export const ebpfFiveTuple = ebpfScenario(
  "five_tuple",
  "an XDP filter with 10,000 flows and a counter",
);
export const ebpfBalancer = ebpfScenario(
  "balancer",
  "an XDP balancer: four lookups, two checksums",
);

export const ebpfOpen: Scenario = {
  name: "ebpf-open",
  summary: "an XDP object of 2,817 instructions: read, verified, compiled, in a fresh process",
  metric: "open_ms",
  smallerIsBetter: true,
  rounds: 7,
  prepare: async () => {
    const { file, cleanUp } = objectFile(compileExample("edge_balancer", "v2"));
    return {
      millrace: () => measureCase("ebpf-open", file, "wasm"),
      baselines: { kernel: () => measureCase("ebpf-open", file, "kernel") },
      cleanUp,
    };
  },
};
