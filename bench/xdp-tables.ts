/**
 * The tables T1 to T8 of docs/xdp-evaluation.md, each by one command: what it needs is run, one after the other, and
 * prints its figures.
 *
 *     node dist/bench/xdp-tables.js [--captures FOLDER] [--hxdp FOLDER] [--rounds N] T1 … T8
 *
 * T1, T2, T4 and T8 need root, for the kernel. `--hxdp`: a clone of https://github.com/axbryd/hXDP-Artifacts, without
 * which T5 has our own programs only.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const PACKETS = "100000";
const ATTACK = ["--packets", "30000", "--rate", "500000"];
const PER_PACKET = ["nothing", "ipv6-filter", "rewrite", "five-tuple", "balancer"].map(
  (name) => `ebpf-${name}`,
);
const TRACES = [
  "ipv6-filter",
  "rewrite",
  "five-tuple",
  "balancer",
  "tree",
  "tree-maps",
  "install",
].map((name) => `traces-${name}`);

const root = fileURLToPath(new URL("../..", import.meta.url));
const { values, positionals } = parseArgs({
  options: {
    captures: { type: "string", default: "test/vectors/captures" },
    hxdp: { type: "string" },
    rounds: { type: "string", default: "3" },
  },
  allowPositionals: true,
});
const captures = ["--captures", values.captures];

const evaluation = (tables: string, ...more: readonly string[]): string[] => [
  "dist/bench/xdp-evaluation.js",
  ...captures,
  "--tables",
  tables,
  ...more,
];
const bench = (...scenarios: readonly string[]): string[] => [
  "dist/bench/main.js",
  ...scenarios,
  "--json",
  "--rounds",
  values.rounds,
];

/** Arguments of node, a list a command. */
const TABLES: Readonly<Record<string, readonly (readonly string[])[]>> = {
  T1: [["scripts/test.js", "test/interop/random-programs", "test/interop/ebpf-kernel"]],
  T2: [["scripts/test.js", "test/interop/xdp-oracle"]],
  T3: [evaluation("paths,cache", "--packets", PACKETS)],
  T4: [bench(...PER_PACKET, ...TRACES)],
  T5: [
    evaluation("vliw", "--packets", PACKETS),
    ...(values.hxdp === undefined ? [] : [["dist/bench/hxdp.js", values.hxdp, ...captures]]),
  ],
  T6: [evaluation("state", "--packets", "20000")],
  T7: ["4", "8", "16"].map((entries) =>
    evaluation("attack", ...ATTACK, "--entries", entries, "xdpfilt_dny_all"),
  ),
  T8: [bench("xdp-program")],
};

const unknown = positionals.filter((name) => TABLES[name] === undefined);
if (positionals.length === 0 || unknown.length > 0) {
  console.error(`expected some of ${Object.keys(TABLES).join(" ")}, got ${unknown.join(" ")}`);
  process.exit(2);
}
for (const command of positionals.flatMap((name) => TABLES[name]!)) {
  const { status } = spawnSync(process.execPath, command, { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
