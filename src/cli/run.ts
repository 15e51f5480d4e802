/**
 * `millrace run`: help, and what the launcher (native/launcher/, which is the one that runs programs)
 * leaves to Node.js: starting the engine and checking rules. docs/run.md is the manual.
 */
import { NetError } from "../base/errors.js";
import { PlacedError } from "../base/placed-error.js";
import { FileKindError, requirePlainFile } from "../base/read-text.js";
import { EbpfError } from "../ebpf/ebpf-error.js";
import { MAX_RULES_BYTES } from "../socket/rules.js";
import { readRules } from "../socket/rules-parser.js";
import { type AddCommand, examples } from "./command.js";
import type { EngineFlags } from "./engine-flags.js";
import { ensureEngine } from "./engine-start.js";
import { addressOf, hostOf, prefixOf, profileOf, spinOf } from "./option-values.js";
import { DONE, isSystemError, statusOf, systemText, USAGE, type World } from "./world.js";

interface RunOptions extends EngineFlags {
  readonly checkRules?: string;
  readonly startOnly?: boolean;
  readonly debug?: boolean;
}

export const addRun: AddCommand = (program, world, finish) => {
  const collect = (value: string, before: string[] = []): string[] => [...before, value];
  const command = program
    .command("run")
    .summary("run a program whose sockets bypass the kernel")
    .usage("[options] [--] COMMAND [ARGUMENT...]")
    .argument("[command...]")
    .description(
      "Runs a program as it is: its TCP and UDP sockets are carried by Millrace where a route leads " +
        "there, everything else by the kernel. An engine is started when none runs.\n" +
        "Exit status: the program's own; 126 it cannot be run, 127 there is none; 1 Millrace failed " +
        "before the program started, 2 wrong usage.",
    )
    .option(
      "--nic <NIC>",
      "the engine's interface: eth1, tap:tap0, memif:PATH, xdp:…; several allowed",
      collect,
    )
    .option(
      "--address <ADDRESS>",
      "this program's own address; with --nic the interface's, with /prefix",
      checked(hostOf),
    )
    .option("--gateway <ADDRESS>", "default route of the interface", checked(addressOf))
    .option("--xdp <FILE>", "XDP program in front of the first interface (docs/ebpf.md)")
    .option(
      "--network <PREFIX>",
      "the network among programs of this machine (10.77.0.1/16)",
      checked(prefixOf),
    )
    .option("--config <FILE>", "the engine's configuration (docs/engine.md)")
    .option(
      "--profile <NAME>",
      "how to wait: latency, balanced (default), idle",
      checked(profileOf),
    )
    .option(
      "--spin <US>",
      "how long to spin before sleeping, or forever; overrides the profile",
      checked(spinOf),
    )
    .option("--rules <FILE>", "which sockets to accelerate (docs/rules.md)")
    .option("--application-id <ID>", "for rules that name one")
    .option("--loopback", "127.0.0.0/8 and ::1 go through Millrace, too")
    .option(
      "--in-process",
      "a Node.js program: a stack of its own instead of an engine (docs/node.md)",
    )
    .option("--no-auto", "accelerate only sockets that ask for it (docs/opt-out.md)")
    .option("--debug", "tell of each socket whether it is accelerated, and why not")
    .option("--no-warn", "no warnings")
    .option("--check-rules <FILE>", "say what is wrong with a file of rules, run nothing")
    .option("--start-only", "start the engine, run nothing")
    .action(async (words: string[], options: RunOptions) => {
      finish(
        words.length === 0 ? await runHere(options, world) : await tooMany(words, options, world),
      );
    });
  examples(command, [
    ["millrace run nc -u -l 1234", "a server; `millrace nc …` is short for it"],
    ["millrace run --address 10.77.0.2 curl http://10.77.0.1/", "as another host"],
    [
      "millrace run --nic eth1 -- redis-server",
      "to the world, over an interface shared with the kernel",
    ],
    ["millrace run --profile latency sockperf pp -i 10.77.0.1", "never sleep"],
    [
      "millrace run --in-process --nic memif:/run/a.sock --address 10.77.0.2/24 node app.js",
      "Node.js, without an engine",
    ],
    ["millrace run --debug python3 -m http.server", "what is accelerated, and why not"],
  ]);
};

/** Refuses what a reader of values refuses, and keeps the text for the engine's own command line. */
function checked(read: (text: string) => unknown): (text: string) => string {
  return (text) => {
    read(text);
    return text;
  };
}

/** A program is nothing to what runs none. */
async function tooMany(
  words: readonly string[],
  options: RunOptions,
  world: World,
): Promise<number> {
  const option = options.checkRules === undefined ? "--start-only" : "--check-rules";
  const text = `${option} runs nothing; expected nothing behind it, got ${words.join(" ")}`;
  await world.err.write(`millrace run: ${text}\n(see millrace run --help)\n`);
  return USAGE;
}

/** What needs no launcher. */
async function runHere(options: RunOptions, world: World): Promise<number> {
  try {
    if (options.checkRules !== undefined) checkRules(options.checkRules);
    else if (options.startOnly === true) {
      const { MILLRACE_DEBUG: set = "" } = world.env;
      const tells = options.debug === true || (set !== "" && set !== "0");
      if (options.nic !== undefined || options.config !== undefined) {
        (await import("./engine-check.js")).checkEngineFlags(options);
      }
      return await ensureEngine(options, world, tells);
    } else return USAGE;
    return DONE;
  } catch (error) {
    if (error instanceof TypeError && !isSystemError(error)) {
      await world.err.write(`millrace run: ${error.message}\n(see millrace run --help)\n`);
      return USAGE;
    }
    const isPlaced = error instanceof PlacedError;
    const isTheirs =
      error instanceof NetError || error instanceof EbpfError || error instanceof FileKindError;
    if (!isPlaced && !isTheirs && !isSystemError(error)) throw error;
    const text = isPlaced || isTheirs ? error.message : systemText(error);
    await world.err.write(isPlaced ? `${text}\n` : `millrace: ${text}\n`);
    return statusOf(error);
  }
}

/** Throws `PlacedError`, `FileKindError`, or the system's error. */
function checkRules(path: string): void {
  const bytes = requirePlainFile(path);
  if (bytes > MAX_RULES_BYTES) {
    const text = `expected at most ${MAX_RULES_BYTES} bytes of rules; the file has ${bytes}`;
    throw new PlacedError(path, [{ line: 1, column: 1, text }]);
  }
  readRules(path);
}
