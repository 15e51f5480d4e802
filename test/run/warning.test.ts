/** What the library says on a program's stderr does the program no harm. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const LIBRARY = fileURLToPath(new URL("../../../native/build/libmillrace.so", import.meta.url));

const UNHEARD = `
import os, signal, socket, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
if sys.argv[1] == "pipe":
    reads, writes = os.pipe()
    os.dup2(writes, 2)
    os.close(reads)
else:
    ours, theirs = socket.socketpair()
    os.dup2(ours.fileno(), 2)
    theirs.close()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print("it lives")
`;

for (const kind of ["pipe", "socket"]) {
  test(`a program whose stderr is a ${kind} that nobody reads is not ended by a warning`, () => {
    const env = {
      ...process.env,
      LD_PRELOAD: LIBRARY,
      MILLRACE_ENGINE: "/nowhere/engine.sock",
    };
    const { stdout, signal } = spawnSync("python3", ["-c", UNHEARD, kind], { env });
    assert.deepEqual([stdout.toString(), signal], ["it lives\n", null]);
  });
}

test("a warning reaches who reads", () => {
  const env = { ...process.env, LD_PRELOAD: LIBRARY, MILLRACE_ENGINE: "/nowhere/engine.sock" };
  const code =
    "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(('127.0.0.1', 0))";
  const { stderr } = spawnSync("python3", ["-c", code], { env });
  assert.match(
    stderr.toString(),
    /^millrace: cannot connect the engine at \/nowhere\/engine\.sock: /,
  );
});
