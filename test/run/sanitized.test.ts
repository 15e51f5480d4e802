/**
 * The whole preload library under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer, in
 * programs that are compared with the kernel: a report ends the program, or makes its status another.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { Comparison, ROOT } from "./comparison.js";

await enterNamespace(import.meta.url, "cc");

let comparison: Comparison;
before(async () => {
  comparison = await Comparison.begin();
});
after(() => comparison.end());

/** The library with this sanitizer; its path. */
function buildLibrary(sanitizer: string): string {
  const library = join(comparison.folder, `${sanitizer.split(",")[0]}.so`);
  const script = join(ROOT, "scripts", "install.js");
  const CFLAGS = `-g -O1 -fsanitize=${sanitizer} -fno-sanitize-recover=all`;
  execFileSync(process.execPath, [script, "--output", library, "shim"], {
    env: { ...process.env, CFLAGS },
  });
  return library;
}

/** Programs started by these would lack the sanitizer's own library. */
const STARTS_OTHERS = ["executed", "standard_streams"];

test("no memory error and no undefined behaviour", async (t) => {
  const library = buildLibrary("address,undefined");
  const runtime = execFileSync("cc", ["-print-file-name=libasan.so"], { encoding: "utf8" }).trim();
  comparison.preload = `${runtime} ${library}`;
  // The programs keep what they have until they end; faults in copies are the library's to handle.
  comparison.env = { ASAN_OPTIONS: "detect_leaks=0:handle_segv=0:handle_sigbus=0" };
  for (const name of ["readiness", "threads", "crowd", "process"]) {
    await t.test(name, () => {
      const program = comparison.build(name);
      const cases = comparison.cases(name).filter((one) => !STARTS_OTHERS.includes(one));
      assert.ok(cases.length > 0);
      comparison.compare(program, ...cases);
    });
  }
  await t.test("random games", () => {
    comparison.compare(comparison.build("epoll-random"), "7", "10");
  });
});

test("no data race", async (t) => {
  comparison.preload = buildLibrary("thread");
  comparison.env = { TSAN_OPTIONS: "handle_segv=0 handle_sigbus=0" };
  for (const name of ["threads", "crowd"]) {
    await t.test(name, () => {
      comparison.compare(comparison.build(name, "-fsanitize=thread"));
    });
  }
});
