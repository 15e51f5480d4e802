/** `millrace xdp run`: packets of a capture file through a program. */
import type { BpfObject } from "../../ebpf/object.js";
import { verdictName, XdpVerdict } from "../../ebpf/xdp-verdict.js";
import { CapturedPacket } from "../../wire/capture-file.js";
import * as linkType from "../../wire/link-type.js";
import { CaptureFileWriter, formatOf } from "../capture-write.js";
import { FileSource } from "../packet-source.js";
import { DONE, FAILED, type World } from "../world.js";
import {
  definitionOf,
  fillMap,
  parseMapOption,
  type ReadableEntry,
  readMap,
  type WritableMap,
} from "./map-file.js";
import { chooseProgram, type ObjectOptions, readObject } from "./object-file.js";
import { openRunner, parseSizes, type Runner, type RunnerName } from "./runner.js";

export interface RunOptions extends ObjectOptions {
  readonly in: string;
  readonly out?: string;
  readonly engine: RunnerName;
  readonly map?: readonly string[];
  readonly maxEntries?: readonly string[];
  readonly dump?: boolean;
  readonly each?: boolean;
}

const SHORTEST_BYTES = 14;

/** What a run came to. */
interface Tally {
  packets: number;
  readonly verdicts: Record<string, number>;
  readonly redirects: Record<string, number>;
  /** Not Ethernet, or shorter than its header. */
  skipped: number;
}

/** Returns the exit status; throws what `reporting` prints. */
export async function runProgram(file: string, options: RunOptions, world: World): Promise<number> {
  const object = readObject(file, options);
  const { name } = chooseProgram(object, options.program);
  const print = (line: string): void => void world.err.write(`bpf_trace_printk: ${line}\n`);
  const maxEntries = parseSizes(options.maxEntries ?? []);
  const fill = (mapOf: (map: string) => WritableMap): void => {
    for (const text of options.map ?? []) {
      const [map, entries] = parseMapOption(text);
      definitionOf(object, map); // names the maps that there are
      fillMap(object, map, entries, mapOf(map));
    }
  };
  const runner = openRunner(options.engine, object, { program: name, maxEntries, print, fill });
  try {
    const tally: Tally = { packets: 0, verdicts: {}, redirects: {}, skipped: 0 };
    const complaint = await runAll(runner, options, tally, world);
    await report(object, runner, name, tally, options, world);
    if (complaint === null) return DONE;
    await world.err.write(`millrace xdp run: ${complaint}\n`);
    return FAILED;
  } finally {
    runner.close();
  }
}

async function runAll(
  runner: Runner,
  options: RunOptions,
  tally: Tally,
  world: World,
): Promise<string | null> {
  const source = new FileSource(options.in, world.input);
  const { out } = options;
  const writer = out === undefined ? null : new CaptureFileWriter(out, formatOf(out), world);
  const changed = new CapturedPacket();
  let lines = "";
  const visit = (packet: CapturedPacket): boolean => {
    if (packet.linkType !== linkType.EN10MB || packet.end - packet.at < SHORTEST_BYTES) {
      tally.skipped++;
      return true;
    }
    const result = runner.run(packet.bytes.subarray(packet.at, packet.end));
    const verdict = verdictName(result.verdict);
    tally.packets++;
    tally.verdicts[verdict] = (tally.verdicts[verdict] ?? 0) + 1;
    if (result.target !== "")
      tally.redirects[result.target] = (tally.redirects[result.target] ?? 0) + 1;
    if (options.each === true) lines += `${tally.packets} ${verdict} ${result.packet.length}\n`;
    const isKept = result.verdict >= XdpVerdict.PASS && result.verdict <= XdpVerdict.REDIRECT;
    if (writer === null || !isKept) return true;
    Object.assign(changed, packet);
    changed.bytes = result.packet;
    changed.at = 0;
    changed.end = result.packet.length;
    changed.lengthBytes = result.packet.length;
    writer.add(changed, source.interfaces);
    return true;
  };
  const pause = async (): Promise<boolean> => {
    const text = lines;
    lines = "";
    const hasReader = text === "" || (await world.out.write(text));
    return hasReader && (await (writer?.flush() ?? true));
  };
  const complaint = await source.run(visit, pause, world.stop);
  await pause();
  await writer?.finish(source.interfaces);
  return complaint;
}

async function report(
  object: BpfObject,
  runner: Runner,
  program: string,
  tally: Tally,
  options: RunOptions,
  world: World,
): Promise<void> {
  const maps: Record<string, ReadableEntry[]> = {};
  for (const { name } of options.dump === true || options.json === true ? object.maps : []) {
    const entries = readMap(object, name, runner.map(name));
    if (entries !== null && name !== ".rodata") maps[name] = entries;
  }
  const choice = runner.choice?.();
  const ran = choice === undefined ? {} : { ran: choice };
  const text =
    options.json === true
      ? `${JSON.stringify({ program, engine: options.engine, ...ran, ...tally, maps }, null, 2)}\n`
      : asText(tally, maps, choice ?? "");
  await world.out.write(text);
}

function asText(
  tally: Tally,
  maps: Readonly<Record<string, readonly ReadableEntry[]>>,
  choice: string,
): string {
  const lines = Object.entries(tally.verdicts)
    .sort(([, a], [, b]) => b - a)
    .map(([verdict, n]) => `${verdict.padEnd(14)} ${String(n).padStart(9)}`);
  for (const [target, n] of Object.entries(tally.redirects)) {
    lines.push(`  to ${target.padEnd(10)} ${String(n).padStart(9)}`);
  }
  if (tally.skipped > 0) lines.push(`not Ethernet   ${String(tally.skipped).padStart(9)}`);
  if (choice.includes(":")) lines.push(`ran as ${choice}`);
  for (const [name, entries] of Object.entries(maps)) {
    lines.push(`map ${name}: ${entries.length} ${entries.length === 1 ? "entry" : "entries"}`);
    for (const { key, value } of entries) {
      lines.push(`  ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}
