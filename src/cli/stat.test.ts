import assert from "node:assert/strict";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { StatLine, StatSocket } from "../engine/stat-message.js";
import { fakeWorld } from "./fake-world.js";
import { run } from "./main.js";
import { type StatSource, stat } from "./stat.js";

const SOCKET: StatSocket = {
  kind: "socket",
  protocol: "tcp",
  family: "IPv4",
  state: "ESTAB",
  recvQ: 0,
  sendQ: 1024,
  localAddress: "192.168.1.11",
  localPort: 11111,
  remoteAddress: "192.168.1.10",
  remotePort: 40112,
  uid: 1000,
  holders: [{ session: 1, pid: 4242, fd: 5, program: "nginx" }],
  accelerated: true,
  reason: "route over tap0",
  inode: 7,
  drops: 0,
  rxBytes: 10,
  txBytes: 20,
};

const LISTENER: StatSocket = {
  ...SOCKET,
  state: "LISTEN",
  recvQ: 2,
  sendQ: 128,
  localAddress: "0.0.0.0",
  localPort: 80,
  remoteAddress: "0.0.0.0",
  remotePort: 0,
  holders: [
    { session: 1, pid: 4242, fd: 4, program: "nginx" },
    { session: 2, pid: 4243, fd: 4, program: "nginx" },
  ],
};

const KERNEL: StatSocket = {
  ...SOCKET,
  protocol: "udp",
  state: "KERNEL",
  sendQ: 0,
  localAddress: "0.0.0.0",
  localPort: 0,
  remoteAddress: "0.0.0.0",
  remotePort: 0,
  accelerated: false,
  reason: "built-in rule: use os udp_connect *:53",
  inode: 4711,
  holders: [{ session: 1, pid: 4242, fd: 9, program: "nginx" }],
};

const ENGINE: StatLine = {
  kind: "engine",
  pid: 99,
  version: "0.1.0",
  profile: "balanced",
  upUs: 61_000_000,
  uid: 1000,
  counters: { "engine.turns": 12, "engine.sleeps": 3 },
};

const INTERFACE: StatLine = {
  kind: "interface",
  name: "tap0",
  index: 2,
  device: "tap",
  isUp: true,
  mtuBytes: 1500,
  addresses: ["10.0.0.2/24"],
  counters: { "rx.frames": 5 },
};

const FILES: Readonly<Record<string, string>> = {
  "/etc/passwd": "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n",
  "/proc/net/udp":
    "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n" +
    "  123: 0200000A:D431 0101A8C0:0035 01 00000010:00000200 00:00000000 00000000  1000        0 4711 2 0000000000000000 0\n",
  "/proc/net/tcp": "  sl  local_address rem_address   st\n",
};

const source = (lines: readonly StatLine[] | null): StatSource => ({
  ask: () => Promise.resolve(lines),
  processes: () => [],
  obstacleOf: () => 0,
  readFile: (path) => FILES[path] ?? null,
  place: "/run/e.stat",
});

const ALL = [ENGINE, INTERFACE, KERNEL, SOCKET, LISTENER];

async function shown(
  options: Parameters<typeof stat>[0],
  lines: readonly StatLine[] | null = ALL,
): Promise<[number, string, string]> {
  const world = fakeWorld();
  const status = await stat(options, source(lines), world);
  return [status, world.outText(), world.errText()];
}

test("the table: listeners first, then connections, then UDP, kernel sockets with the kernel's figures", async () => {
  const [status, text] = await shown({});
  assert.equal(status, 0);
  assert.equal(
    text,
    `Sockets of programs under Millrace (servers and established):
 Proto | Recv-Q   | Send-Q   | Local Address            | Foreign Address          | State        | Path
 TCP   | 2        | 128      | 0.0.0.0:80               | 0.0.0.0:*                | LISTEN       | millrace
 TCP   | 0        | 1024     | 192.168.1.11:11111       | 192.168.1.10:40112       | ESTABLISHED  | millrace
 UDP   | 512      | 16       | 10.0.0.2:54321           | 192.168.1.1:53           | ESTABLISHED  | kernel
`,
  );
});

test("-e and --why: user, who holds it, program, reason", async () => {
  const [, text] = await shown({ extend: true, why: true, tcp: true });
  const [, heading, listener] = text.split("\n");
  assert.match(heading!, /\| Path {5}\| User {9}\| PID:FD {8}\| Program {2}\| Why$/);
  assert.match(listener!, /\| alice {8}\| 4242:4,4243:4 \| nginx {4}\| route over tap0$/);
});

test("a socket that the engine does not know says what keeps its program from Millrace", async () => {
  const reasons = async (hasLibrary: boolean, ...found: number[]): Promise<string[]> => {
    const processes = found.map((_, i) => ({
      pid: i,
      uid: 0,
      name: "caddy",
      hasLibrary,
      sockets: [{ fd: 3, inode: 4711 }],
    }));
    const world = fakeWorld();
    const asked = {
      ...source([ENGINE]),
      processes: () => processes,
      obstacleOf: (pid: number) => found[pid]!,
    };
    assert.equal(await stat({ json: true }, asked, world), 0);
    const { sockets } = JSON.parse(world.outText()) as { sockets: StatSocket[] };
    return sockets.map(({ reason }) => reason);
  };
  const go = "is a Go program: its runtime asks the kernel without libc (see millrace doctor)";
  const none = "the preload library is not in this program";
  assert.deepEqual(await reasons(false, 2), [`${none}, which ${go}`]);
  assert.deepEqual(await reasons(true, 0, 2), [`the program ${go}`]);
  assert.deepEqual(await reasons(false, 0), [`${none} (see millrace doctor)`]);
  assert.match((await reasons(true, 0))[0]!, /^not opened through Millrace's library \(inherited/);
});

test("-t, -u, -l, -c choose, and the title says so", async () => {
  const rows = (text: string): string[] =>
    text
      .trimEnd()
      .split("\n")
      .slice(2)
      .map((line) => line.slice(1, 4) + (line.includes("LISTEN") ? " listen" : ""));
  assert.deepEqual(rows((await shown({ tcp: true }))[1]), ["TCP listen", "TCP"]);
  assert.deepEqual(rows((await shown({ udp: true }))[1]), ["UDP"]);
  assert.deepEqual(rows((await shown({ tcp: true, udp: true }))[1]).length, 3);
  assert.deepEqual(rows((await shown({ listening: true }))[1]), ["TCP listen"]);
  assert.deepEqual(rows((await shown({ connected: true }))[1]), ["TCP", "UDP"]);
  assert.match((await shown({ connected: true }))[1], /\(w\/o servers\)/);
  assert.match((await shown({ listening: true }))[1], /\(only servers\)/);
});

test("-a, -n, -p, -4, -6 and -H are those of ss", async () => {
  const six: StatLine = { ...LISTENER, family: "IPv6", localAddress: "::", localPort: 81 };
  const dual: StatLine = { ...LISTENER, family: "IPv6", localAddress: "*", localPort: 82 };
  const lines = [ENGINE, SOCKET, LISTENER, six, dual];
  const text = async (...args: Parameters<typeof stat>[0][]): Promise<string> =>
    (await shown({ header: false, ...args[0] }, lines))[1];
  const ports = async (options: Parameters<typeof stat>[0]): Promise<string[]> =>
    (await text(options)).split("\n").flatMap((line) => line.split("|")[3]?.trim() ?? []);
  const [four, only6, both, peer] = ["0.0.0.0:80", "[::]:81", "*:82", "192.168.1.11:11111"];
  assert.deepEqual(await ports({}), [four, only6, both, peer]);
  assert.deepEqual(await ports({ all: true, listening: true }), [four, only6, both, peer]);
  assert.deepEqual(await ports({ ipv4: true }), [four, peer]);
  assert.deepEqual(await ports({ ipv6: true }), [only6, both]);
  assert.deepEqual(await ports({ ipv4: true, ipv6: true }), [four, only6, both, peer]);
  assert.match(
    await text({ processes: true, listening: true }),
    /^ TCP .*\| 4242:4,4243:4 \| nginx/,
  );
  assert.equal(await text({ udp: true }), "");
  const world = fakeWorld({ env: { MILLRACE_ENGINE: "/nonexistent/e.sock" } });
  assert.equal(await run(["stat", "-ltunpaH46"], world), 1, world.errText());
});

test("-s shows one socket, -i its insides; without -t, -u, -l, -c", async () => {
  const tcp = { bytesAcked: 20, sndCwnd: 10, sndMss: 1448, rcvMss: 536, rttUs: 120 };
  const lines = [ENGINE, { ...SOCKET, tcp }];
  const [status, text] = await shown({ socket: "4242:5", internal: true }, lines);
  assert.equal(status, 0);
  assert.match(
    text,
    /^Socket \(PID:FD\): 4242:5\n {4}Proto: TCP {2}State: ESTABLISHED {2}Path: millrace\n/,
  );
  assert.match(
    text,
    /\n {4}Congestion Window: 10 {2}Slow Start Threshold: 0 {2}MSS \(Tx,Rx\): 1448,536\n/,
  );
  assert.deepEqual(await shown({ socket: "1:1" }), [
    1,
    "",
    "millrace stat: no program under Millrace has the socket 1:1; millrace stat -e shows them all\n",
  ]);
  assert.equal((await shown({ socket: "4242:5", tcp: true }))[0], 2);
  assert.equal((await shown({ socket: "4242:5", ipv4: true }))[0], 2);
});

test("without an engine: says so, and what starts one; status 1", async () => {
  assert.deepEqual(await shown({}, null), [
    1,
    "",
    "millrace: no engine of this user's runs in this network namespace (/run/e.stat); `millrace run` starts one\n",
  ]);
});

test("an engine that cannot be asked is an error in words", async () => {
  const world = fakeWorld({ env: { MILLRACE_ENGINE: "/dev/null/e.sock" } });
  assert.equal(await run(["stat"], world), 1);
  assert.match(
    world.errText(),
    /^millrace stat: connect ENOTDIR: .*the engine at \/dev\/null\/e\.sock\.stat\n$/,
  );
});

test("so is one in a folder that is a link to itself", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-stat-"));
  t.after(() => rmSync(folder, { recursive: true }));
  symlinkSync("loop", join(folder, "loop"));
  const world = fakeWorld({ env: { MILLRACE_ENGINE: join(folder, "loop/e.sock") } });
  assert.equal(await run(["stat"], world), 1);
  assert.match(
    world.errText(),
    /^millrace stat: connect ELOOP: too many symbolic links; the engine at /,
  );
});

test("a relative MILLRACE_ENGINE is wrong usage, as for run", async () => {
  const world = fakeWorld({ env: { MILLRACE_ENGINE: "e.sock" } });
  assert.equal(await run(["stat"], world), 2);
  assert.equal(
    world.errText(),
    "millrace stat: MILLRACE_ENGINE: expected the absolute path of a control socket, got e.sock\n",
  );
});

test("--json is one object with everything, --counters the figures", async () => {
  const [, json] = await shown({ json: true });
  const parsed = JSON.parse(json);
  assert.deepEqual(Object.keys(parsed), ["engine", "interfaces", "sessions", "sockets"]);
  assert.equal(parsed.sockets.length, 3);
  assert.equal(parsed.sockets[0].state, "ESTAB");
  assert.equal(
    (await shown({ counters: true }))[1],
    `Engine 0.1.0, pid 99, profile balanced, up 61 s
    engine.turns   12
    engine.sleeps  3
Interface tap0 (tap, up, MTU 1500): 10.0.0.2/24
    rx.frames  5
`,
  );
});

test("--watch waits for an engine, says once that there is none, and goes on with the next one", async () => {
  const world = fakeWorld();
  const answers = [null, null, [ENGINE, SOCKET], null, [ENGINE, LISTENER]];
  let asked = 0;
  const turns: StatSource = {
    ...source(null),
    ask: () => {
      if (asked === answers.length - 1) world.press();
      return Promise.resolve(answers[asked++]!);
    },
  };
  assert.equal(await stat({ watch: 0.001 }, turns, world), 0);
  assert.equal(asked, answers.length);
  assert.equal(world.errText().match(/no engine of this user's runs/g)?.length, 2);
  assert.equal(world.outText().match(/^Sockets of programs/gm)?.length, 2);
});

test("--watch goes on until Ctrl-C, and until nobody reads", async () => {
  const pressed = fakeWorld();
  let asked = 0;
  const counting: StatSource = {
    ...source([ENGINE]),
    ask: () => {
      if (++asked === 3) pressed.press();
      return Promise.resolve([ENGINE]);
    },
  };
  assert.equal(await stat({ watch: 0.001 }, counting, pressed), 0);
  assert.equal(asked, 3);
  assert.equal(await stat({ watch: 0.001 }, source([ENGINE]), fakeWorld({ outWrites: 3 })), 0);
});

test("wrong words are refused with status 2", async () => {
  for (const args of [["-s", "5"], ["--watch", "x"], ["extra"], ["--whyy"]]) {
    assert.equal(await run(["stat", ...args], fakeWorld()), 2, args.join(" "));
  }
});

test("a program that has become another user is shown as that one", async () => {
  const status = "Name:\tpython3\nUid:\t0\t65534\t65534\t65534\nGid:\t0\t0\t0\t0\n";
  const files = (path: string): string | null => (path === "/proc/4242/status" ? status : null);
  const world = fakeWorld();
  const asked = { ...source([ENGINE, LISTENER]), readFile: files };
  assert.equal(await stat({ json: true }, asked, world), 0);
  const { sockets } = JSON.parse(world.outText()) as { sockets: StatSocket[] };
  assert.deepEqual(
    sockets.map(({ uid }) => uid),
    [65534],
  );
});
