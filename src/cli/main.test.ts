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

test("`help help` is `help`", async () => {
  const [one, other] = [fakeWorld(), fakeWorld()];
  assert.equal(await run(["help", "help"], one), 0);
  assert.equal(await run(["help"], other), 0);
  assert.equal(one.outText(), other.outText());
});

test("wrong usage: status 2, said by the command, with where its help is", async () => {
  const rows: [string, string][] = [
    ["--nosuch", "millrace: unknown option '--nosuch'\n(see millrace --help)\n"],
    ["stat --nosuch", "millrace stat: unknown option '--nosuch'\n(see millrace stat --help)\n"],
    [
      "perf server x",
      "millrace perf server: too many arguments for 'server'. Expected 0 arguments but got 1.\n(see millrace perf server --help)\n",
    ],
    [
      "xdp check",
      "millrace xdp check: missing required argument 'object'\n(see millrace xdp check --help)\n",
    ],
    [
      "engine --config=",
      "millrace engine: option '--config <FILE>' needs a value that is not empty\n(see millrace engine --help)\n",
    ],
    [
      "engine --nic=",
      "millrace engine: option '--nic <NIC>' needs a value that is not empty\n(see millrace engine --help)\n",
    ],
    [
      "capture -r a.pcap -w=",
      "millrace capture: option '-w, --write <file>' needs a value that is not empty\n(see millrace capture --help)\n",
    ],
    [
      "run --check-rules=",
      "millrace run: option '--check-rules <FILE>' needs a value that is not empty\n(see millrace run --help)\n",
    ],
  ];
  for (const [words, expected] of rows) {
    const world = fakeWorld();
    const args = words.split(" ").flatMap((one) => (one === "-w=" ? ["-w", ""] : [one]));
    assert.equal(await run(args, world), 2, words);
    assert.equal(world.errText(), expected);
    assert.equal(world.outText(), "");
  }
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
