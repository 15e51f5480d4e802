/** What looks like a running engine to the launcher and to `millrace stat`, in the test's own process. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { pathsBeside } from "../../src/engine/socket-path.js";
import type { StatLine } from "../../src/engine/stat-message.js";
import { closeFd } from "../../src/sys/fd.js";
import { acceptUnix, listenUnix } from "../../src/sys/unix-socket.js";

/** Listens until the test ends; the path of its control socket. */
export async function fakeEngine(t: TestContext, more: readonly StatLine[] = []): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-engine-"));
  const paths = pathsBeside(join(folder, "e.sock"));
  const fd = listenUnix({ path: paths.control }, 64);
  const timer = setInterval(() => {
    for (let one = acceptUnix(fd); one >= 0; one = acceptUnix(fd)) closeFd(one);
  }, 20);
  const head: StatLine = {
    kind: "engine",
    pid: process.pid,
    version: "0",
    profile: "balanced",
    upUs: 1,
    uid: process.getuid!(),
    counters: {},
  };
  const text = [head, ...more].map((line) => `${JSON.stringify(line)}\n`).join("");
  const server = createServer((socket) => socket.once("data", () => socket.end(text)));
  await new Promise<void>((resolve) => server.listen(paths.stat, resolve));
  t.after(() => {
    clearInterval(timer);
    closeFd(fd);
    server.close();
    rmSync(folder, { recursive: true });
  });
  return paths.control;
}
