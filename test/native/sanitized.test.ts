/**
 * The addon's C under AddressSanitizer and UndefinedBehaviorSanitizer: a sanitised copy is built,
 * and the tests that use the addon run again with it. Any report ends their process.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { requireTools } from "../support/tools.js";

requireTools("cc");
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const COMPILER = (process.env.CC ?? "cc").split(" ")[0]!;
const folder = mkdtempSync(join(tmpdir(), "millrace-sanitized-"));
const addon = join(folder, "millrace.node");

before(() => {
  chmodSync(folder, 0o755); // some tests load the addon as another user
  const CFLAGS = "-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all";
  execFileSync(process.execPath, [join(ROOT, "scripts", "install.js"), "--output", addon], {
    env: { ...process.env, CFLAGS },
  });
});
after(() => rmSync(folder, { recursive: true }));

/** Node.js itself is not built with the sanitiser, so its library must be there first. */
function sanitizerLibrary(): string {
  return execFileSync(COMPILER, ["-print-file-name=libasan.so"], { encoding: "utf8" }).trim();
}

function runSanitized(testFile: string): void {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    MILLRACE_ADDON: addon,
    LD_PRELOAD: sanitizerLibrary(),
    // Node.js keeps much until it ends, which is no leak of ours; test/native/leaks.test.ts looks.
    ASAN_OPTIONS: "detect_leaks=0",
  };
  delete env.NODE_TEST_CONTEXT; // its results are not this file's
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, "dist", testFile.replace(/\.ts$/, ".js"))],
    { encoding: "utf8", env, timeout: 120_000 },
  );
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.doesNotMatch(stderr, /AddressSanitizer|runtime error/);
}

for (const file of [
  "src/sys/bpf.test.ts",
  "src/sys/fd.test.ts",
  "src/sys/memory.test.ts",
  "src/sys/waiter.test.ts",
  "test/native/addon-arguments.test.ts",
  "test/interop/devices.test.ts",
  "test/interop/tap-device.test.ts",
  "test/interop/xdp-device.test.ts",
  "test/interop/packet-device.test.ts",
  "test/interop/kernel-network.test.ts",
]) {
  test(`no memory error and no undefined behaviour in ${file}`, () => runSanitized(file));
}

test("the sanitised copy is what those tests load", () => {
  const script = `
    import { addon } from ${JSON.stringify(new URL("../../src/sys/addon.js", import.meta.url).href)};
    import { readFileSync } from "node:fs";
    addon();
    console.log(readFileSync("/proc/self/maps", "utf8").includes(${JSON.stringify(addon)}));`;
  const said = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
    env: {
      ...process.env,
      MILLRACE_ADDON: addon,
      LD_PRELOAD: sanitizerLibrary(),
      ASAN_OPTIONS: "detect_leaks=0",
    },
  });
  assert.equal(said, "true\n");
});
