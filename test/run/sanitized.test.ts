/**
 * The whole preload library under AddressSanitizer and UndefinedBehaviorSanitizer, in programs that are
 * compared with the kernel: a report ends the program.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Comparison, ROOT } from "./comparison.js";

let comparison: Comparison;
before(async () => {
  comparison = await Comparison.begin();
  const library = join(comparison.folder, "sanitized.so");
  const script = join(ROOT, "scripts", "install.js");
  const CFLAGS = "-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all";
  execFileSync(process.execPath, [script, "--output", library, "shim"], {
    env: { ...process.env, CFLAGS },
  });
  const runtime = execFileSync("cc", ["-print-file-name=libasan.so"], { encoding: "utf8" }).trim();
  comparison.preload = `${runtime} ${library}`;
  // The programs keep what they have until they end; faults in copies are the library's to handle.
  comparison.env = { ASAN_OPTIONS: "detect_leaks=0:handle_segv=0:handle_sigbus=0" };
});
after(() => comparison.end());

/** Programs started by these would lack the sanitizer's own library. */
const STARTS_OTHERS = ["executed", "standard_streams"];

for (const name of ["readiness", "threads", "process"]) {
  test(`no memory error and no undefined behaviour in ${name}`, () => {
    const program = comparison.build(name);
    const cases = comparison.cases(name).filter((one) => !STARTS_OTHERS.includes(one));
    assert.ok(cases.length > 3);
    comparison.compare(program, ...cases);
  });
}

test("no memory error and no undefined behaviour in random games", () => {
  comparison.compare(comparison.build("epoll-random"), "7", "10");
});
