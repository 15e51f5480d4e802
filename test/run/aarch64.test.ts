/**
 * The preload library on aarch64, emulated: it compiles without a warning, its copies survive faults, and
 * programs say over an engine on this machine what they say on this machine's kernel.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { Comparison, ROOT } from "./comparison.js";

await enterNamespace(import.meta.url, "aarch64-linux-gnu-gcc", "qemu-aarch64");

const CROSS = "aarch64-linux-gnu-gcc";
const ROOT_OF_TARGET = "/usr/aarch64-linux-gnu";
const OPTIONS = "-std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Wno-unused-function -pthread".split(" ");

let comparison: Comparison;
let library: string;
before(async () => {
  comparison = await Comparison.begin();
  library = join(comparison.folder, "aarch64.so");
  const script = join(ROOT, "scripts", "install.js");
  execFileSync(process.execPath, [script, "--output", library, "shim"], {
    env: { ...process.env, CC: CROSS },
  });
});
after(() => comparison.end());

function build(name: string, ...sources: string[]): string {
  const program = join(comparison.folder, `${name}-aarch64`);
  const paths = sources.map((path) => join(ROOT, path));
  const built = spawnSync(CROSS, [...OPTIONS, "-o", program, ...paths, "-ldl"], {
    encoding: "utf8",
  });
  assert.equal(built.status, 0, built.stderr);
  return program;
}

function emulate(program: string, args: string[], env: Record<string, string> = {}): string {
  const variables = Object.entries(env).flatMap(([name, value]) => ["-E", `${name}=${value}`]);
  const words = ["-L", ROOT_OF_TARGET, ...variables, program, ...args];
  const { status, stdout, stderr } = spawnSync("qemu-aarch64", words, {
    encoding: "utf8",
    timeout: 120_000,
  });
  assert.equal(status, 0, `${program}: ${stdout}${stderr}`);
  return stdout;
}

const SHIM = "native/shim";
test("copies survive faults, and the table of descriptors counts right", () => {
  const parts = ["real", "copy", "signal", "signal-old", "allowed"].map(
    (part) => `${SHIM}/${part}.c`,
  );
  emulate(build("copy", "test/native/shim/copy.test.c", ...parts), []);
  const table = ["test/native/shim/fd-table.test.c", `${SHIM}/fd-table.c`, ...parts];
  emulate(build("fd-table", ...table), []);
});

/** Without options that the emulator does not know: the library asks its kernel about them. */
for (const name of ["readiness", "crowd"]) {
  test(`${name}: the same as on the kernel`, () => {
    const onKernel = execFileSync(comparison.build(name), ["127.0.0.1"], { encoding: "utf8" });
    const program = build(name, `test/run/programs/${name}.c`);
    const here = emulate(program, ["10.77.0.1"], {
      LD_PRELOAD: library,
      MILLRACE_ENGINE: join(comparison.folder, "engine"),
    });
    assert.equal(here, onKernel);
  });
}
