/**
 * `npm ci` runs this: builds the native parts with plain `cc`, no download, no build tool.
 *
 *   node scripts/install.js                     builds native/build/* of what has a newer source or header
 *   node scripts/install.js --prebuild          builds prebuilds/linux-ARCH/* for a package
 *   node scripts/install.js --output F [PART]   builds F, for tests of other builds (CFLAGS=-fsanitize=…)
 *
 * Parts: addon (the default), shim, launcher. A published package brings them prebuilt, which is
 * used where there is no compiler; where there is one, they are of this machine's processor and C library. `$CC` chooses another compiler, `$CFLAGS` adds options.
 */
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const thisFile = fileURLToPath(import.meta.url);
const root = fileURLToPath(new URL("..", import.meta.url));
const nativeFolder = join(root, "native");
const buildFolder = join(nativeFolder, "build");
const prebuiltFolder = join(root, "prebuilds", `linux-${process.arch}`);
const headerFolder = findHeaders();

const COMMON = "-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror";

/** What is built: from `native/NAME/*.c`, and from the headers of the folders in `also`. */
const PARTS = [
  {
    name: "addon",
    title: "the native addon",
    product: "millrace.node",
    // Their own warnings are not ours to fix.
    options: ["-fPIC", "-pthread", "-isystem", headerFolder ?? ""],
    link: ["-shared"],
    libraries: [],
    also: [],
  },
  {
    name: "shim",
    title: "the preload library",
    product: "libmillrace.so",
    options: ["-fPIC", "-pthread", "-fvisibility=hidden"],
    link: ["-shared"],
    libraries: ["-ldl"],
    also: ["include"],
  },
  {
    name: "launcher",
    title: "the launcher",
    product: "millrace-run",
    options: ["-fPIE"],
    link: ["-pie"],
    libraries: [],
    also: ["shim"],
  },
];

/** Where npm put the headers of Node-API: beside this package, or inside it; null: nowhere. */
function findHeaders() {
  try {
    return createRequire(import.meta.url)("node-api-headers").include_dir;
  } catch {
    return null;
  }
}

/** One line on the error stream, and the end. */
function fail(message) {
  console.error(`millrace: ${message}`);
  process.exit(1);
}

function filesOf(part) {
  return [part.name, ...part.also].flatMap((name) => {
    const folder = join(nativeFolder, name);
    const files = existsSync(folder) ? readdirSync(folder) : [];
    const wanted = files.filter((file) => name === part.name || file.endsWith(".h"));
    return wanted.map((file) => join(folder, file));
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

/** Runs the compiler: what it said when it failed, otherwise nothing. */
function run(args) {
  return new Promise((resolve) => {
    const child = spawn(compiler[0], [...compiler.slice(1), ...args], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text) => {
      said += text;
    });
    child.on("error", (error) => resolve(error.message));
    child.on("close", (status) => resolve(status === 0 ? undefined : said));
  });
}

function failOf(part, said) {
  console.error(said.trim());
  const missing = /fatal error: .*\.h/.test(said);
  const install = missing ? "; install the C library headers: apt-get install libc6-dev" : "";
  fail(`${part.title} does not compile with ${compiler.join(" ")}${install}`);
}

/**
 * Compiles what is newer than its object, as many at once as there are processors. Objects of another
 * compiler or of other options are made again.
 */
async function compileObjects(part, sources, headers, options, folder) {
  const commandFile = join(folder, "command");
  const command = [...compiler, ...options].join(" ");
  mkdirSync(folder, { recursive: true });
  const isSame = existsSync(commandFile) && readFileSync(commandFile, "utf8") === command;
  if (!isSame) rmSync(commandFile, { force: true });
  const objectOf = (source) => join(folder, basename(source).replace(/c$/, "o"));
  const pending = sources.filter(
    (source) => !isSame || isNewer([source, ...headers, thisFile], objectOf(source)),
  );
  async function work() {
    for (let source = pending.pop(); source !== undefined; source = pending.pop()) {
      const temporary = `${objectOf(source)}.${process.pid}`;
      const said = await run([...options, "-c", "-o", temporary, source]);
      if (said !== undefined) {
        rmSync(temporary, { force: true });
        pending.length = 0;
        return said;
      }
      renameSync(temporary, objectOf(source));
    }
  }
  const failures = await Promise.all(Array.from({ length: availableParallelism() }, work));
  const said = failures.find((failure) => failure !== undefined);
  if (said !== undefined) failOf(part, said);
  writeFileSync(commandFile, command);
  return sources.map(objectOf);
}

/** Links beside the target and renames, so that no process ever loads half a file. */
async function compile(part, sources, headers, target) {
  const isKept = dirname(target) === buildFolder;
  const folder = isKept ? join(buildFolder, "objects", part.name) : `${target}.objects`;
  const temporary = `${target}.${process.pid}`;
  mkdirSync(dirname(target), { recursive: true });
  const flags = words(process.env.CFLAGS);
  const options = [...words(COMMON), ...part.options, ...flags];
  if (!isKept) process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const objects = await compileObjects(part, sources, headers, options, folder);
  const last = [...part.link, "-pthread", ...flags, "-o", temporary, ...objects];
  const said = await run([...last, ...part.libraries]);
  if (said !== undefined) {
    rmSync(temporary, { force: true });
    failOf(part, said);
  }
  renameSync(temporary, target);
}

/** Builds one part where a source is newer than the target. */
async function build(part, target) {
  const files = filesOf(part);
  const sources = files.filter((file) => file.endsWith(".c")).sort();
  const canFallBack =
    dirname(target) === buildFolder && existsSync(join(prebuiltFolder, part.product));
  const needsHeaders = part.name === "addon";
  if (sources.length === 0 || (needsHeaders && headerFolder === null)) {
    if (canFallBack || !needsHeaders) return;
    fail("node-api-headers is missing; run npm ci first");
  }
  if (!isNewer([...files, thisFile], target)) return;
  if (!hasCompiler()) {
    if (canFallBack) return;
    fail(
      `there is no C compiler (${compiler[0]}); install one: apt-get install gcc libc6-dev, then run npm ci again`,
    );
  }
  const startMs = performance.now();
  const headers = files.filter((file) => file.endsWith(".h"));
  await compile(part, sources, headers, target);
  const tookMs = Math.round(performance.now() - startMs);
  console.log(`millrace: built ${part.title} in ${tookMs} ms`);
}

async function main() {
  if (process.platform !== "linux") {
    fail(`Millrace runs on Linux only; this is ${process.platform}`);
  }
  const [option, output, name = "addon"] = process.argv.slice(2);
  if (option === "--output" && output !== undefined) {
    const part = PARTS.find((one) => one.name === name);
    if (part === undefined)
      fail(`no part ${name}; expected ${PARTS.map((one) => one.name).join(", ")}`);
    await build(part, output);
    return;
  }
  const folder = option === "--prebuild" ? prebuiltFolder : buildFolder;
  for (const part of PARTS) await build(part, join(folder, part.product));
}

await main();
