/**
 * Runs the tests: `node scripts/test.js [--node PATH] [--not PART]… [PART…]`.
 *
 * With no argument: every `*.test.js` under dist/src and dist/test. A part of a path selects
 * (`src/tcp`, `test/interop`); `--not` leaves out. Each file is a process of its own (preloads, addons, namespaces need it).
 * The packages that `test/node/packages.test.js` runs are installed first when they are not there.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const USAGE = `Usage: node scripts/test.js [--node PATH] [--not PART]... [PART...]

Runs the tests that were built, or those whose path has a PART in it: src/tcp, test/run/stat
  --node PATH  run them with another Node.js
  --not PART   leave these out; several allowed
  -h, --help   print this help
Exit status: 0 all passed, 1 some did not, 2 wrong usage or no such test`;

function refuse(text) {
  console.error(`test: ${text}\n(see node scripts/test.js --help)`);
  process.exit(2);
}

const root = fileURLToPath(new URL("..", import.meta.url));
const args = process.argv.slice(2);
let node = process.execPath;
const wanted = [];
const unwanted = [];
while (args.length > 0) {
  const arg = args.shift();
  if (arg === "--help" || arg === "-h") {
    console.log(USAGE);
    process.exit(0);
  } else if (arg === "--node" || arg === "--not") {
    const value = args.shift();
    if (value === undefined) refuse(`needs a value: ${arg}`);
    if (arg === "--node") node = value;
    else unwanted.push(value);
  } else if (arg.startsWith("-")) refuse(`unknown option ${arg}`);
  else wanted.push(arg);
}

const found = ["src", "test"]
  .flatMap((folder) => {
    const base = join(root, "dist", folder);
    return readdirSync(base, { recursive: true }).map((file) => join(base, String(file)));
  })
  .filter((file) => file.endsWith(".test.js"))
  .map((file) => relative(root, file))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .filter((file) => !unwanted.some((part) => file.includes(part)))
  .sort();
if (found.length === 0) {
  console.error(`no test file matches ${wanted.join(" ")}`);
  process.exit(2);
}

const packages = join("test", "node-packages");
const needsPackages = found.some((file) => /node\/(packages|suites)\.test\.js$/.test(file));
if (needsPackages && !existsSync(join(root, packages, "node_modules"))) {
  console.error(`installing the packages of ${packages}, which tests run`);
  const npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", packages];
  const installed = spawnSync("npm", npm, { cwd: root, stdio: "inherit" });
  if (installed.status !== 0) process.exit(1);
}

const { status, signal } = spawnSync(
  node,
  ["--test", "--test-concurrency=2", "--test-reporter=spec", ...found],
  { cwd: root, stdio: "inherit", env: { ...process.env, MILLRACE_CHECKED: "1" } },
);
if (signal !== null) console.error(`the test runner was ended by ${signal}`);
process.exit(status ?? 1);
