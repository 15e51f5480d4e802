/** `millrace xdp run`: packets of a capture file through a program. */
import { EbpfError } from "../../ebpf/ebpf-error.js";
import { MapType } from "../../ebpf/map-type.js";
import type { BpfObject } from "../../ebpf/object.js";
import { verdictName, XdpVerdict } from "../../ebpf/xdp-verdict.js";
import { CapturedPacket } from "../../wire/capture-file.js";
import { CaptureFileWriter, formatOf } from "../capture-write.js";
import { DONE, FAILED, type Output, type World } from "../world.js";
import { CaptureFiles, isFrame, noFrames, timeOf } from "./capture-files.js";
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
  readonly in: readonly string[];
  readonly out?: string;
  readonly engine: RunnerName;
  readonly map?: readonly string[];
  readonly maxEntries?: readonly string[];
  readonly dump?: boolean;
  readonly each?: boolean;
  readonly specialise?: readonly string[];
}

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
  const maxEntries = parseSizes(object, options.maxEntries);
  const specialises = parseSpecialised(object, options);
  const fill = (mapOf: (map: string) => WritableMap): void => {
    for (const text of options.map ?? []) {
      const [map, entries] = parseMapOption(text);
      definitionOf(object, map); // names the maps that there are
      fillMap(object, map, entries, mapOf(map));
    }
  };
  const runner = openRunner(options.engine, object, {
    program: name,
    maxEntries,
    specialises,
    print,
    fill,
  });
  try {
    const tally: Tally = { packets: 0, verdicts: {}, redirects: {}, skipped: 0 };
    const isEachInJson = options.each === true && options.json === true;
    const out = reportOf(options, world);
    if (isEachInJson) await out.write(`{\n  "each": [`);
    const complaint = await runAll(runner, options, tally, world);
    if (isEachInJson) await out.write(tally.packets === 0 ? "],\n" : "\n  ],\n");
    await report(object, runner, name, tally, options, world);
    if (complaint !== null) {
      await world.err.write(`millrace xdp run: ${complaint}\n`);
      return FAILED;
    }
    if (tally.packets === 0 && tally.skipped > 0) {
      await world.err.write(`millrace xdp run: ${noFrames(options.in, tally.skipped)}\n`);
      return FAILED;
    }
    if (tally.packets + tally.skipped === 0) {
      await world.err.write(`millrace xdp run: ${options.in.join(", ")}: there are no packets\n`);
    }
    return DONE;
  } finally {
    runner.close();
  }
}

/** Where verdicts are printed: packets that are written to the standard output have that for themselves. */
const reportOf = (options: RunOptions, world: World): Output =>
  options.out === "-" ? world.err : world.out;

/** Arrays that `--specialise` names. Throws `EbpfError` EINVAL for what can be none. */
function parseSpecialised(object: BpfObject, options: RunOptions): readonly string[] {
  const names = options.specialise ?? [];
  if (names.length > 0 && options.engine !== "trace") {
    throw new EbpfError("EINVAL", "--specialise is for --engine trace");
  }
  for (const name of names) expectArray(object, name);
  return names;
}

/** Throws `EbpfError` EINVAL: only values of arrays have places that do not change. */
export function expectArray(object: BpfObject, name: string): void {
  if (definitionOf(object, name).type === MapType.ARRAY) return;
  throw new EbpfError("EINVAL", `--specialise: expected an array, and ${name} is none`);
}

async function runAll(
  runner: Runner,
  options: RunOptions,
  tally: Tally,
  world: World,
): Promise<string | null> {
  const source = new CaptureFiles(options.in, world.input);
  const { out } = options;
  const writer = out === undefined ? null : new CaptureFileWriter(out, formatOf(out), world);
  const changed = new CapturedPacket();
  let lines = "";
  const visit = (packet: CapturedPacket): boolean => {
    if (!isFrame(packet)) {
      tally.skipped++;
      return true;
    }
    const result = runner.run(packet.bytes.subarray(packet.at, packet.end), timeOf(packet));
    const verdict = verdictName(result.verdict);
    tally.packets++;
    tally.verdicts[verdict] = (tally.verdicts[verdict] ?? 0) + 1;
    if (result.target !== "")
      tally.redirects[result.target] = (tally.redirects[result.target] ?? 0) + 1;
    if (options.each === true) {
      const lengthBytes = result.packet.length;
      lines +=
        options.json === true
          ? `${tally.packets === 1 ? "" : ","}\n    ${JSON.stringify({ packet: tally.packets, verdict, lengthBytes })}`
          : `${tally.packets} ${verdict} ${lengthBytes}\n`;
    }
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
    const hasReader = text === "" || (await reportOf(options, world).write(text));
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
  const out = reportOf(options, world);
  if (options.json !== true) {
    await out.write(asText(tally, maps, choice ?? ""));
    return;
  }
  const ran = choice === undefined ? {} : { ran: choice };
  const text = JSON.stringify({ program, engine: options.engine, ...ran, ...tally, maps }, null, 2);
  // With the packets in front, which are written as they come, the object is begun already.
  await out.write(`${options.each === true ? text.slice("{\n".length) : text}\n`);
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
  return lines.map((line) => `${line}\n`).join("");
}
