/**
 * The tables T3 and T5 to T7 of docs/xdp-evaluation.md: programs of examples/xdp and of Debian's libxdp1, with
 * entries in their maps as in test/support/xdp-setups.ts, on a mix of the committed captures.
 *
 *     node dist/bench/xdp-evaluation.js [--captures FOLDER] [--packets N] [--tables LIST]
 *       [--entries N] [--rate N] [--seed N] [--json] [PROGRAM…]
 */
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.js";
import { readCaptures } from "../src/cli/xdp/eval.js";
import { asMarkdown, evaluationTables } from "../src/cli/xdp/eval-tables.js";
import type { XdpInstance } from "../src/ebpf/instance.js";
import type { BpfObject } from "../src/ebpf/object.js";
import { POLICY_NAMES } from "../src/xdp/cache-policies.js";
import {
  evaluateProgram,
  type ProgramEvaluation,
  TABLE_NAMES,
  type TableName,
} from "../src/xdp/evaluation-report.js";
import { mixTraffic } from "../src/xdp/traffic-mix.js";
import { exampleObjects, libxdpObjects } from "../test/support/xdp-objects.js";
import { setupOf } from "../test/support/xdp-setups.js";

const { values, positionals } = parseArgs({
  options: {
    captures: { type: "string", default: "test/vectors/captures" },
    packets: { type: "string", default: "100000" },
    tables: { type: "string", default: TABLE_NAMES.join() },
    sizes: { type: "string", default: "1,2,4,8,16,32,64,128" },
    "tcam-sizes": { type: "string", default: "1024,4096,16384,65536,262144" },
    hostile: { type: "string", default: "3" },
    entries: { type: "string", default: "16" },
    rate: { type: "string", default: "2000000" },
    updates: { type: "string", default: "0,1000,100000" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const seed = Number(values.seed);
const files = await readCaptures([values.captures], process.stdin);
const captured = files.flat();
const packets = mixTraffic(files, Number(values.packets), new Random(seed));

function fill(name: string, object: BpfObject, instance: XdpInstance): void {
  const maps = object.maps.map((map) => map.name);
  for (const { map, key, value } of setupOf(name, maps, captured)) {
    const filled = instance.map(map);
    const all = new Uint8Array(filled.bufferBytes);
    all.set(value);
    filled.set(key, all);
  }
}

const evaluations: ProgramEvaluation[] = [];
const isLibxdpOnly = positionals.length > 0 && positionals.every((one) => one.startsWith("xdp"));
const examples = isLibxdpOnly ? [] : exampleObjects(); // built by clang, which takes its time
const objects = [...examples.filter(({ name }) => name.endsWith("(v3)")), ...libxdpObjects()];
for (const { name, object } of objects) {
  const stem = name.replace(/ \(v3\)|\.o$/g, "");
  if (positionals.length > 0 && !positionals.some((one) => stem.includes(one))) continue;
  for (const program of object.programs) {
    if (!program.section.startsWith("xdp") || program.problem !== null) continue;
    process.stderr.write(`${stem} ${program.name}\n`);
    evaluations.push(
      evaluateProgram(object, { object: stem, program: program.name }, packets, {
        tables: values.tables.split(",") as TableName[],
        sizes: values.sizes.split(",").map(Number),
        tcamSizes: values["tcam-sizes"].split(",").map(Number),
        policies: POLICY_NAMES,
        entries: Number(values.entries),
        hostileEdits: Number(values.hostile),
        packetsPerS: Number(values.rate),
        updatesPerS: values.updates.split(",").map(Number),
        seed,
        setUp: (instance) => fill(name, object, instance),
      }),
    );
  }
}
console.log(
  values.json ? JSON.stringify(evaluations, null, 2) : asMarkdown(evaluationTables(evaluations)),
);
