/** `millrace run` where limits leave little or no room for an engine: what it says, and what becomes of the program. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { type Ended, HERE, RunWorld } from "../support/run-world.js";

await enterNamespace(import.meta.url, "python3", "prlimit", "unshare");

/** Both ends of a connection. */
const ECHO = `
import socket
l = socket.create_server(("${HERE}", 0))
c = socket.create_connection(l.getsockname())
s, _ = l.accept()
s.sendall(b"heard")
print(c.recv(9).decode())
`;

const world = RunWorld.open();
const WAYS = [[world.millrace], [process.execPath, `${world.millrace}.js`]];

const run = (limits: readonly string[], way: readonly string[], ...words: string[]) =>
  world.plain("prlimit", ...limits, ...way, ...words).ended;

const sayFirst = ({ status, out, err }: Ended): unknown[] => [status, out, ...err.split("\n")];

const neededFor = (what: string, most: number): string =>
  `millrace: ${what} needs a limit of 192 open files (RLIMIT_NOFILE), and it is ${most} here; raise the hard limit: ` +
  "ulimit -Hn by root, LimitNOFILE= of a service, nofile in /etc/security/limits.conf";

test("too few descriptors for an engine: it is said how many are needed, and the program runs", async () => {
  for (const most of [24, 32, 64, 128, 191]) {
    // Node.js itself takes some twenty.
    for (const way of most < 64 ? [WAYS[0]!] : WAYS) {
      const limits = [`--nofile=${most}:${most}`];
      assert.deepEqual(sayFirst(await run(limits, way, "run", "echo", "here")), [
        0,
        "here\n",
        neededFor("the engine", most),
        "millrace: there is no engine: the sockets of echo stay with the kernel",
        "",
      ]);
    }
  }
});

test("what was asked of the engine cannot be had without one: status 1", async () => {
  for (const options of [
    ["--address", "10.77.0.9"],
    ["--nic", "lo"],
  ]) {
    const ended = await run(["--nofile=64:64"], WAYS[0]!, "run", ...options, "echo", "here");
    assert.deepEqual(sayFirst(ended), [1, "", neededFor("the engine", 64), ""]);
  }
});

test("all commands of Node.js's say so: status 3", async () => {
  for (const way of WAYS) {
    for (const words of [["engine"], ["stat"], ["doctor"], ["run", "--start-only"]]) {
      const most = way.length > 1 ? 64 : 16;
      const ended = await run([`--nofile=${most}:${most}`], way, ...words);
      assert.deepEqual(sayFirst(ended), [3, "", neededFor("Node.js", most), ""], words.join(" "));
    }
  }
});

test("soft limits are the program's: the engine has what the hard ones allow", async () => {
  const limits = ["--nofile=20:", "--fsize=8192:", "--as=2000000000:", "--data=100000000:"];
  for (const limit of limits) {
    const running = world.plain("prlimit", limit, world.millrace, "run", "python3", "-c", ECHO);
    assert.deepEqual(sayFirst(await running.ended), [0, "heard\n", ""], limit);
    const engine = (await world.stat()).find((line) => line.kind === "engine")!;
    process.kill(engine.pid);
    while ((await world.stat()).length > 0) {}
  }
});

test("a limit that shared memory exceeds is named", async () => {
  // Newer versions of Node.js take less address space: 4 GB do for 26, and not for 24.
  const limits = ["--fsize=8192:8192", "--as=2000000000:2000000000"];
  const expected = [
    /memfd_create EFBIG: file too large; .*: ulimit -f; all/,
    /see ulimit -v\n.*no engine/,
  ];
  for (const [i, limit] of limits.entries()) {
    const socket = "import socket; socket.socket().listen(); print('runs')";
    const { status, out, err } = await run([limit], WAYS[0]!, "run", "python3", "-c", socket);
    assert.deepEqual([status, out], [0, "runs\n"], err);
    assert.match(err, expected[i]!);
    const engine = (await world.stat()).find((line) => line.kind === "engine");
    if (engine !== undefined) process.kill(engine.pid);
    while ((await world.stat()).length > 0) {}
  }
});

test("a Node.js, or an engine, that something ends while it starts", async () => {
  const node = join(world.folder, "node");
  writeFileSync(node, "#!/bin/sh\nkill -KILL $$\n", { mode: 0o755 });
  world.env.MILLRACE_NODE = node;
  try {
    const { status, out, err } = await run([], WAYS[0]!, "run", "echo", "here");
    assert.deepEqual([status, out], [0, "here\n"]);
    assert.match(
      err,
      /^millrace: Node.js was ended by a signal \(Killed\): is there memory .*\n.*no engine: /,
    );
  } finally {
    world.env.MILLRACE_NODE = process.execPath;
  }
});

test("a folder for the engine that cannot be made: why, and what to do", async () => {
  const folder = join(world.folder, "runtime");
  mkdirSync(folder);
  const mounted = `mount -t tmpfs -o ro none ${folder} && exec "$0" "$@"`;
  const readOnly = ["unshare", "-m", "sh", "-c", mounted];
  const mend = "set XDG_RUNTIME_DIR to a folder of this user's, or unset it";
  const rows: [string, string[], string][] = [
    [folder, readOnly, `mkdir EROFS: read-only file system; ${folder}/millrace; ${mend}`],
    ["/etc/passwd", [], `mkdir ENOTDIR: not a directory; /etc/passwd/millrace; ${mend}`],
  ];
  for (const [runtime, first, why] of rows) {
    const words = [...first, "env", `XDG_RUNTIME_DIR=${runtime}`, world.millrace];
    const ended = await world.plain(...words, "run", "echo", "here").ended;
    assert.deepEqual(sayFirst(ended), [1, "", `millrace: ${why}`, ""]);
  }
});
