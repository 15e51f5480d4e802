/** What `npm pack` ships, unpacked into a project of its own and used as its users would. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { requireTools } from "../support/tools.js";

requireTools("cc", "npm", "tar");
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const PARTS =
  "package.json README.md CHANGELOG.md LICENSE bin dist/src dist/bundle native/addon scripts/install.js docs web";

const folder = mkdtempSync(join(tmpdir(), "millrace-package-"));
const project = join(folder, "project");
const installed = join(project, "node_modules", "millrace");
let shipped: string[] = [];

before(() => {
  const staged = join(folder, "staged");
  for (const part of PARTS.split(" ")) {
    cpSync(join(ROOT, part), join(staged, part), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(staged, "node_modules"));
  run(staged, process.execPath, "scripts/install.js", "--prebuild"); // as `prepack` does
  const packed = JSON.parse(run(staged, "npm", "pack", "--ignore-scripts", "--json"));
  const { filename, files } = Array.isArray(packed) ? packed[0] : Object.values(packed)[0];
  shipped = files.map((file: { path: string }) => file.path);
  mkdirSync(installed, { recursive: true });
  run(installed, "tar", "xzf", join(staged, filename), "--strip-components=1");
  mkdirSync(join(project, "node_modules", "@types"));
  for (const dependency of ["commander", "node-api-headers", "@types/node", "undici-types"]) {
    symlinkSync(join(ROOT, "node_modules", dependency), join(project, "node_modules", dependency));
  }
  writeFileSync(join(project, "package.json"), '{"type":"module"}');
});

after(() => rmSync(folder, { recursive: true }));

test("the package has the library, the prebuilt addon and the manual, and nothing else", () => {
  for (const wanted of [
    "dist/bundle/index.js",
    "dist/bundle/node/stack-side.js",
    "dist/src/index.d.ts",
    "dist/src/cli/main.js",
    `prebuilds/linux-${process.arch}/millrace.node`,
    "docs/api.md",
    "bin/millrace.js",
    "LICENSE",
  ]) {
    assert.ok(shipped.includes(wanted), wanted);
  }
  const unwanted = shipped.filter((path) =>
    /\.test\.|\.map$|fixture|fake-|corpus|^(test|dist\/test|dist\/bench|dist\/fuzz|fuzz|bench|src)\//.test(
      path,
    ),
  );
  assert.deepEqual(unwanted, []);
});

test("its install script needs no compiler", () => {
  assert.equal(
    run(installed, "env", "CC=no-such-compiler", "npm", "run", "--silent", "install"),
    "",
  );
});

test("where there is a compiler, the addon is compiled for the machine at hand", () => {
  const script = join(installed, "scripts", "install.js");
  const addon = join(folder, "compiled.node");
  const said = run(project, process.execPath, script, "--output", addon);
  assert.match(said, /^millrace: built the native addon/);
});

const PROGRAM = `
import { createHost, simLink, type Host } from "millrace";
import { type ScriptedPeerOptions, ScriptHost, Simulation, runScript } from "millrace/sim";
import { Drop, udp } from "millrace/wire";

const cable = simLink();
const a: Host = createHost({ device: cable.a, addresses: ["10.0.0.1/24"] });
const b: Host = createHost({ device: cable.b, addresses: ["10.0.0.2/24"] });
const { replies } = await a.ping("10.0.0.2", { count: 1 });
a.close();
b.close();
export type Used = [ScriptedPeerOptions];
console.log(replies.length, new Simulation().nowUs, typeof runScript, typeof ScriptHost);
console.log(udp.check(new Uint8Array(4), 0, 4) === Drop.NONE);
`;

test("every subpath resolves, for node and for tsc", () => {
  writeFileSync(join(project, "program.ts"), PROGRAM);
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const options = "--module nodenext --moduleResolution nodenext --strict --target es2023";
  run(project, process.execPath, tsc, ...options.split(" "), "--types", "node", "program.ts");
  assert.equal(
    run(project, process.execPath, "program.js"),
    "1 1000000 function function\nfalse\n",
  );
});

const SERVER = `
import net from "node:net";
import { explain } from "millrace/register";
const server = net.createServer((socket) => socket.end("hello")).listen(0, "127.0.0.1", async () => {
  const client = net.connect(server.address().port, "127.0.0.1");
  for await (const data of client) console.log(explain(server).by, explain(client).by, String(data));
  server.close();
});
`;

test("a program that is preloaded with it is accelerated, and has one Millrace", () => {
  writeFileSync(join(project, "server.mjs"), SERVER);
  const node = ["MILLRACE_LOOPBACK=1", process.execPath, "--import", "millrace/register"];
  assert.equal(run(project, "env", ...node, "server.mjs"), "both millrace hello\n");
});

test("the command line starts and finds its addon", () => {
  const bin = join(installed, "bin", "millrace.js");
  assert.match(run(project, process.execPath, bin, "--help"), /capture/);
  assert.match(run(project, process.execPath, bin, "doctor"), /addon/);
});

/** Standard output of a program that must succeed. */
function run(cwd: string, program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: "utf8" });
  if (error !== undefined) throw error;
  assert.equal(status, 0, `${program} ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}
