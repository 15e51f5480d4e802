/** `millrace doctor`: what this machine can do, what is missing, and the command that fixes it. */
import { type AddCommand, examples } from "./command.js";
import { CHECKS, type CheckResult, type CheckStatus } from "./doctor-checks.js";
import { checkNic, checkProgram } from "./doctor-program.js";
import { type Machine, thisMachine } from "./machine.js";
import { DONE, FAILED, type World, wantsColour } from "./world.js";

const COLOURS: Readonly<Record<CheckStatus, string>> = {
  ok: "\x1b[32m",
  warn: "\x1b[33m",
  fail: "\x1b[31m",
};
const PLAIN = "\x1b[0m";

export const addDoctor: AddCommand = (program, world, finish) => {
  const command = program
    .command("doctor")
    .summary("say what this machine can do and what is missing")
    .description(
      "Looks at this machine: one line a check, and under it the command that puts it right.\n" +
        "With a command: whether its sockets can be accelerated by `millrace run`, too.\n" +
        "Exit status: 0 no check failed (warnings allowed), 1 one did, 2 wrong usage.",
    )
    .usage("[options] [--] [COMMAND [ARGUMENT...]]")
    .argument("[command...]")
    .option("--nic <NIC>", "whether an engine could have this interface")
    .option("--json", "print one JSON object")
    .passThroughOptions()
    .action(async (words: string[], options: { json?: boolean; nic?: string }) => {
      finish(await doctor(thisMachine(), options.json === true, world, words[0], options.nic));
    });
  examples(command, [
    ["millrace doctor", "what works here"],
    ["millrace doctor nginx", "whether nginx can be accelerated"],
    ["millrace doctor --nic eth1 redis-server", "and whether over that interface"],
    ["millrace doctor --json", "for programs"],
  ]);
};

/** Runs all checks and prints them; the exit status. */
export async function doctor(
  machine: Machine,
  json: boolean,
  world: World,
  command?: string,
  nic?: string,
): Promise<number> {
  const checks = CHECKS.map((check) => check(machine));
  if (nic !== undefined) checks.push(checkNic(machine, nic, checks));
  if (command !== undefined) checks.push(...checkProgram(machine, command));
  const status = worst(checks);
  const text = json
    ? `${JSON.stringify({ status, checks }, null, 2)}\n`
    : checks.map((check) => format(check, wantsColour(world))).join("");
  await world.out.write(text);
  return status === "fail" ? FAILED : DONE;
}

function worst(checks: readonly CheckResult[]): CheckStatus {
  if (checks.some((check) => check.status === "fail")) return "fail";
  return checks.some((check) => check.status === "warn") ? "warn" : "ok";
}

function format(check: CheckResult, colour: boolean): string {
  const word = check.status.padEnd(4);
  const status = colour ? `${COLOURS[check.status]}${word}${PLAIN}` : word;
  const fix = check.fix === undefined ? "" : `      fix: ${check.fix}\n`;
  return `${status}  ${check.name}: ${check.detail}\n${fix}`;
}
