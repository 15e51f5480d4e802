/** The engine is killed: programs that wait are told at once, and new sockets are the kernel's. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { buildProgram } from "../support/c-program.js";
import { enterNamespace } from "../support/namespace.js";
import { until } from "../support/until.js";

await enterNamespace(import.meta.url, "cc");

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

const EXPECTED = `connect(nowhere, nobody(), home_bytes): EINPROGRESS
waiting
recv ECONNRESET, accept ECONNRESET, datagram ENETDOWN, send ECONNRESET, poll 1
epoll_wait ERR HUP, nested 1, select 1, connect ECONNRESET
recv(a, buffer, 1, 0): 0
send(a, "x", 1, MSG_NOSIGNAL): EPIPE
recv(u, buffer, 1, MSG_DONTWAIT): ENETDOWN
sendto(u, "x", 1, 0, at(9), home_bytes): ENETDOWN
close(a): 0
bind(fresh, (struct sockaddr *)&local, bytes): 0
listen(fresh, 1): 0
getsockname(fresh, (struct sockaddr *)&local, &bytes): 0
connect(to, (struct sockaddr *)&local, bytes): 0
`;

async function killed(t: TestContext, profile: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-death-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const socket = join(folder, "engine.sock");
  const words = [join(ROOT, "bin", "millrace.js"), "engine", "--keep", "--socket", socket];
  const engine = spawn(process.execPath, words, { stdio: "ignore" });
  t.after(() => engine.kill("SIGKILL"));
  await until(() => existsSync(socket), "an engine");
  const program = spawn(buildProgram("orphans", folder), ["10.77.0.1"], {
    env: {
      ...process.env,
      LD_PRELOAD: join(ROOT, "native", "build", "libmillrace.so"),
      MILLRACE_ENGINE: socket,
      MILLRACE_PROFILE: profile,
    },
  });
  t.after(() => program.kill("SIGKILL"));
  let said = "";
  let warned = "";
  program.stdout.on("data", (data: Buffer) => {
    said += data.toString();
    if (said.endsWith("\nwaiting\n")) engine.kill("SIGKILL");
  });
  program.stderr.on("data", (data: Buffer) => {
    warned += data.toString();
  });
  await once(program, "close");
  assert.equal(said, EXPECTED);
  assert.match(warned, /^millrace: the engine has ended; .*\n$/);
}

for (const profile of ["latency", "balanced", "idle"]) {
  test(`${profile}: every call that waits ends with an error, and the program goes on with the kernel`, (t) =>
    killed(t, profile));
}
