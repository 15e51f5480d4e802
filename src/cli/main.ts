/** The command line `millrace`: finds the command, runs it, and returns its exit status. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { type AddCommand, examples } from "./command.js";
import { COMMAND_NAMES } from "./start.js";
import { FAILED, processWorld, USAGE, type World } from "./world.js";

/** Loaded when they are needed: `run` and `stat` should start quickly. */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  capture: async () => (await import("./capture.js")).addCapture,
  doctor: async () => (await import("./doctor.js")).addDoctor,
  engine: async () => (await import("./engine.js")).addEngine,
  perf: async () => (await import("./perf.js")).addPerf,
  run: async () => (await import("./run.js")).addRun,
  stat: async () => (await import("./stat.js")).addStat,
  xdp: async () => (await import("./xdp.js")).addXdp,
};

/** Runs one command line, without the program's name, in a world; returns the exit status. */
export async function run(args: readonly string[], world: World): Promise<number> {
  const [word, about = ""] = args;
  if (word === "help" && about !== "" && !about.startsWith("-") && !COMMAND_NAMES.includes(about)) {
    const known = COMMAND_NAMES.join(", ");
    await world.err.write(
      `millrace help: there is no command ${JSON.stringify(about)}; there are ${known}\n`,
    );
    return USAGE;
  }
  let status = 0;
  let talk = "";
  let data = "";
  const program = new Command("millrace")
    .description("A user-space TCP/IP stack, NIC rings and programmable packet path for Linux.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .showHelpAfterError("(see millrace --help)")
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => {
        data += text;
      },
      writeErr: (text) => {
        talk += text;
      },
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride();
  examples(program, [
    [
      "millrace run nc -u -l 1234",
      "a program whose sockets bypass the kernel; also: millrace nc …",
    ],
    ["millrace stat", "all sockets, accelerated or not"],
    ["millrace doctor", "what this machine can do and what is missing"],
    ["millrace capture -r FILE", "print the packets of a capture file"],
    ["millrace perf ping-pong --nic sim", "how fast the stack is here"],
    ["millrace xdp run FILTER.o --in FILE", "what an XDP program does to packets"],
    ["millrace help capture", "all about one command"],
  ]);
  const first = args[0] ?? "";
  const only = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
  for (const load of only === undefined ? Object.values(COMMANDS) : [only]) {
    (await load())(program, world, (result) => {
      status = result;
    });
  }
  for (const command of program.commands) {
    command.showHelpAfterError(`(see millrace ${command.name()} --help)`);
  }
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    status = error.exitCode === 0 ? 0 : USAGE;
  }
  if (data !== "") await world.out.write(data);
  if (talk !== "") await world.err.write(talk);
  return status;
}

function version(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** This process is the command line. */
export async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const world = processWorld();
  try {
    process.exitCode = await run(args, world);
  } catch (error) {
    await world.err.write(`millrace: ${(error as Error).stack ?? String(error)}\n`);
    process.exitCode = FAILED;
  }
  // A pipe or terminal as standard input would keep the process waiting for more.
  process.stdin.destroy();
}
