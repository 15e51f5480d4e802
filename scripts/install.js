/**
 * `npm ci` runs this: builds the native parts with plain `cc`, no download, no build tool.
 *
 *   node scripts/install.js                     builds native/build/* of what has a newer source
 *   node scripts/install.js --prebuild          builds prebuilds/linux-ARCH/* for a package
 *   node scripts/install.js --output F [PART]   builds F, for tests of other builds (CFLAGS=-fsanitize=…)
 *
 * Parts: addon (the default), shim, launcher. A published package brings them prebuilt, which is
 * used where there is no compiler. `$CC` chooses another compiler, `$CFLAGS` adds options.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const nativeFolder = join(root, "native");
const buildFolder = join(nativeFolder, "build");
const prebuiltFolder = join(root, "prebuilds", `linux-${process.arch}`);
const headerFolder = join(root, "node_modules", "node-api-headers", "include");

const COMMON = "-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror";

/** What is built: from `native/NAME/*.c`, and from the headers of the folders in `also`. */
const PARTS = [
  {
    name: "addon",
    title: "the native addon",
    product: "millrace.node",
    // Their own warnings are not ours to fix.
    options: ["-fPIC", "-shared", "-pthread", "-isystem", headerFolder],
    libraries: [],
    also: [],
  },
  {
    name: "shim",
    title: "the preload library",
    product: "libmillrace.so",
    options: ["-fPIC", "-shared", "-pthread", "-fvisibility=hidden"],
    libraries: ["-ldl"],
    also: ["include"],
  },
  {
    name: "launcher",
    title: "the launcher",
    product: "millrace-run",
    options: ["-fPIE", "-pie"],
    libraries: [],
    also: [],
  },
];

/** One line on the error stream, and the end. */
function fail(message) {
  console.error(`millrace: ${message}`);
  process.exit(1);
}

function filesOf(part) {
  return [part.name, ...part.also].flatMap((name) => {
    const folder = join(nativeFolder, name);
    return existsSync(folder) ? readdirSync(folder).map((file) => join(folder, file)) : [];
  });
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
function compile(part, sources, target) {
  const temporary = `${target}.${process.pid}`;
  mkdirSync(dirname(target), { recursive: true });
  const options = [...words(COMMON), ...part.options, ...words(process.env.CFLAGS)];
  const args = [...compiler.slice(1), ...options, "-o", temporary, ...sources, ...part.libraries];
  const { status, stderr } = spawnSync(compiler[0], args, { encoding: "utf8" });
  if (status !== 0) {
    rmSync(temporary, { force: true });
    console.error(stderr.trim());
    const missing = /fatal error: .*\.h/.test(stderr);
    const install = missing ? "; install the C library headers: apt-get install libc6-dev" : "";
    fail(`${part.title} does not compile with ${compiler.join(" ")}${install}`);
  }
  renameSync(temporary, target);
}

/** Builds one part where a source is newer than the target. */
function build(part, target) {
  const files = filesOf(part);
  const sources = files.filter((file) => file.endsWith(".c")).sort();
  const canFallBack =
    dirname(target) === buildFolder && existsSync(join(prebuiltFolder, part.product));
  const needsHeaders = part.name === "addon";
  if (sources.length === 0 || (needsHeaders && !existsSync(headerFolder))) {
    if (canFallBack || !needsHeaders) return;
    fail(`${headerFolder} is missing; run npm ci (with development dependencies) first`);
  }
  if (!isNewer([...files, fileURLToPath(import.meta.url)], target)) return;
  if (!hasCompiler()) {
    if (canFallBack) return;
    fail(
      `there is no C compiler (${compiler[0]}); install one: apt-get install gcc libc6-dev, then run npm ci again`,
    );
  }
  const startMs = performance.now();
  compile(part, sources, target);
  const tookMs = Math.round(performance.now() - startMs);
  console.log(`millrace: built ${part.title} in ${tookMs} ms`);
}

function main() {
  if (process.platform !== "linux") {
    fail(`Millrace runs on Linux only; this is ${process.platform}`);
  }
  const [option, output, name = "addon"] = process.argv.slice(2);
  if (option === "--output" && output !== undefined) {
    const part = PARTS.find((one) => one.name === name);
    if (part === undefined)
      fail(`no part ${name}; expected ${PARTS.map((one) => one.name).join(", ")}`);
    build(part, output);
    return;
  }
  const folder = option === "--prebuild" ? prebuiltFolder : buildFolder;
  for (const part of PARTS) build(part, join(folder, part.product));
}

main();
