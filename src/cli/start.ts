/**
 * The process's entry, called by bin/millrace.js: hands what runs a program to the launcher, and loads the rest for what is
 * left. It loads little itself, as a program may be run where few descriptors, or little memory, are allowed.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { becomeProgram } from "../sys/exec.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** As src/cli/world.ts has them. */
const FAILED = 1;
const NO_ROOM = 3;

/** The first words that are not programs to run. The launcher has the same list. */
export const COMMAND_NAMES: readonly string[] = [
  ..."capture doctor engine perf run stat xdp".split(" "),
  "help",
];

/** Node.js reads many of a command's modules at once, and an engine keeps 64 for those who are there. */
const NODE_DESCRIPTORS = 192;

export async function start(): Promise<void> {
  const args = process.argv.slice(2);
  const wasLaunched = process.env.MILLRACE_LAUNCHED === "1";
  const ignoresHangUps = process.env.MILLRACE_NOHUP === "1";
  delete process.env.MILLRACE_LAUNCHED;
  delete process.env.MILLRACE_NOHUP;
  // Before the streams are touched: they would make the program's descriptors non-blocking.
  if (!wasLaunched && isProgram(args)) {
    console.error(`millrace: ${becomeLauncher(args)}`);
    process.exitCode = FAILED;
    return;
  }
  const most = mostDescriptors();
  if (most >= NODE_DESCRIPTORS) return (await import("./main.js")).main(ignoresHangUps);
  console.error(
    `millrace: Node.js needs a limit of ${NODE_DESCRIPTORS} open files (RLIMIT_NOFILE), and it is ${most} here; raise the ` +
      "hard limit: ulimit -Hn by root, LimitNOFILE= of a service, nofile in /etc/security/limits.conf",
  );
  process.exitCode = NO_ROOM;
}

/** The soft limit, which Node.js has raised to the hard one when it began. */
function mostDescriptors(): number {
  const text = existsSync("/proc/self/limits") ? readFileSync("/proc/self/limits", "utf8") : "";
  const value = /^Max open files\s+(\d+)/m.exec(text)?.[1];
  return value === undefined ? Number.POSITIVE_INFINITY : Number(value);
}

/** `run …`, `-- …`, or a program's name. */
function isProgram([first = ""]: readonly string[]): boolean {
  if (first === "run" || first === "--") return true;
  return first !== "" && !first.startsWith("-") && !COMMAND_NAMES.includes(first);
}

/** Hands a whole command line to the launcher, in this process's place. Returns why it could not. */
function becomeLauncher(args: readonly string[]): string {
  const places = ["native/build", `prebuilds/linux-${process.arch}`];
  const path = places.map((place) => `${ROOT}${place}/millrace-run`).find((one) => existsSync(one));
  if (path === undefined) return `the launcher is not built; run: node ${ROOT}scripts/install.js`;
  process.env.MILLRACE_NODE ??= process.execPath;
  try {
    return becomeProgram(path, [path, ...args]);
  } catch (error) {
    return (error as Error).message;
  }
}
