import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { fakeWorld } from "./fake-world.js";
import { run } from "./main.js";

const PROGRAM = fileURLToPath(new URL("../../../bin/millrace.js", import.meta.url));
const TCP = fileURLToPath(new URL("../../../test/vectors/captures/zeek/tcp.pcap", import.meta.url));

const millrace = (...args: string[]) =>
  spawnSync(process.execPath, [PROGRAM, ...args], { encoding: "utf8" });

test("help begins with examples and names the commands", async () => {
  const world = fakeWorld();
  assert.equal(await run(["--help"], world), 0);
  assert.match(world.outText(), /^Examples:\n {2}millrace run nc/);
  assert.match(world.outText(), /\n {2}capture \[options\] \[filter\.\.\.\]/);
  assert.equal(world.errText(), "");
});

test("`help SUB` and `SUB --help` are the same", async () => {
  const [one, other] = [fakeWorld(), fakeWorld()];
  assert.equal(await run(["help", "capture"], one), 0);
  assert.equal(await run(["capture", "--help"], other), 0);
  assert.equal(one.outText(), other.outText());
  assert.match(one.outText(), /^Examples:\n {2}millrace capture -r/);
});

test("an unknown command is refused, with a suggestion", async () => {
  const world = fakeWorld();
  assert.equal(await run(["docter"], world), 2);
  assert.match(world.errText(), /unknown command 'docter'\n\(Did you mean doctor\?\)/);
  assert.equal(world.outText(), "");
});

test("help of what is no command names it", async () => {
  const world = fakeWorld();
  assert.equal(await run(["help", "nosuch"], world), 2);
  assert.match(
    world.errText(),
    /^millrace help: there is no command "nosuch"; there are capture, .*help\n$/,
  );
  assert.equal(world.outText(), "");
  assert.equal(await run(["help"], fakeWorld()), 0);
});

test("no command: the help, on the error stream, status 2", async () => {
  const world = fakeWorld();
  assert.equal(await run([], world), 2);
  assert.match(world.errText(), /^Examples:/);
});

test("the program as a process: version, statuses, streams", () => {
  const version = millrace("--version");
  assert.match(version.stdout, /^\d+\.\d+\.\d+/);
  assert.equal(version.status, 0);
  const capture = millrace("capture", "-r", TCP, "-q");
  assert.equal(capture.status, 0);
  assert.equal(capture.stdout.split("\n").length, 13);
  assert.match(capture.stderr, /12 packets captured\n$/);
  assert.equal(millrace("capture").status, 2);
  assert.equal(millrace("capture", "-r", "/no/such/file").status, 1);
});

test("`| head`: the program ends without a complaint when its reader has", () => {
  const command = `"${process.execPath}" "${PROGRAM}" capture -r - -tttt -v -XX | head -n 1`;
  const file = spawnSync(process.execPath, ["-e", bigCapture()], { maxBuffer: 1e9 }).stdout;
  const { stdout, stderr, status } = spawnSync("sh", ["-c", command], { input: file });
  assert.equal(status, 0);
  assert.equal(stdout.toString().split("\n").length, 2);
  assert.doesNotMatch(stderr.toString(), /EPIPE|Error/);
});

/** A program that writes a capture of 20,000 packets, more than pipes hold. */
function bigCapture(): string {
  return `
    const file = require("node:fs").readFileSync(${JSON.stringify(TCP)});
    const out = [file];
    for (let i = 0; i < 1700; i++) out.push(file.subarray(24));
    process.stdout.write(Buffer.concat(out));`;
}

test("Ctrl-C on a process that waits for its input: summary and status 0", {
  timeout: 120_000,
}, async () => {
  const child = spawn(process.execPath, [PROGRAM, "capture", "-r", "-"], { stdio: "pipe" });
  let talk = "";
  child.stderr.on("data", (data: Buffer) => {
    talk += data.toString();
  });
  child.stdout.resume();
  const header = Buffer.from("d4c3b2a1020004000000000000000000ffff000001000000", "hex");
  child.stdin.write(Buffer.concat([header, Buffer.alloc(16)]));
  child.stdout.once("data", () => child.kill("SIGINT"));
  const status = await new Promise((resolve) => child.on("close", resolve));
  assert.equal(status, 0);
  assert.match(talk, /1 packet captured\n$/);
});
