import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { doctor } from "./doctor.js";
import { fakeWorld } from "./fake-world.js";
import { type FileKind, type Machine, thisMachine } from "./machine.js";
import { run } from "./main.js";

/** A machine on which all is well. */
const GOOD: Machine = {
  nodeVersion: "22.12.0",
  system: "Linux",
  kernelRelease: "6.1.0-30-amd64",
  cpus: 4,
  root: "/opt/millrace/",
  read: (path) =>
    ({
      "/proc/self/status": "Name:\tnode\nCapEff:\t000001ffffffffff\n",
      "/proc/self/limits":
        "Max locked memory         unlimited            unlimited  bytes\nMax open files  1024  65536  files\n",
    })[path] ?? null,
  exists: (path) => path.startsWith("/opt/millrace/native/build/"),
  output: () => null,
  contains: () => false,
  openError: () => null,
  fileKind: () => "script",
  hasProgram: () => true,
  run: () => 0,
  loadError: () => null,
  validates: () => true,
  probeSharing: () => null,
  deviceError: () => null,
  engineError: () => null,
  probeXdp: () => ({ error: null, message: "", takesFrags: true }),
};

/** Status and text of the command on a machine that differs from the good one. */
async function on(machine: Partial<Machine>): Promise<[number, string]> {
  const world = fakeWorld();
  const status = await doctor({ ...GOOD, ...machine }, false, world);
  return [status, world.outText()];
}

test("a machine on which all is well: ok on every line, status 0", async () => {
  const [status, text] = await on({});
  assert.equal(status, 0);
  assert.deepEqual(
    text
      .trimEnd()
      .split("\n")
      .map((line) => line.slice(0, 6)),
    new Array(16).fill("ok    "),
  );
});

test("an old Node.js fails: status 1 and what to do", async () => {
  const [status, text] = await on({ nodeVersion: "20.18.3" });
  assert.equal(status, 1);
  assert.match(text, /^fail {2}Node\.js: 20\.18\.3, 20\.19 or newer is needed\n {6}fix: /);
});

test("a MILLRACE_ENGINE that run would refuse fails, as does a folder that is not there", async (t) => {
  const before = process.env.MILLRACE_ENGINE;
  t.after(() => {
    if (before === undefined) delete process.env.MILLRACE_ENGINE;
    else process.env.MILLRACE_ENGINE = before;
  });
  const { engineError } = thisMachine();
  const rows: [string, RegExp][] = [
    ["e.sock", /fail {2}engine's socket: MILLRACE_ENGINE: expected the absolute path/],
    [`/tmp/${"a".repeat(98)}`, /fail {2}engine's socket: MILLRACE_ENGINE: .* 1 to 102 bytes/],
    [
      "/no/such/e.sock",
      /fail {2}engine's socket: ENOENT: .*; \/no\/such, where the engine's socket/,
    ],
  ];
  for (const [named, expected] of rows) {
    process.env.MILLRACE_ENGINE = named;
    const [status, text] = await on({ engineError });
    assert.equal(status, 1);
    assert.match(text, expected);
  }
});

test("another system fails", async () => {
  const [status, text] = await on({ system: "Darwin", kernelRelease: "24.1.0" });
  assert.equal(status, 1);
  assert.match(text, /fail {2}kernel: Darwin 24\.1\.0, Linux is needed/);
});

test("an old kernel, one CPU, no SIMD and little locked memory are warnings", async () => {
  const [status, text] = await on({
    kernelRelease: "5.4.0-200-generic",
    cpus: 1,
    validates: () => false,
    read: (path) =>
      path === "/proc/self/limits" ? "Max locked memory  65536  65536  bytes\n" : GOOD.read(path),
  });
  assert.equal(status, 0);
  assert.match(text, /warn {2}kernel: Linux 5\.4/);
  assert.match(text, /warn {2}CPUs: 1:/);
  assert.match(text, /warn {2}WebAssembly SIMD: no/);
  assert.match(text, /warn {2}locked memory: 64 KiB: .*\n {6}fix: ulimit -l unlimited/);
});

test("an addon that is not built is a warning, one that does not load a failure", async () => {
  const [missing, text] = await on({ exists: () => false, hasProgram: (name) => name !== "cc" });
  assert.equal(missing, 0);
  assert.match(
    text,
    /native addon: not built: .*\n {6}fix: sudo apt-get install gcc libc6-dev && npm run install/,
  );
  const [broken, complaint] = await on({ loadError: () => "wrong ELF class" });
  assert.equal(broken, 1);
  assert.match(complaint, /fail {2}native addon: .* does not load: wrong ELF class/);
});

test("without privilege: no CAP_NET_ADMIN, no /dev/net/tun, no namespaces, each with its fix", async () => {
  const [status, text] = await on({
    openError: () => "ENOENT",
    run: () => 1,
    read: (path) =>
      ({
        "/proc/self/status": "CapEff:\t0000000000000000\n",
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n",
      })[path] ?? GOOD.read(path),
  });
  assert.equal(status, 0);
  assert.match(
    text,
    /warn {2}\/dev\/net\/tun: ENOENT: no TAP interfaces\n {6}fix: sudo modprobe tun/,
  );
  assert.match(text, /warn {2}CAP_NET_ADMIN: no/);
  assert.match(text, /fix: sudo sysctl kernel\.apparmor_restrict_unprivileged_userns=0/);
});

test("without XDP: a warning with the error, and what puts it right", async () => {
  const probe = (error: string) => () => ({ error, message: "bpf says no", takesFrags: false });
  const [status, text] = await on({ probeXdp: probe("EPERM") });
  assert.equal(status, 0);
  assert.match(
    text,
    /warn {2}XDP: EPERM: no AF_XDP interfaces \(bpf says no\)\n {6}fix: sudo setcap cap_bpf,/,
  );
  const inContainer = (path: string): boolean => path === "/.dockerenv" || GOOD.exists(path);
  const [, boxed] = await on({ probeXdp: probe("EPERM"), exists: inContainer });
  assert.match(boxed, /fix: docker run --cap-add BPF/);
  const [, old] = await on({ probeXdp: probe("EINVAL") });
  assert.match(old, /fix: use a kernel with CONFIG_BPF_SYSCALL=y/);
  const [, small] = await on({
    probeXdp: () => ({ error: null, message: "", takesFrags: false }),
  });
  assert.match(small, /ok {4}XDP: .*, without jumbo frames/);
});

test("missing test tools are no warning, but named with their packages", async () => {
  const [status, text] = await on({ hasProgram: (name) => name !== "iperf3" && name !== "nc" });
  assert.equal(status, 0);
  assert.match(
    text,
    /ok {4}tools for tests: without nc, iperf3 .*\n {6}fix: sudo apt-get install netcat-openbsd iperf3/,
  );
});

test("--json: one object with the worst status and all checks", async () => {
  const world = fakeWorld();
  assert.equal(await doctor({ ...GOOD, cpus: 1 }, true, world), 0);
  const { status, checks } = JSON.parse(world.outText()) as {
    status: string;
    checks: { name: string; status: string }[];
  };
  assert.equal(status, "warn");
  assert.equal(checks.length, 16);
  assert.equal(checks.find((check) => check.name === "CPUs")?.status, "warn");
});

test("colours only on terminals, and not where NO_COLOR is set", async () => {
  const coloured = fakeWorld({ isTerminal: true });
  await doctor(GOOD, false, coloured);
  assert.ok(coloured.outText().startsWith("\x1b[32mok  \x1b[0m  Node.js"));
  const plain = fakeWorld({ isTerminal: true, env: { NO_COLOR: "1" } });
  await doctor(GOOD, false, plain);
  assert.ok(!plain.outText().includes("\x1b"));
});

test("this machine can be examined", async () => {
  const world = fakeWorld();
  const status = await run(["doctor"], world);
  assert.ok(status === 0 || status === 1);
  assert.match(world.outText(), new RegExp(`Node\\.js: ${thisMachine().nodeVersion}`));
});

test("an unknown option is wrong usage", async () => {
  assert.equal(await run(["doctor", "--jsn"], fakeWorld()), 2);
});

/** What the launcher says of a program. */
const inspected = (obstacle: number, error = 0, path = "/usr/bin/nginx") => ({
  output: () =>
    `path ${path}\nerror ${error}\ninterpreter ${error === 0 ? "/usr/bin/nginx" : ""}\nloader /lib64/ld-linux-x86-64.so.2\nobstacle ${obstacle}\n`,
});

async function ofProgram(machine: Partial<Machine>, nic?: string): Promise<[number, string]> {
  const world = fakeWorld();
  const status = await doctor({ ...GOOD, ...machine }, false, world, "nginx", nic);
  return [status, world.outText().split("\n").slice(16).join("\n")];
}

test("a program that can be accelerated, and a script that is run by one", async () => {
  assert.deepEqual(await ofProgram(inspected(0)), [
    0,
    "ok    program: /usr/bin/nginx is dynamically linked (/lib64/ld-linux-x86-64.so.2)\n",
  ]);
  const [, script] = await ofProgram(inspected(0, 0, "/usr/bin/script"));
  assert.match(script, /ok {4}script: \/usr\/bin\/script is run by \/usr\/bin\/nginx;/);
});

test("programs that cannot be accelerated fail, with the reason and what helps", async () => {
  const rows: [number, RegExp][] = [
    [1, /fail {2}program: \/usr\/bin\/nginx is statically linked.*\n {6}fix: link it dynamically/],
    [2, /is a Go program/],
    [3, /has a set-user-id .*\n {6}fix: .*cp \/usr\/bin\/nginx \$d && millrace run \$d\/nginx/],
    [4, /another kind of processor/],
    [5, /another C library than glibc/],
  ];
  for (const [obstacle, expected] of rows) {
    const [status, text] = await ofProgram(inspected(obstacle));
    assert.equal(status, 1);
    assert.match(text, expected);
  }
});

test("a program that is not there, one that may not be run, and no launcher to ask", async () => {
  assert.match((await ofProgram(inspected(0, 2)))[1], /fail {2}program: nginx: not found/);
  const rows: readonly [FileKind, RegExp][] = [
    ["folder", /is a folder\n {6}fix: name the program in it/],
    ["script", /is a script that nobody may run\n {6}fix: chmod \+x/],
    ["program", /is a program that nobody may run\n {6}fix: chmod \+x/],
    [
      "foreign",
      /is for another kind of processor .*\n {6}fix: use a program, or a Millrace, built for/,
    ],
    ["other", /is no program: .*\n {6}fix: name the program that reads it/],
    ["marked", /may not be run by this user, or not from .*\n {6}fix: ls -l/],
  ];
  for (const [kind, expected] of rows) {
    const [, text] = await ofProgram({ ...inspected(0, 13), fileKind: () => kind });
    assert.match(text, expected);
    assert.equal(/chmod \+x/.test(text), kind === "script" || kind === "program", text);
  }
  assert.match((await ofProgram({}))[1], /the launcher is not built/);
});

test("what a file is that cannot be run is told by its first bytes", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-kind-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const elf = readFileSync(process.execPath).subarray(0, 64);
  const foreign = Buffer.from(elf);
  foreign.writeUInt16LE(8, 18); // MIPS
  const rows: readonly [FileKind, string | Buffer, number][] = [
    ["other", "words\n", 0o644],
    ["other", "", 0o644],
    ["script", "#!/bin/sh\n", 0o644],
    ["marked", "#!/bin/sh\n", 0o755],
    ["program", elf, 0o644],
    ["foreign", foreign, 0o644],
    ["foreign", foreign, 0o755],
  ];
  for (const [i, [kind, contents, mode]] of rows.entries()) {
    const path = join(folder, String(i));
    writeFileSync(path, contents, { mode });
    assert.equal(thisMachine().fileKind(path), kind);
  }
  assert.equal(thisMachine().fileKind(folder), "folder");
  assert.equal(thisMachine().fileKind("/dev/null"), "other");
});

test("io_uring is a warning", async () => {
  const uses = { contains: (_path: string, text: string) => text === "liburing.so" };
  const [status, text] = await ofProgram({ ...inspected(0), ...uses });
  assert.equal(status, 0);
  assert.match(text, /warn {2}liburing\.so: \/usr\/bin\/nginx uses io_uring/);
});

test("--nic: what the interface needs, or that there is none of that name", async () => {
  const deviceError = () => "there is no interface eth9";
  const [none, missing] = await ofProgram({ ...inspected(0), deviceError }, "eth9");
  assert.equal(none, 1);
  assert.match(missing, /fail {2}--nic eth9: there is no interface eth9/);
  const probe = () => ({ error: "EPERM", message: "no", takesFrags: false });
  const [, refused] = await ofProgram({ ...inspected(0), probeXdp: probe }, "xdp:eth1,queue=0");
  assert.match(refused, /fail {2}--nic xdp:eth1,queue=0: needs XDP: EPERM.*\n {6}fix: sudo setcap/);
  assert.match(
    (await ofProgram(inspected(0), "tap0"))[1],
    /ok {4}--nic tap0: what it needs is there/,
  );
});

test("few open files and parts that are not built are warnings", async () => {
  const [, few] = await on({
    read: (path) =>
      path === "/proc/self/limits" ? "Max open files  1024  1024  files\n" : GOOD.read(path),
  });
  assert.match(few, /warn {2}open files: at most 1024: .*\n {6}fix: ulimit -Hn 65536/);
  const [, unbuilt] = await on({ exists: (path) => path.endsWith("millrace.node") });
  assert.match(unbuilt, /warn {2}millrace run: millrace-run, libmillrace\.so not built/);
});

test("memory that is shared: what a seccomp filter forbids, and limits that are too low", async () => {
  const files = (more: Readonly<Record<string, string>>) => (path: string) =>
    more[path] ?? GOOD.read(path);
  const probeSharing = () => "memfd_create EPERM: operation not permitted";
  const [status, text] = await on({
    probeSharing,
    read: files({ "/proc/self/status": "CapEff:\t000001ffffffffff\nSeccomp:\t2\n" }),
  });
  assert.equal(status, 0);
  assert.match(text, /warn {2}shared memory: memfd_create EPERM.*: a seccomp filter forbids it/);
  assert.match(text, /fix: let the filter .* allow memfd_create/);
  assert.match(
    (await on({ probeSharing }))[1],
    /shared memory: .*no `millrace run`\n {6}fix: use a/,
  );
  const limits = (line: string) => files({ "/proc/self/limits": `${line}\n` });
  const space = await on({ read: limits("Max address space  4294967296  4294967296  bytes") });
  assert.match(space[1], /warn {2}memory limits: 4 GiB of address space.*\n {6}fix: ulimit -v unl/);
  const file = await on({ read: limits("Max file size  1024000  1024000  bytes") });
  assert.match(file[1], /warn {2}memory limits: files of at most 0\.00 GiB.*\n {6}fix: ulimit -f/);
  const group = await on({ read: files({ "/sys/fs/cgroup/memory.max": "134217728\n" }) });
  assert.match(group[1], /warn {2}memory limits: 0\.13 GiB for this control group/);
});
