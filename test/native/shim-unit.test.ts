/** The shim's C tests of its parts, under AddressSanitizer and UndefinedBehaviorSanitizer. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { requireTools } from "../support/tools.js";

requireTools("cc");
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const OPTIONS =
  "-std=c11 -D_GNU_SOURCE -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined " +
  "-Wall -Wextra -Werror -Wno-deprecated-declarations";

/** Each test and the files of the shim that it needs. */
const TESTS: [string, string[]][] = [
  ["fd-table", ["real", "fd-table", "copy", "signal", "signal-old", "allowed"]],
  ["copy", ["real", "copy", "signal", "signal-old", "allowed"]],
  ["placement", ["placement", "real", "allowed"]],
  ["resolver", ["resolver"]],
  ["signal", ["real", "copy", "signal", "signal-old", "allowed"]],
];

for (const [name, parts] of TESTS) {
  test(`native/shim: ${name}`, (t) => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-shim-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const program = join(folder, name);
    const sources = [
      join(ROOT, "test/native/shim", `${name}.test.c`),
      ...parts.map((part) => join(ROOT, "native/shim", `${part}.c`)),
    ];
    const built = spawnSync(
      "cc",
      [...OPTIONS.split(" "), "-o", program, ...sources, "-lpthread", "-ldl"],
      { encoding: "utf8" },
    );
    assert.equal(built.status, 0, built.stderr);
    const { status, signal, stdout, stderr } = spawnSync(program, { encoding: "utf8" });
    assert.equal(status, 0, `${name} ended with ${signal ?? status} after:\n${stdout}${stderr}`);
  });
}
