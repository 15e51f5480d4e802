/**
 * `npm ci` runs this: builds the native addon with plain `cc`, no download, no build tool.
 *
 *   node scripts/install.js              builds native/build/millrace.node when a source is newer
 *   node scripts/install.js --prebuild   builds prebuilds/linux-ARCH/millrace.node for a package
 *   node scripts/install.js --output F   builds F, for tests of other builds (CFLAGS=-fsanitize=…)
 *
 * A published package brings the prebuilt addon, which is used where there is no compiler. `$CC`
 * chooses another compiler, `$CFLAGS` adds options.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const sourceFolder = join(root, "native", "addon");
const headerFolder = join(root, "node_modules", "node-api-headers", "include");
const prebuilt = join(root, "prebuilds", `linux-${process.arch}`, "millrace.node");

const standard = join(root, "native", "build", "millrace.node");

/** One line on the error stream, and the end. */
function fail(message) {
  console.error(`millrace: ${message}`);
  process.exit(1);
}

function isNewer(sources, target) {
  if (!existsSync(target)) return true;
  const builtMs = statSync(target).mtimeMs;
  return sources.some((file) => statSync(file).mtimeMs > builtMs);
}

const words = (text) => (text ?? "").split(" ").filter((word) => word !== "");
const compiler = words(process.env.CC || "cc");

function hasCompiler() {
  return spawnSync(compiler[0], ["--version"], { stdio: "ignore" }).status === 0;
}

/** Compiles beside the target and renames, so that no process ever loads half a file. */
function compile(sources, target) {
  const temporary = `${target}.${process.pid}`;
  mkdirSync(dirname(target), { recursive: true });
  const options = "-std=c11 -D_GNU_SOURCE -O2 -fPIC -shared -pthread -Wall -Wextra -Werror";
  const { status, stderr } = spawnSync(
    compiler[0],
    [
      ...compiler.slice(1),
      ...words(options),
      ...words(process.env.CFLAGS),
      // Their own warnings are not ours to fix.
      "-isystem",
      headerFolder,
      "-o",
      temporary,
      ...sources,
    ],
    { encoding: "utf8" },
  );
  if (status !== 0) {
    rmSync(temporary, { force: true });
    console.error(stderr.trim());
    const missing = /fatal error: .*\.h/.test(stderr);
    const install = missing ? "; install the C library headers: apt-get install libc6-dev" : "";
    fail(`the native addon does not compile with ${compiler.join(" ")}${install}`);
  }
  renameSync(temporary, target);
}

function targetOf(args) {
  if (args[0] === "--prebuild") return prebuilt;
  return args[0] === "--output" && args[1] !== undefined ? args[1] : standard;
}

function main() {
  if (process.platform !== "linux") {
    fail(`Millrace runs on Linux only; this is ${process.platform}`);
  }
  const target = targetOf(process.argv.slice(2));
  const canFallBack = target === standard && existsSync(prebuilt);
  if (!existsSync(sourceFolder) || !existsSync(headerFolder)) {
    if (canFallBack) return;
    fail(`${headerFolder} is missing; run npm ci (with development dependencies) first`);
  }
  const files = readdirSync(sourceFolder).map((file) => join(sourceFolder, file));
  if (!isNewer([...files, fileURLToPath(import.meta.url)], target)) return;
  if (!hasCompiler()) {
    if (canFallBack) return;
    fail(
      `there is no C compiler (${compiler[0]}); install one: apt-get install gcc libc6-dev, then run npm ci again`,
    );
  }
  const startMs = performance.now();
  const sources = files.filter((file) => file.endsWith(".c")).sort();
  compile(sources, target);
  const tookMs = Math.round(performance.now() - startMs);
  console.log(`millrace: built the native addon in ${tookMs} ms`);
}

main();
