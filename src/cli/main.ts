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
  speakAs(program, "millrace");
  program.hook("preAction", (_, command) => refuseEmpty(command));
  try {
    // `help help` is `help`.
    const words = word === "help" && about === "help" ? args.slice(1) : [...args];
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    status = error.exitCode === 0 ? 0 : USAGE;
  }
  if (data !== "") await world.out.write(data);
  if (talk !== "") await world.err.write(talk);
  return status;
}

/** What is wrong with a command line begins with the command's name, and ends with where its help is. */
function speakAs(command: Command, name: string): void {
  command.showHelpAfterError(`(see ${name} --help)`);
  command.configureOutput({
    outputError: (text, write) => write(text.replace(/^error: /, `${name}: `)),
  });
  for (const one of command.commands) speakAs(one, `${name} ${one.name()}`);
}

/** An empty value is a variable of a script that was not set. */
function refuseEmpty(command: Command): void {
  const values: Readonly<Record<string, unknown>> = command.opts();
  for (const option of command.options) {
    const value = values[option.attributeName()];
    const isEmpty = value === "" || (Array.isArray(value) && value.includes(""));
    if (isEmpty) command.error(`error: option '${option.flags}' needs a value that is not empty`);
  }
}

function version(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** This process is the command line; `ignoresHangUps` under nohup, which Node.js forgets. */
export async function main(ignoresHangUps: boolean): Promise<void> {
  const args = process.argv.slice(2);
  const world = processWorld(ignoresHangUps);
  try {
    process.exitCode = await run(args, world);
  } catch (error) {
    await world.err.write(`millrace: ${(error as Error).stack ?? String(error)}\n`);
    process.exitCode = FAILED;
  }
  // A pipe or terminal as standard input would keep the process waiting for more.
  process.stdin.destroy();
}
