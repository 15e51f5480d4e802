/** scripts/install.js in a copy of the package: what npm runs, and what people see when it fails. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { requireTools } from "../support/tools.js";

requireTools("cc");
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** A copy of what the script needs, with the headers or without. */
function packageCopy(t: TestContext, hasHeaders = true): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-install-"));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const part of ["scripts/install.js", "native/addon", "package.json"]) {
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  }
  mkdirSync(join(folder, "node_modules"));
  if (hasHeaders) {
    const headers = "node_modules/node-api-headers";
    symlinkSync(join(ROOT, headers), join(folder, headers));
  }
  return folder;
}

function install(folder: string, env: NodeJS.ProcessEnv = {}, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(folder, "scripts", "install.js"), ...args],
    { encoding: "utf8", env: { ...process.env, CC: "", ...env } },
  );
  return { status, said: stdout + stderr };
}

const BUILT = "native/build/millrace.node";

test("it builds in one line, then only when a source is newer", (t) => {
  const folder = packageCopy(t);
  const first = install(folder);
  assert.equal(first.status, 0, first.said);
  assert.match(first.said, /^millrace: built the native addon in \d+ ms\n$/);
  assert.deepEqual(install(folder), { status: 0, said: "" });
  const soon = new Date(Date.now() + 60_000);
  utimesSync(join(folder, "native/addon/fd.c"), soon, soon);
  assert.match(install(folder).said, /built/);
});

test("only what is newer is compiled again, or everything with other options", (t) => {
  const folder = packageCopy(t);
  const objects = join(folder, "native/build/objects/addon");
  const times = () =>
    new Map(
      readdirSync(objects)
        .filter((file) => file.endsWith(".o"))
        .map((file) => [file, statSync(join(objects, file), { bigint: true }).mtimeNs] as const),
    );
  const compiledAgain = (before: ReturnType<typeof times>) =>
    [...times()].filter(([file, at]) => before.get(file) !== at).map(([file]) => file);
  const soon = (seconds: number) => new Date(Date.now() + seconds * 1_000);
  install(folder);
  let before = times();
  assert.ok(before.size > 5);
  utimesSync(join(folder, "native/addon/fd.c"), soon(60), soon(60));
  install(folder);
  assert.deepEqual(compiledAgain(before), ["fd.o"]);
  before = times();
  assert.match(install(folder, { CFLAGS: "-DOTHER" }).said, /built/); // fd.c is still newer
  assert.equal(compiledAgain(before).length, before.size);
  before = times();
  utimesSync(join(folder, "native/addon/addon.h"), soon(120), soon(120));
  install(folder, { CFLAGS: "-DOTHER" });
  assert.equal(compiledAgain(before).length, before.size, "headers are everybody's");
});

test("a missing compiler is one line that says what to install", (t) => {
  const folder = packageCopy(t);
  const { status, said } = install(folder, { CC: "no-such-compiler -m64" });
  assert.equal(status, 1);
  assert.match(said, /^millrace: .*no-such-compiler.*apt-get install gcc libc6-dev.*\n$/);
});

test("missing headers are one line that says what to run", (t) => {
  const { status, said } = install(packageCopy(t, false));
  assert.equal(status, 1);
  assert.match(said, /^millrace: .*node-api-headers.* is missing; run npm ci.*\n$/);
});

test("a published package is content with its prebuilt addon, without compiler and headers", (t) => {
  const folder = packageCopy(t);
  assert.equal(install(folder, {}, "--prebuild").status, 0);
  assert.ok(existsSync(join(folder, `prebuilds/linux-${process.arch}/millrace.node`)));
  assert.deepEqual(install(folder, { CC: "no-such-compiler" }), { status: 0, said: "" });
  rmSync(join(folder, "node_modules"), { recursive: true });
  assert.deepEqual(install(folder), { status: 0, said: "" });
  assert.equal(existsSync(join(folder, BUILT)), false);
});

test("a failed compilation leaves no half-made addon, and shows the compiler's words", (t) => {
  const folder = packageCopy(t);
  const { status, said } = install(folder, { CFLAGS: "-include no-such-header.h" });
  assert.equal(status, 1);
  assert.match(said, /no-such-header\.h[\s\S]*does not compile/);
  assert.equal(existsSync(join(folder, BUILT)), false);
});

test("a package whose scripts were not run says what to run", (t) => {
  const folder = packageCopy(t);
  cpSync(join(ROOT, "dist/src"), join(folder, "dist/src"), { recursive: true });
  const script = `
    import { addon } from ${JSON.stringify(join(folder, "dist/src/sys/addon.js"))};
    try { addon(); } catch (error) { console.log(error.message); }`;
  const ask = () => {
    const env = { ...process.env };
    delete env.MILLRACE_ADDON;
    const args = ["--input-type=module", "-e", script];
    return spawnSync(process.execPath, args, { encoding: "utf8", env }).stdout;
  };
  assert.match(ask(), /not built \(npm's --ignore-scripts .* run: node .*scripts\/install\.js\n/);
  install(folder);
  assert.equal(ask(), "");
});
