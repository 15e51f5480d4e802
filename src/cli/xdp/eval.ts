/** `millrace xdp eval`: what a programmable NIC would make of programs and traffic. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { Random } from "../../base/random.js";
import { EbpfError } from "../../ebpf/ebpf-error.js";
import type { XdpInstance } from "../../ebpf/instance.js";
import { instanceMap } from "../../ebpf/map-text.js";
import type { BpfObject, ObjectProgram } from "../../ebpf/object.js";
import { VerifyError } from "../../ebpf/verify-error.js";
import { CaptureReader } from "../../wire/capture-reader.js";
import * as linkType from "../../wire/link-type.js";
import { POLICY_NAMES, type PolicyName } from "../../xdp/cache-policies.js";
import {
  type EvaluationOptions,
  evaluateProgram,
  type ProgramEvaluation,
  TABLE_NAMES,
  type TableName,
} from "../../xdp/evaluation-report.js";
import { mixTraffic } from "../../xdp/traffic-mix.js";
import { DONE, FAILED, type World } from "../world.js";
import { asMarkdown, asText, evaluationTables } from "./eval-tables.js";
import { fillMap, parseMapOption } from "./map-file.js";
import { chooseProgram, type ObjectOptions, readObject } from "./object-file.js";
import { parseSizes } from "./runner.js";

export interface EvalOptions extends ObjectOptions {
  readonly in: readonly string[];
  readonly map?: readonly string[];
  readonly maxEntries?: readonly string[];
  readonly packets: number;
  readonly tables?: readonly TableName[];
  readonly sizes: readonly number[];
  readonly tcamSizes: readonly number[];
  readonly policies?: readonly PolicyName[];
  readonly entries: number;
  readonly tcam?: number;
  readonly hostile: number;
  readonly rate: number;
  readonly updates: readonly number[];
  readonly seed: number;
  readonly markdown?: boolean;
}

const SHORTEST_BYTES = 14;
const LONGEST_BYTES = 3_500;

/** Returns the exit status; throws what `reporting` prints. */
export async function evaluatePrograms(
  files: readonly string[],
  options: EvalOptions,
  world: World,
): Promise<number> {
  const settings = settingsOf(options);
  const captures = await readCaptures(options.in, world.input);
  if (captures.every((packets) => packets.length === 0)) {
    throw new EbpfError("EINVAL", `${options.in.join(", ")}: there are no Ethernet packets`);
  }
  const packets = mixTraffic(captures, options.packets, new Random(settings.seed));
  const progress = new Progress(world);
  const evaluations: ProgramEvaluation[] = [];
  let status = DONE;
  for (const file of files) {
    const object = readObject(file, options);
    for (const { name } of programsOf(object, options.program)) {
      if (world.stop.aborted) break;
      try {
        const names = { object: basename(file, ".o"), program: name };
        evaluations.push(
          evaluateProgram(object, names, packets, {
            ...settings,
            setUp: (instance) => fillMaps(object, instance, options.map ?? []),
            progress: (what, done, all) => progress.show(what, done, all),
          }),
        );
      } catch (error) {
        if (!(error instanceof EbpfError)) throw error;
        progress.clear();
        // The verifier's message begins with the program.
        const what = error instanceof VerifyError ? file : `${file}: ${name}`;
        await world.err.write(`millrace xdp eval: ${what}: ${error.message}\n`);
        status = FAILED;
      }
      await new Promise((resolve) => setImmediate(resolve)); // Ctrl-C is heard here
    }
  }
  progress.clear();
  await world.out.write(format(evaluations, options, packets.length));
  return status;
}

function format(all: readonly ProgramEvaluation[], options: EvalOptions, packets: number): string {
  if (options.json === true) {
    const programs = all.map(({ nic, ...rest }) => {
      const { windows: _, ...report } = nic ?? { windows: [] };
      return { ...rest, nic: nic === null ? null : report };
    });
    return `${JSON.stringify({ packets, seed: options.seed, programs }, null, 2)}\n`;
  }
  const tables = evaluationTables(all);
  return options.markdown === true ? asMarkdown(tables) : asText(tables);
}

function programsOf(object: BpfObject, name: string | undefined): readonly ObjectProgram[] {
  if (name !== undefined) return [chooseProgram(object, name)];
  const all = object.programs.filter(({ section }) => section.startsWith("xdp"));
  return all.length > 0 ? all : [chooseProgram(object, undefined)];
}

/** Only maps that the object has: several objects share the option. */
function fillMaps(object: BpfObject, instance: XdpInstance, texts: readonly string[]): void {
  for (const text of texts) {
    const [map, entries] = parseMapOption(text);
    if (!object.maps.some(({ name }) => name === map)) continue;
    fillMap(object, map, entries, instanceMap(instance, map));
  }
}

function settingsOf(options: EvalOptions): Omit<EvaluationOptions, "setUp" | "progress"> {
  const { tables, policies, sizes, tcamSizes, entries, tcam, hostile, rate, updates, seed } =
    options;
  return {
    tables: tables ?? TABLE_NAMES,
    policies: policies ?? POLICY_NAMES,
    sizes,
    tcamSizes,
    entries,
    ...(tcam === undefined ? {} : { tcamBits: tcam }),
    hostileEdits: hostile,
    packetsPerS: rate,
    updatesPerS: updates,
    seed,
    maxEntries: parseSizes(null, options.maxEntries),
  };
}

const CAPTURE = /\.(pcap|pcapng|cap|trace)$/;

/** The packets of each file; of folders every capture in them that can be read. */
export async function readCaptures(
  names: readonly string[],
  standardInput: AsyncIterable<Uint8Array>,
): Promise<Uint8Array[][]> {
  const captures: Uint8Array[][] = [];
  for (const name of names) {
    if (name === "-" || !statSync(name).isDirectory()) {
      const { packets, complaint } = await readCapture(name, standardInput);
      if (complaint !== null) throw new EbpfError("EINVAL", complaint);
      captures.push(packets);
      continue;
    }
    const found = readdirSync(name, { recursive: true }).map(String).sort();
    for (const file of found.filter((one) => CAPTURE.test(one))) {
      const path = join(name, file);
      // Collections of test captures have broken ones on purpose: what comes before the fault counts.
      if (statSync(path).isFile()) captures.push((await readCapture(path, standardInput)).packets);
    }
  }
  return captures;
}

interface Capture {
  readonly packets: Uint8Array[];
  readonly complaint: string | null;
}

async function readCapture(
  name: string,
  standardInput: AsyncIterable<Uint8Array>,
): Promise<Capture> {
  const reader = new CaptureReader();
  if (name !== "-") reader.push(readFileSync(name));
  else for await (const chunk of standardInput) reader.push(chunk);
  if (reader.error === null) reader.end();
  const packets: Uint8Array[] = [];
  while (reader.next()) {
    const { bytes, at, end, linkType: link } = reader.packet;
    const fits = end - at >= SHORTEST_BYTES && end - at <= LONGEST_BYTES;
    if (link === linkType.EN10MB && fits) packets.push(bytes.slice(at, end));
  }
  const { error } = reader;
  const complaint = error === null ? null : `${name}: at byte ${error.atByte}: ${error.message}`;
  return { packets, complaint };
}

/** One line on the terminal that says what is being done. */
class Progress {
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  show(what: string, done: number, all: number): boolean {
    if (this.world.err.isTerminal) {
      void this.world.err.write(`\r\x1b[K${what}: ${done} of ${all} packets`);
    }
    return true;
  }

  clear(): void {
    if (this.world.err.isTerminal) void this.world.err.write("\r\x1b[K");
  }
}
