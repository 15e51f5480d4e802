/** `millrace stat` of real programs: every socket of theirs, whoever carries it, and why. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import type { StatSocket } from "../../src/engine/stat-message.js";
import { enterNamespace } from "../support/namespace.js";
import { HERE, type Running, RunWorld } from "../support/run-world.js";
import { untilAsync } from "../support/until.js";

await enterNamespace(import.meta.url, "python3", "cc", "ss");
const world = RunWorld.open();

/** Sockets of many kinds; says `ready`, waits for its end. */
const MANY = `
import socket, sys, threading
S, D = socket.SOCK_STREAM, socket.SOCK_DGRAM
server = socket.socket(); server.bind(("", 7001)); server.listen()
own = socket.create_connection(("${HERE}", 7001)); own_end, _ = server.accept()
own.sendall(b"unread")
by_kernel = socket.create_connection(("127.0.0.1", 7001)); by_kernel_end, _ = server.accept()
by_kernel.sendall(b"four")
udp = socket.socket(type=D); udp.bind(("", 7002))
lo = socket.socket(type=D); lo.bind(("127.0.0.1", 7003))
closed = socket.socket(type=D); closed.bind(("127.0.0.1", 7004)); closed.close()
dns = socket.socket(type=D); dns.connect(("127.0.0.53", 53))
six = socket.socket(socket.AF_INET6); six.bind(("::1", 7005)); six.listen()
dual = socket.create_server(("", 7006), family=socket.AF_INET6, dualstack_ipv6=True)
only = socket.create_server(("", 7007), family=socket.AF_INET6)
unix = socket.socketpair()
print("ready", flush=True)
sys.stdin.read()
`;

let many: Running;
before(async () => {
  many = world.start([world.millrace, "run", "/usr/bin/python3", "-c", MANY], null, true);
  await many.said(/ready/);
});

interface Everything {
  readonly engine: { readonly pid: number };
  readonly sessions: readonly { readonly pid: number }[];
  readonly sockets: readonly StatSocket[];
}

async function all(...options: string[]): Promise<readonly StatSocket[]> {
  return (JSON.parse(await world.statText("--json", ...options)) as Everything).sockets;
}

const name = (s: StatSocket): string =>
  `${s.protocol} ${s.localPort}->${s.remotePort > 7100 && s.remotePort !== 53 ? "any" : s.remotePort} ${s.state} ${s.accelerated ? "millrace" : "kernel"}`;
const isOfServer = (s: StatSocket): boolean =>
  [7001, 7002, 7003, 7004, 7005, 53].some((p) => p === s.localPort || p === s.remotePort);

test("all of a program's sockets are there, and each says who carries it and why", async () => {
  const sockets = (await all()).filter(isOfServer);
  const named = sockets.map((s) => name(s).replace(/ \d{5}->/, " any->")).sort();
  assert.deepEqual(named, [
    "tcp 7001->0 LISTEN millrace",
    "tcp 7001->any ESTAB kernel",
    "tcp 7001->any ESTAB millrace",
    "tcp 7005->0 LISTEN kernel",
    "tcp any->7001 ESTAB kernel",
    "tcp any->7001 ESTAB millrace",
    "udp 7002->0 UNCONN millrace",
    "udp 7003->0 UNCONN kernel",
    "udp any->53 ESTAB kernel",
  ]);
  const why = (isIt: (s: StatSocket) => boolean): string => sockets.find(isIt)!.reason;
  assert.match(
    why((s) => s.localPort === 7003),
    /^loopback address 127\.0\.0\.1 \(see --loopback\)/,
  );
  assert.match(
    why((s) => s.localPort === 7005),
    /^loopback address ::1/,
  );
  assert.match(
    why((s) => s.remotePort === 53),
    /loopback address 127\.0\.0\.53|rule/,
  );
  const came = why((s) => !s.accelerated && s.localPort === 7001);
  assert.equal(came, "came by the kernel to the listener at port 7001");
  const unread = sockets.filter((s) => s.recvQ > 0).map((s) => [s.accelerated, s.recvQ]);
  assert.deepEqual(unread.sort(), [
    [false, 4],
    [true, 6],
  ]);
  for (const s of sockets) {
    assert.deepEqual(
      s.holders.map(({ pid }) => pid),
      [many.pid],
      name(s),
    );
    assert.match(s.holders[0]!.program, /^python3/);
  }
});

test("-t, -u, -l, -c choose; -e, --why and -i add columns and lines", async () => {
  const count = async (...options: string[]): Promise<number> =>
    (await all(...options)).filter(isOfServer).length;
  assert.deepEqual(
    [
      await count("-t"),
      await count("-u"),
      await count("-l"),
      await count("-c"),
      await count("-t", "-l"),
    ],
    [6, 3, 4, 5, 2],
  );
  const text = await world.statText("-e", "--why", "-i");
  const user = spawnSync("id", ["-un"], { encoding: "utf8" }).stdout.trim();
  assert.match(
    text,
    new RegExp(
      `\\| 0\\.0\\.0\\.0:7001 .*\\| LISTEN .*\\| millrace \\| ${user} .*\\| ${many.pid}:\\d+ .*\\| python3`,
    ),
  );
  assert.match(text, / internal diagnostics:\n {5}Rx Bytes: \d+ {2}Tx Bytes: 6/);
  const listener = (await all("-t", "-l")).find((s) => s.localPort === 7001)!;
  const one = await world.statText("-s", `${many.pid}:${listener.holders[0]!.fd}`);
  assert.match(one, /Proto: TCP {2}State: LISTEN {2}Path: millrace\n/);
});

test("addresses are written as ss writes them; -4 and -6 choose", async () => {
  const written = async (...options: string[]): Promise<string[]> => {
    const text = await world.statText("-l", "-t", "-H", ...options);
    return [...text.matchAll(/ (\S+:700[167]) +\| (\S+) /g)].map(([, a, b]) => `${a} ${b}`).sort();
  };
  const [four, dual, six] = ["0.0.0.0:7001 0.0.0.0:*", "*:7006 *:*", "[::]:7007 [::]:*"];
  assert.deepEqual(await written(), [dual, four, six]);
  assert.deepEqual(await written("-4"), [four]);
  assert.deepEqual(await written("-6"), [dual, six]);
  const ports = ["-lntH", "( sport = :7001 or sport = :7006 or sport = :7007 )"];
  const { stdout } = spawnSync("ss", ports, { encoding: "utf8" });
  const kernels = [...stdout.matchAll(/ (\S+:700\d) +(\S+)/g)].map(([, a, b]) => `${a} ${b}`);
  assert.deepEqual(kernels.sort(), [dual, four, six], stdout);
});

test("a program without the library is shown too, with that as the reason", async () => {
  const source = join(world.folder, "static.c");
  writeFileSync(
    source,
    `#include <arpa/inet.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(7010)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(fd, (void *)&at, sizeof at) || listen(fd, 1)) return 1;
  puts("listens");
  fflush(stdout);
  pause();
}
`,
  );
  const program = join(world.folder, "static");
  const built = spawnSync("cc", ["-static", "-o", program, source], { encoding: "utf8" });
  assert.equal(built.status, 0, built.stderr);
  const running = world.accelerated("--no-warn", program);
  await running.said(/listens/);
  const found = (await all("-l")).find((s) => s.localPort === 7010)!;
  assert.deepEqual(
    [found.accelerated, found.state, found.holders[0]!.pid, found.holders[0]!.program],
    [false, "LISTEN", running.pid, "static"],
  );
  assert.match(
    found.reason,
    /^the preload library is not in this program, which is statically linked, so nothing can be preloaded \(see/,
  );
  await running.stop();
  assert.equal(
    (await all("-l")).some((s) => s.localPort === 7010),
    false,
  );
});

/** As Go's runtime asks the kernel, with the note that its linker leaves in a program. */
const GO = `#include <arpa/inet.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
asm(".section .note.go.buildid,\\"a\\",@note\\n.long 4,8,4\\n.ascii \\"Go\\\\0\\\\0abcdefg\\\\0\\"\\n.previous");
static long call(long n, long a, long b, long c) {
#if defined __x86_64__
  asm volatile("syscall" : "+a"(n) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return n;
#else
  register long x8 asm("x8") = n, x0 asm("x0") = a, x1 asm("x1") = b, x2 asm("x2") = c;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
  return x0;
#endif
}
int main(int argc, char **argv) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(7011 + (argc > 1))};
  long fd = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
  if (call(SYS_bind, fd, (long)&at, sizeof at) || call(SYS_listen, fd, 1, 0)) return 1;
  printf("%s listens\\n", argv[0]);
  fflush(stdout);
  pause();
}
`;

test("a Go program, which the library sees nothing of, is named as one, linked statically or not", async () => {
  const source = join(world.folder, "go.c");
  writeFileSync(source, GO);
  for (const [kind, port, ...words] of [["-static", 7011] as const, ["-pie", 7012, "x"] as const]) {
    const program = join(world.folder, `go${kind}`);
    const built = spawnSync("cc", [kind, "-o", program, source], { encoding: "utf8" });
    assert.equal(built.status, 0, built.stderr);
    const running = world.accelerated("--no-warn", program, ...words);
    await running.said(/listens/);
    const found = (await all("-l")).find((s) => s.localPort === port)!;
    assert.equal(found.accelerated, false);
    assert.match(found.reason, /is a Go program: its runtime asks the kernel without libc/);
    await running.stop();
  }
});

test("--watch shows what has changed, until it is told to end", async () => {
  const watch = world.start([world.millrace, "stat", "--watch", "0.1", "-u"], null);
  await watch.said(/0\.0\.0\.0:7002/);
  const more = world.accelerated("nc", "-u", "-l", "7020");
  await watch.said(/0\.0\.0\.0:7020/);
  await more.stop();
  await untilAsync(
    async () => !watch.out.slice(watch.out.lastIndexOf("Sockets of")).includes("7020"),
    () => "the closed socket stays",
    () => watch.isOver,
  );
  watch.child.kill("SIGINT");
  assert.equal((await watch.ended).status, 0);
});
