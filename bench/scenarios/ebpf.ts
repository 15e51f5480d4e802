/** XDP programs on one packet: compiled to WebAssembly, interpreted, and by the kernel's JIT (its test run). */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileExample } from "../../test/support/xdp-objects.js";
import { measureCase } from "../child.js";
import type { Scenario } from "../scenario.js";

function ebpfScenario(program: string, summary: string): Scenario {
  return {
    name: `ebpf-${program.replaceAll("_", "-")}`,
    summary,
    metric: "ns_per_packet",
    smallerIsBetter: true,
    rounds: 5,
    prepare: async () => {
      const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
      const file = join(folder, "program.o");
      writeFileSync(file, compileExample(program, "v3"));
      return {
        millrace: () => measureCase("ebpf", program, "wasm", file),
        baselines: {
          kernel: () => measureCase("ebpf", program, "kernel", file),
          interpreter: () => measureCase("ebpf", program, "interp", file),
        },
        cleanUp: async () => rmSync(folder, { recursive: true }),
      };
    },
  };
}

export const ebpfFilter = ebpfScenario("ipv6_filter", "an XDP filter of 14 instructions");
export const ebpfFiveTuple = ebpfScenario(
  "five_tuple",
  "an XDP filter with 10,000 flows and a counter",
);
export const ebpfBalancer = ebpfScenario(
  "balancer",
  "an XDP balancer: four lookups, two checksums",
);
