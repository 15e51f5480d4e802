/** What looks like a running engine to the launcher and to `millrace stat`, in the test's own process. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { EAGAIN } from "../../src/base/errno.js";
import { welcome } from "../../src/engine/message.js";
import { pathsBeside } from "../../src/engine/socket-path.js";
import type { StatLine } from "../../src/engine/stat-message.js";
import { MESSAGE_BYTES, Msg } from "../../src/ring/engine-layout.js";
import { closeFd } from "../../src/sys/fd.js";
import { acceptUnix, listenUnix, receiveWithFds, sendWithFds } from "../../src/sys/unix-socket.js";

/** Listens until the test ends; the path of its control socket. `heard`: gets the length of each first message. */
export async function fakeEngine(
  t: TestContext,
  more: readonly StatLine[] = [],
  heard: number[] = [],
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-engine-"));
  const paths = pathsBeside(join(folder, "e.sock"));
  const fd = listenUnix({ path: paths.control }, 64);
  const launchers = new Set<number>();
  const timer = setInterval(() => {
    for (let one = acceptUnix(fd); one >= 0; one = acceptUnix(fd)) launchers.add(one);
    for (const one of launchers) if (letIn(one, heard)) launchers.delete(one);
  }, 5);
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
    for (const one of launchers) closeFd(one);
    closeFd(fd);
    server.close();
    rmSync(folder, { recursive: true });
  });
  return paths.control;
}

/** Answers a launcher; whether it has been heard, and let go. */
function letIn(fd: number, heard: number[]): boolean {
  const fds: number[] = [];
  const n = receiveWithFds(fd, new Uint8Array(MESSAGE_BYTES), fds);
  if (n === -EAGAIN) return false;
  heard.push(n);
  for (const passed of fds) closeFd(passed);
  if (n > 0) sendWithFds(fd, welcome(Msg.LAUNCH, 0, 0, ""), []);
  closeFd(fd);
  return true;
}
