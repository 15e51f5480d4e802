/** Runs one case in a process of its own and reads the JSON object that it prints last. */
import { execFile } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Metrics } from "./scenario.js";

const run = promisify(execFile);

/** Runs a program to its end; its last line of output is the result. */
export async function measure(command: string, args: readonly string[]): Promise<Metrics> {
  const { stdout } = await run(command, [...args], { maxBuffer: 64 << 20 });
  const line = stdout.trim().split("\n").at(-1) ?? "";
  return JSON.parse(line) as Metrics;
}

/**
 * Runs `bench/cases/NAME.ts` with a young generation large enough that counting heap growth between
 * two points sees every allocation.
 */
export function measureCase(name: string, ...args: string[]): Promise<Metrics> {
  const file = fileURLToPath(new URL(`./cases/${name}.js`, import.meta.url));
  return measure(process.execPath, ["--expose-gc", "--max-semi-space-size=256", file, ...args]);
}

/** Compiles `bench/native/NAME.c` when it is newer than its program, and returns the program. */
export async function nativeProgram(name: string): Promise<string> {
  const source = fileURLToPath(new URL(`../../bench/native/${name}.c`, import.meta.url));
  const folder = fileURLToPath(new URL("../../native/build/bench/", import.meta.url));
  const program = `${folder}${name}`;
  mkdirSync(folder, { recursive: true });
  const built = statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (built < statSync(source).mtimeMs) {
    await run(process.env.CC ?? "cc", [
      "-O2",
      "-std=c11",
      "-Wall",
      "-Wextra",
      "-Werror",
      "-o",
      program,
      source,
    ]);
  }
  return program;
}
