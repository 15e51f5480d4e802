/** `millrace xdp trace`: the paths that a program takes on the packets of a capture, and when. */

import { instanceMap } from "../../ebpf/map-text.js";
import { verdictName } from "../../ebpf/xdp-verdict.js";
import { TracedProgram } from "../../xdp/traced-program.js";
import { DONE, FAILED, type World } from "../world.js";
import { CaptureFiles, isFrame, noFrames, timeOf } from "./capture-files.js";
import { fillMap, parseMapOption } from "./map-file.js";
import { chooseProgram, type ObjectOptions, readObject } from "./object-file.js";
import { type ReadableTrace, readable, type Sourced } from "./readable-trace.js";
import { expectArray } from "./run.js";
import { parseSizes, SEED } from "./runner.js";

export interface TraceOptions extends ObjectOptions {
  readonly in: readonly string[];
  readonly specialise?: readonly string[];
  readonly map?: readonly string[];
  readonly maxEntries?: readonly string[];
}

/** Returns the exit status; throws what `reporting` prints. */
export async function traceProgram(
  file: string,
  options: TraceOptions,
  world: World,
): Promise<number> {
  const object = readObject(file, options);
  const { name } = chooseProgram(object, options.program);
  const maxEntries = parseSizes(object, options.maxEntries);
  const specialises = options.specialise ?? [];
  for (const map of specialises) expectArray(object, map);
  const print = (): void => {};
  const traced = TracedProgram.open(object, {
    program: name,
    maxEntries,
    specialises,
    seed: SEED,
    print,
  });
  for (const text of options.map ?? []) {
    const [map, entries] = parseMapOption(text);
    fillMap(object, map, entries, instanceMap(traced.instance, map));
  }
  const packets = new Map<number, number>();
  const verdicts: Record<string, number> = {};
  let skipped = 0;
  const source = new CaptureFiles(options.in, world.input);
  const visit: Parameters<CaptureFiles["run"]>[0] = (packet) => {
    if (!isFrame(packet)) {
      skipped++;
      return true;
    }
    traced.instance.runtime.setTime(timeOf(packet));
    const { verdict } = traced.run(packet.bytes.subarray(packet.at, packet.end));
    verdicts[verdictName(verdict)] = (verdicts[verdictName(verdict)] ?? 0) + 1;
    packets.set(traced.lastTrace, (packets.get(traced.lastTrace) ?? 0) + 1);
    return true;
  };
  const complaint = await source.run(visit, async () => true, world.stop);
  const traces = [...traced.traces]
    .filter((trace) => trace !== undefined)
    .sort((a, b) => (packets.get(b.id) ?? 0) - (packets.get(a.id) ?? 0))
    .map((trace) => readable(traced, trace, packets.get(trace.id) ?? 0));
  const { counters } = traced;
  const text =
    options.json === true
      ? `${JSON.stringify({ program: name, ...counters, skipped, verdicts, traces }, null, 2)}\n`
      : asText(traces, counters.packets, skipped);
  await world.out.write(text);
  if (complaint !== null) {
    await world.err.write(`millrace xdp trace: ${complaint}\n`);
    return FAILED;
  }
  if (counters.packets === 0 && skipped > 0) {
    await world.err.write(`millrace xdp trace: ${noFrames(options.in, skipped)}\n`);
    return FAILED;
  }
  if (counters.packets + skipped === 0) {
    await world.err.write(`millrace xdp trace: ${options.in.join(", ")}: there are no packets\n`);
  }
  return DONE;
}

const MAX_COLUMN = 56;

function asText(traces: readonly ReadableTrace[], packets: number, skipped: number): string {
  const lines: string[] = [];
  const add = (indent: string, { text, source }: Sourced): void => {
    const line = `${indent}${text}`;
    lines.push(source === null ? line : `${line.padEnd(MAX_COLUMN)}  # ${source}`);
  };
  for (const trace of traces) {
    const share = packets === 0 ? 0 : (100 * trace.packets) / packets;
    lines.push(
      `trace ${trace.id}: ${trace.packets} packets (${share.toFixed(1)} %), ` +
        `${trace.instructions} instructions, ` +
        (trace.isTernary ? `${trace.tcamBits} bits of TCAM` : `not for a TCAM alone`),
    );
    for (const [n, one] of trace.condition.entries()) add(n === 0 ? "  when  " : "   and  ", one);
    for (const one of trace.effects) add("  do    ", one);
    if (trace.hostOnly === null) lines.push(`  return ${trace.verdict}`);
    else add("  host  ", trace.hostOnly);
    if (trace.sameAs.length > 0) lines.push(`  does the same as ${trace.sameAs.join(", ")}`);
  }
  if (skipped > 0) lines.push(`not Ethernet: ${skipped}`);
  return lines.map((line) => `${line}\n`).join("");
}
