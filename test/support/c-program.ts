/** The programs in C of test/run/programs, compiled. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { requireTools } from "./tools.js";

const PROGRAMS = fileURLToPath(new URL("../../../test/run/programs/", import.meta.url));
const OPTIONS = "-std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -pthread".split(" ");

/** Compiles NAME.c into `folder`; the program's path. */
export function buildProgram(name: string, folder: string): string {
  requireTools("cc");
  const program = join(folder, name);
  const args = [...OPTIONS, "-o", program, join(PROGRAMS, `${name}.c`)];
  const { status, stderr } = spawnSync("cc", args, { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return program;
}
