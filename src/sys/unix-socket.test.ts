import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { EAGAIN, ECONNREFUSED, EMSGSIZE, ENOENT, EPIPE } from "../base/errno.js";
import {
  closeFd,
  createEvent,
  createPipe,
  drainEvent,
  isEvent,
  pollFds,
  signalEvent,
} from "./fd.js";
import { PollSet } from "./poll-set.js";
import {
  acceptUnix,
  connectUnix,
  listenUnix,
  receivedFd,
  receiveMessage,
  removeStaleSocket,
  sendMessage,
  type UnixAddress,
} from "./unix-socket.js";

const unique = (): string => `millrace-${process.pid}-${randomBytes(4).toString("hex")}`;
const openFds = (): number => readdirSync("/proc/self/fd").length;

function pairAt(address: UnixAddress): { listener: number; a: number; b: number } {
  const listener = listenUnix(address);
  assert.equal(acceptUnix(listener), -EAGAIN);
  const a = connectUnix(address);
  assert.ok(a >= 0, `${a}`);
  return { listener, a, b: acceptUnix(listener) };
}

const path = join(tmpdir(), unique());
for (const address of [
  { path },
  { path: `@${unique()}` },
  { path: `@${unique()}`, isPadded: true },
] as UnixAddress[]) {
  const kind = address.isPadded ? "a padded name" : address.path.replace(/[^/@].*/, "…");
  test(`${kind}: messages keep their boundaries and bring descriptors`, () => {
    const before = openFds();
    const { listener, a, b } = pairAt(address);
    const event = createEvent();
    const room = new Uint8Array(16);
    assert.equal(receiveMessage(b, room), -EAGAIN);
    assert.equal(sendMessage(a, Uint8Array.of(1, 2, 3)), 3);
    assert.equal(sendMessage(a, Uint8Array.of(4), event), 1);
    assert.equal(receiveMessage(b, room), 3);
    assert.equal(receivedFd(), -1);
    assert.equal(receiveMessage(b, room), 1);
    const passed = receivedFd();
    assert.ok(passed >= 0 && passed !== event);
    assert.ok(isEvent(passed));
    signalEvent(passed);
    assert.equal(drainEvent(event), true, "it is the same event");
    closeFd(a);
    assert.equal(receiveMessage(b, room), 0);
    assert.equal(sendMessage(b, room), -EPIPE);
    for (const fd of [b, passed, event, listener]) closeFd(fd);
    if (address.path === path) rmSync(path);
    assert.equal(openFds(), before);
  });
}

test("a message that is too long is an error, and the descriptor with it is closed", () => {
  const { listener, a, b } = pairAt({ path: `@${unique()}` });
  const before = openFds();
  sendMessage(a, new Uint8Array(20), a);
  assert.equal(receiveMessage(b, new Uint8Array(16)), -EMSGSIZE);
  assert.equal(receivedFd(), -1);
  assert.equal(openFds(), before);
  for (const fd of [a, b, listener]) closeFd(fd);
});

test("nobody there, and addresses that cannot be", () => {
  assert.equal(connectUnix({ path: `@${unique()}` }), -ECONNREFUSED);
  assert.equal(connectUnix({ path: join(tmpdir(), unique()) }), -ENOENT);
  for (const wrong of ["", "@", "a\0b", "x".repeat(108)]) {
    assert.throws(() => connectUnix({ path: wrong }), { code: "EINVAL" });
  }
  assert.throws(() => listenUnix({ path: "/proc/nonexistent/x" }), {
    code: "ENOENT",
    message: /the folder does not exist/,
  });
  const address = { path: `@${unique()}` };
  const fd = listenUnix(address);
  assert.throws(() => listenUnix(address), { code: "EADDRINUSE" });
  closeFd(fd);
});

test("a pipe is no event", () => {
  const { readFd, writeFd } = createPipe();
  assert.equal(isEvent(writeFd), false);
  closeFd(readFd);
  closeFd(writeFd);
  assert.equal(isEvent(writeFd), false);
});

test("a set is readable while a member is, also as a member of another set", () => {
  const [inner, outer] = [new PollSet(), new PollSet()];
  const [one, two] = [createEvent(), createEvent()];
  outer.add(inner.fd);
  inner.add(one);
  inner.add(two);
  const isReadable = (): boolean => pollFds(Int32Array.of(outer.fd), 1, 0) === 1;
  assert.equal(isReadable(), false);
  signalEvent(two);
  assert.equal(isReadable(), true);
  inner.remove(two);
  assert.equal(isReadable(), false);
  signalEvent(one);
  assert.equal(isReadable(), true);
  drainEvent(one);
  assert.equal(isReadable(), false);
  inner.remove(two); // not a member any more: no error
  for (const set of [inner, outer, inner]) set.close();
  closeFd(one);
  closeFd(two);
});

test("only the file of a socket whose process has gone is removed", () => {
  const path = join(tmpdir(), unique());
  writeFileSync(path, "a file");
  removeStaleSocket(path);
  assert.equal(readFileSync(path, "utf8"), "a file");
  rmSync(path);
  removeStaleSocket(path); // nothing there
  removeStaleSocket(join(path, "below"));
  const fd = listenUnix({ path });
  removeStaleSocket(path);
  assert.ok(existsSync(path), "somebody listens");
  closeFd(fd);
  removeStaleSocket(path);
  assert.ok(!existsSync(path));
});

test("a stream socket at which somebody listens stays", async () => {
  const path = join(tmpdir(), unique());
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  removeStaleSocket(path);
  assert.ok(existsSync(path));
  await new Promise((resolve) => server.close(resolve));
});
