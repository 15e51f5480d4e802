/** Sockets that stay with the kernel because their program says so (docs/opt-out.md). */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { enterNamespace } from "../support/namespace.js";
import { RunWorld } from "../support/run-world.js";

await enterNamespace(import.meta.url, "cc");
const world = RunWorld.open();
const INCLUDE = fileURLToPath(new URL("../../../native/include", import.meta.url));

/** What a C program with the public header prints. */
const program = join(world.folder, "choose");
const SOURCE = `
#include <millrace.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static int get(int fd) {
  int value = -1;
  socklen_t bytes = sizeof value;
  return getsockopt(fd, SOL_MILLRACE, SO_MILLRACE_NO_ACCEL, &value, &bytes) < 0 ? -errno : value;
}
static int set(int fd, int value) {
  return setsockopt(fd, SOL_MILLRACE, SO_MILLRACE_NO_ACCEL, &value, sizeof value) < 0 ? -errno : 0;
}
static int open_bound(int choice) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in any = {.sin_family = AF_INET};
  if (choice == 1 && millrace_disable_acceleration(fd) < 0) perror("disable");
  if (choice == 2 && millrace_enable_acceleration(fd) < 0) perror("enable");
  if (bind(fd, (struct sockaddr *)&any, sizeof any) < 0) perror("bind");
  return fd;
}
int main(void) {
  int plain = open_bound(0), off = open_bound(1), on = open_bound(2);
  printf("accelerated %d %d %d\\n", millrace_is_accelerated(plain), millrace_is_accelerated(off),
         millrace_is_accelerated(on));
  printf("get %d %d %d\\n", get(plain), get(off), get(on));
  printf("late %d %d\\n", set(plain, 1), set(off, 0));
  int fresh = socket(AF_INET, SOCK_STREAM, 0), short_value = 0;
  int result = set(fresh, 1);
  printf("fresh %d %d %d\\n", result, get(fresh), set(fresh, 0));
  result = setsockopt(fresh, SOL_MILLRACE, SO_MILLRACE_NO_ACCEL, &short_value, 2);
  printf("short %s\\n", result < 0 ? strerror(errno) : "taken");
  printf("file %d\\n", set(0, 1));
  return 0;
}`;
execFileSync("cc", ["-Wall", "-Werror", `-I${INCLUDE}`, "-x", "c", "-o", program, "-"], {
  input: SOURCE,
});
const EPERM = -1;
const ENOTSOCK = -88;

test("SO_MILLRACE_NO_ACCEL keeps a socket with the kernel, before it is decided and for good", async () => {
  assert.equal(
    await world.run(program),
    `accelerated 1 0 1\nget 0 1 0\nlate ${EPERM} ${EPERM}\nfresh 0 1 ${EPERM}\nshort Invalid argument\nfile ${ENOTSOCK}\n`,
  );
});

test("--no-auto: only sockets that ask for it are accelerated", async () => {
  const out = await world.run("--no-auto", program);
  assert.match(out, /^accelerated 0 0 1\nget 1 1 0\n/);
});

test("the reason is told", async () => {
  const { err } = await world.accelerated("--debug", program).ended;
  assert.match(err, /millrace: fd \d+ stays with the kernel: SO_MILLRACE_NO_ACCEL was set\n/);
  const other = await world.accelerated("--debug", "--no-auto", program).ended;
  assert.match(other.err, /stays with the kernel: MILLRACE_DEFAULT_DISABLE is set\n/);
});

test("without Millrace the helpers do no harm", async () => {
  const out = await world.runPlain(program);
  assert.match(out, /^accelerated 0 0 0\n/);
});
