/**
 * `npm run fuzz -- [--seconds N] [--seed S] [TARGET…]`: mutates the committed inputs of each target
 * and runs them through it. `--replay FILE TARGET` runs one input; `--list` names the targets.
 *
 * Talk goes to stderr. A crash is written to fuzz/crashes/ and reported with the seed that leads to
 * it; the status is then 1. Give each crash a name and a unit test.
 */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { Command } from "commander";
import { Random } from "../src/base/random.js";
import { FUZZ_FOLDER, loadCorpus, loadTargets, readInput } from "./corpus.js";
import { mutate } from "./mutate.js";
import type { Target } from "./target.js";

const CORPUS_LIMIT = 2_000;
const CRASH_LIMIT = 5;
const SLOW_MS = 1_000;
const PROGRESS_MS = 3_000;

/** One target's run: the inputs that are worth mutating, and what has gone wrong. */
class Session {
  readonly target: Target;
  readonly corpus: Uint8Array[] = [];
  readonly crashes = new Set<string>();
  runs = 0;
  private readonly shapes = new Set<string>();
  private readonly seed: number;

  constructor(target: Target, seed: number) {
    this.target = target;
    this.seed = seed;
    for (const { input } of loadCorpus(target)) {
      this.corpus.push(input);
      this.take(input);
    }
  }

  /** Runs one input; keeps it when its shape is new, reports it when it crashes. */
  take(input: Uint8Array): void {
    this.runs++;
    const startedMs = performance.now();
    const before = process.cpuUsage();
    try {
      const shape = this.target.run(input);
      // The processor's time counts: on a busy machine a run may wait for its turn.
      if (performance.now() - startedMs > SLOW_MS && cpuMs(before) > SLOW_MS)
        throw new Error("took longer than a second");
      if (this.shapes.has(shape)) return;
      this.shapes.add(shape);
      if (this.corpus.length < CORPUS_LIMIT) this.corpus.push(input);
    } catch (error) {
      this.report(input, error);
    }
  }

  private report(input: Uint8Array, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const place = text.split("\n").filter((line, i) => i === 0 || line.startsWith("    at "));
    const kind = place.slice(0, 4).join(" ");
    if (this.crashes.has(kind) || this.crashes.size >= CRASH_LIMIT) return;
    this.crashes.add(kind);
    const hash = createHash("sha256").update(input).digest("hex").slice(0, 12);
    const file = new URL(`crashes/${this.target.name}-${hash}.hex`, FUZZ_FOLDER);
    mkdirSync(new URL("crashes/", FUZZ_FOLDER), { recursive: true });
    writeFileSync(file, `${Buffer.from(input).toString("hex")}\n`);
    console.error(`CRASH ${this.target.name}, seed ${this.seed}: ${file.pathname}\n${text}`);
  }

  progress(): void {
    const { target, runs, corpus, crashes } = this;
    console.error(`${target.name}: ${runs} runs, ${corpus.length} inputs, ${crashes.size} crashes`);
  }
}

function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1_000;
}

/** Fuzzes one target for a time; returns how many kinds of crash were found. */
function fuzz(target: Target, seconds: number, seed: number): number {
  const random = new Random(seed);
  const session = new Session(target, seed);
  const endMs = performance.now() + seconds * 1000;
  let progressMs = performance.now() + PROGRESS_MS;
  for (;;) {
    for (let i = 0; i < 200; i++) {
      const corpus = session.corpus;
      const one = corpus[random.below(corpus.length)] ?? new Uint8Array(0);
      const other = corpus[random.below(corpus.length)] ?? one;
      session.take(mutate(one, other, target.maxBytes, random));
    }
    const nowMs = performance.now();
    if (nowMs >= endMs || session.crashes.size >= CRASH_LIMIT) break;
    if (nowMs >= progressMs) {
      progressMs = nowMs + PROGRESS_MS;
      session.progress();
    }
  }
  session.progress();
  return session.crashes.size;
}

function fail(message: string): never {
  console.error(`fuzz: ${message}`);
  process.exit(2);
}

interface Options {
  readonly seconds: string;
  readonly seed: string;
  readonly replay?: string;
  readonly list?: boolean;
}

async function main(): Promise<number> {
  const all = await loadTargets();
  const targets = all.map((t) => `${t.name.padEnd(14)}${t.summary}\n`).join("");
  const program = new Command("fuzz")
    .description(
      "mutates the committed inputs of each target and runs them through it; exit status: 0 done, " +
        "1 something crashed, 2 usage",
    )
    .argument("[target...]", "names from --list; none runs all")
    .option("--seconds <n>", "how long, all targets together", "60")
    .option("--seed <n>", "repeats a run", String(Date.now() | 0))
    .option(
      "--replay <file>",
      "run one input: hexadecimal in FILE.hex, as crashes are written, else bytes",
    )
    .option("--list", "name the targets")
    .addHelpText("after", `\nTargets:\n${targets.replaceAll(/^/gm, "  ").trimEnd()}`)
    .exitOverride((e) => process.exit(e.exitCode === 0 ? 0 : 2))
    .parse();
  const options = program.opts<Options>();
  if (options.list === true) {
    process.stdout.write(targets);
    return 0;
  }
  const known = all.map((t) => t.name).join(", ");
  for (const name of program.args) {
    if (!all.some((t) => t.name === name)) fail(`no target ${name}; there are: ${known}`);
  }
  const chosen = program.args.length === 0 ? all : all.filter((t) => program.args.includes(t.name));
  const seconds = Number(options.seconds);
  const seed = Number(options.seed);
  if (!(seconds > 0)) fail(`--seconds: expected a number above 0, got ${options.seconds}`);
  if (!Number.isSafeInteger(seed)) fail(`--seed: expected an integer, got ${options.seed}`);
  if (options.replay !== undefined) return replay(options.replay, chosen);
  console.error(`seed ${seed}, ${seconds} s for ${chosen.map((t) => t.name).join(", ")}`);
  let crashes = 0;
  for (const target of chosen) crashes += fuzz(target, seconds / chosen.length, seed);
  return crashes === 0 ? 0 : 1;
}

function replay(file: string, chosen: readonly Target[]): number {
  let input: Uint8Array;
  try {
    input = readInput(pathToFileURL(file));
  } catch (error) {
    fail(`--replay: ${error instanceof Error ? error.message : error}`);
  }
  for (const target of chosen) console.log(`${target.name}: ${target.run(input)}`);
  return 0;
}

process.exitCode = await main();
