/** `millrace run` as a process: what the program gets, and what happens when it cannot be run. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { fakeWorld } from "../../src/cli/fake-world.js";
import { run as runCommand } from "../../src/cli/main.js";
import { COMMAND_NAMES } from "../../src/cli/start.js";
import { fakeEngine } from "../support/fake-engine.js";
import { requireTools } from "../support/tools.js";
import { until } from "../support/until.js";

requireTools("cc", "python3");
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const MILLRACE = join(ROOT, "bin", "millrace");
const folder = mkdtempSync(join(tmpdir(), "millrace-launcher-"));
after(() => rmSync(folder, { recursive: true }));

/** A library that says that it was loaded, in place of the real one. */
const library = join(folder, "libfake.so");
compile(
  library,
  '__attribute__((constructor)) static void here(void) { setenv("FAKE", "1", 1); }',
  "-shared",
  "-fPIC",
);

function compile(output: string, source: string, ...options: string[]): string {
  execFileSync("cc", [...options, "-x", "c", "-o", output, "-"], {
    input: `#include <stdlib.h>\n#include <stdio.h>\n${source}\n`,
  });
  return output;
}

interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

interface Started {
  readonly engine?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string;
  /** Called with the process number as soon as something was written. */
  readonly onOutput?: (pid: number) => void;
}

/** Runs a command line to its end; the fake engine lives in this process, so it must not block. */
function launch(started: Started, program: string, ...args: string[]): Promise<Ended> {
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOME: "/tmp",
    MILLRACE_SHIM: library,
    MILLRACE_NODE: process.execPath,
    MILLRACE_ENGINE: started.engine ?? "/nonexistent/e.sock",
    ...started.env,
  };
  const child = spawn(program, args, { env, cwd: started.cwd ?? folder, stdio: "pipe" });
  let out = "";
  let err = "";
  child.stdout.on("data", (data: Buffer) => {
    if (out === "") started.onOutput?.(child.pid!);
    out += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    err += data.toString();
  });
  child.stdin.on("error", () => {}); // it may have ended already
  child.stdin.end(started.input ?? "");
  return new Promise((resolve) => {
    child.on("close", (status, signal) => resolve({ status, signal, out, err }));
  });
}

const millrace = (started: Started, ...args: string[]): Promise<Ended> =>
  launch(started, MILLRACE, ...args);

/** The environment that a program gets. */
async function environment(
  started: Started,
  ...options: string[]
): Promise<Record<string, string>> {
  const { out, err, status } = await millrace(started, "run", ...options, "env", "-0");
  assert.equal(status, 0, err);
  const lines = out.split("\0").filter((line) => line !== "");
  return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
}

test("the program's output, input, exit status and signal are its own", async (t) => {
  const engine = await fakeEngine(t);
  const cat = await millrace({ engine, input: "hello" }, "run", "cat");
  assert.deepEqual(cat, { status: 0, signal: null, out: "hello", err: "" });
  const exit = await millrace({ engine }, "run", "--", "sh", "-c", "echo bad >&2; exit 77");
  assert.deepEqual(exit, { status: 77, signal: null, out: "", err: "bad\n" });
  const killed = await millrace({ engine }, "sh", "-c", "kill -9 $$");
  assert.deepEqual([killed.status, killed.signal], [null, "SIGKILL"]);
});

test("the process that was started becomes the program: signals reach it, whichever way it was started", async (t) => {
  const engine = await fakeEngine(t);
  const script = 'trap "echo caught; exit 5" TERM; echo $$; while :; do sleep 0.05; done';
  const ways = [[MILLRACE], [process.execPath, join(ROOT, "bin", "millrace.js")]];
  for (const [program, ...before] of ways) {
    let started = 0;
    const ended = await launch(
      {
        engine,
        onOutput: (pid) => {
          started = pid;
          process.kill(pid, "SIGTERM");
        },
      },
      program!,
      ...before,
      "sh",
      "-c",
      script,
    );
    assert.equal(ended.out, `${started}\ncaught\n`);
    assert.equal(ended.status, 5);
  }
});

test("`node bin/millrace.js` leaves the program's signals as they are by default", async (t) => {
  const engine = await fakeEngine(t);
  const show = "grep -E '^Sig(Blk|Ign)' /proc/self/status";
  const js = join(ROOT, "bin", "millrace.js");
  const { out } = await launch({ engine }, process.execPath, js, "sh", "-c", show);
  assert.deepEqual(out.match(/[0-9a-f]{16}/g), ["0000000000000000", "0000000000000000"]);
});

test("the library is preloaded, in front of what is preloaded already, once", async (t) => {
  const engine = await fakeEngine(t);
  const plain = await environment({ engine });
  assert.equal(plain.LD_PRELOAD, library);
  assert.equal(plain.FAKE, "1");
  const other = join(folder, "libother.so");
  copyFileSync(library, other);
  const both = await environment({ engine, env: { LD_PRELOAD: other } });
  assert.equal(both.LD_PRELOAD, `${library}:${other}`);
  const { out } = await millrace({ engine }, "run", MILLRACE, "run", "env");
  assert.match(out, new RegExp(`^LD_PRELOAD=${library}$`, "m"));
});

test("options become the environment that the library reads", async (t) => {
  const engine = await fakeEngine(t);
  writeFileSync(join(folder, "a.rules"), "use os tcp_server *:80\n");
  const options =
    "--address 10.77.0.2/16 --profile latency --spin=forever --rules a.rules --application-id B1 --loopback --no-auto --debug --no-warn";
  const env = await environment({ engine }, ...options.split(" "));
  const ours = Object.entries(env).filter(([name]) => name.startsWith("MILLRACE_"));
  assert.deepEqual(Object.fromEntries(ours.sort()), {
    MILLRACE_ADDRESS: "10.77.0.2",
    MILLRACE_APPLICATION_ID: "B1",
    MILLRACE_DEBUG: "1",
    MILLRACE_DEFAULT_DISABLE: "1",
    MILLRACE_ENGINE: engine,
    MILLRACE_LOOPBACK: "1",
    MILLRACE_NODE: process.execPath,
    MILLRACE_NO_WARN: "1",
    MILLRACE_PROFILE: "latency",
    MILLRACE_RULES: join(folder, "a.rules"),
    MILLRACE_SHIM: library,
    MILLRACE_SPIN_US: "forever",
  });
});

test("with its error stream closed it writes to nobody, and the program has that closed, too", async (t) => {
  const heard: number[] = [];
  const engine = await fakeEngine(t, [], heard);
  const words = `exec millrace run --debug sh -c "test -e /proc/\\$\\$/fd/2 || echo closed" 2>&-`;
  const { out } = await launch(
    { engine, env: { PATH: `${join(ROOT, "bin")}:${process.env.PATH}` } },
    ...["sh", "-c", words],
  );
  assert.equal(out, "closed\n");
  assert.ok(heard.length === 1 && heard[0]! > 400, `messages of ${heard.join(", ")} bytes`);
});

test("a command that was started with nohup outlives its terminal", async () => {
  const socket = join(folder, "nohup.sock");
  const script =
    'trap "" HUP; millrace engine --keep & until test -e "$1.stat"; do sleep 0.05; done; kill -HUP $!; sleep 0.3; kill -0 $! && echo stays; kill $!; wait $!';
  const env = { PATH: `${join(ROOT, "bin")}:${process.env.PATH}`, MILLRACE_ENGINE: socket };
  const { out, status } = await launch({ env }, "sh", "-c", script, "sh", socket);
  assert.match(out, /^millrace: engine ready on \S+\nstays\nmillrace: engine ended\n$/);
  assert.equal(status, 0);
});

test("`millrace -- PROGRAM` runs it", async (t) => {
  const engine = await fakeEngine(t);
  assert.equal((await millrace({ engine }, "--", "echo", "hi")).out, "hi\n");
});

test("what cannot be run: 127 when there is none, 126 when it is no program", async (t) => {
  const engine = await fakeEngine(t);
  const none = await millrace({ engine }, "run", "no-such-program");
  assert.deepEqual(
    [none.status, none.err],
    [127, "millrace: cannot run 'no-such-program': No such file or directory\n"],
  );
  const typo = await millrace({ engine }, "docter");
  assert.equal(typo.status, 127);
  assert.match(typo.err, /'docter' is neither a command of millrace nor a program/);
  const script = join(folder, "script");
  writeFileSync(script, "#!/no/such/interpreter\n", { mode: 0o755 });
  const lost = await millrace({ engine }, "run", script);
  const why = "its interpreter /no/such/interpreter: No such file or directory";
  assert.deepEqual([lost.status, lost.err], [127, `millrace: cannot run '${script}': ${why}\n`]);
  const text = join(folder, "text");
  writeFileSync(text, "x");
  for (const path of [text, folder]) {
    const refused = await millrace({ engine }, "run", path);
    assert.deepEqual(
      [refused.status, refused.err],
      [126, `millrace: cannot run '${path}': Permission denied\n`],
    );
  }
});

test("wrong usage: status 2, and what was expected", async () => {
  const rows: [string[], RegExp][] = [
    [[], /which program\?/],
    [["--"], /which program\?/],
    [["--nosuch", "true"], /unknown option --nosuch/],
    [["--debug=1", "true"], /takes no value: --debug=1/],
    [["--address"], /needs a value: --address/],
    [["--rules=", "true"], /needs a value that is not empty: --rules/],
    [["--nic", "", "true"], /needs a value that is not empty: --nic/],
    [["--profile", "fast", "true"], /expected latency, balanced or idle, got fast/],
    [["--spin", "-1", "true"], /expected microseconds or forever, got -1/],
    [
      ["--address", "foo", "true"],
      /--address: expected a host's address like 10\.77\.0\.2, got foo/,
    ],
    [["--address", "10.0.0.2/33", "true"], /--address: expected a host's address/],
    [["--address", "127.0.0.1", "true"], /got 127\.0\.0\.1, which is a loopback address/],
    [["--address", "::ffff:127.0.0.1", "true"], /which is a loopback address/],
    [["--address", "224.0.0.1", "true"], /which is a multicast address/],
    [["--address", "ff02::1", "true"], /which is a multicast address/],
    [["--address", "::", "true"], /which is the wildcard address/],
    [["--address", "255.255.255.255", "true"], /which is the broadcast address/],
    [["--address", "10.0.0.0/24", "true"], /which is its network's own address/],
    [["--address", "10.0.0.255/24", "true"], /which is its network's broadcast address/],
    [["--address", "fd00::/64", "true"], /which is its network's anycast address/],
    [["--address", "::ffff:10.0.0.0/120", "true"], /which is its network's own address/],
    [["--address", "::ffff:10.0.0.2/24", "true"], /--address: expected a host's address/],
    [["--check-rules", "web.rules", "extra"], /--check-rules runs nothing; .* got extra/],
    [["--start-only", "true"], /--start-only runs nothing; .* got true/],
    [["--network", "127.0.0.1/8", "true"], /--network: expected the machine's .* loopback/],
    [["--network", "10.77.0.1", "true"], /--network: expected .*prefix length.*got 10\.77\.0\.1/],
    [["--nic", "tap0", "--gateway", "x", "true"], /--gateway: expected a router's address/],
    [["--gateway", "10.0.0.1", "true"], /--gateway is an interface's; expected --nic/],
  ];
  for (const [args, expected] of rows) {
    const { status, err } = await millrace({}, "run", ...args);
    assert.equal(status, 2, args.join(" "));
    assert.match(err, expected);
  }
});

test("what the environment says is checked like options", async () => {
  const rows: [NodeJS.ProcessEnv, RegExp][] = [
    [{ MILLRACE_PROFILE: "fast" }, /MILLRACE_PROFILE: expected latency, balanced or idle/],
    [{ MILLRACE_ADDRESS: "here" }, /MILLRACE_ADDRESS: expected a host's address/],
    [{ MILLRACE_LOOPBACK: "yes" }, /MILLRACE_LOOPBACK: expected 1 or 0, got yes/],
    [{ MILLRACE_NO_WARN: "no" }, /MILLRACE_NO_WARN: expected 1 or 0, got no/],
    [{ MILLRACE_ENGINE: "e.sock" }, /MILLRACE_ENGINE: expected the absolute path/],
    [
      { MILLRACE_ENGINE: `/tmp/${"a".repeat(98)}` },
      /MILLRACE_ENGINE: expected the path of a control socket, of 1 to 102 bytes, got \/tmp\/a+ \(103 bytes\)\n/,
    ],
  ];
  for (const [env, expected] of rows) {
    const { status, err } = await millrace({ env }, "run", "true");
    assert.equal(status, 2, err);
    assert.match(err, expected);
  }
});

test("flags of the environment are spelled as millrace/register reads them", async (t) => {
  const engine = await fakeEngine(t);
  const env = { MILLRACE_LOOPBACK: "true", MILLRACE_DEBUG: "false" };
  const { out, status } = await millrace(
    { engine, env },
    ...["run", "--no-warn", "sh", "-c", "echo $MILLRACE_LOOPBACK $MILLRACE_DEBUG"],
  );
  assert.deepEqual([out, status], ["1 0\n", 0]);
});

test("options stop at the program: what follows is the program's", async (t) => {
  const engine = await fakeEngine(t);
  const { out } = await millrace({ engine }, "run", "--no-warn", "echo", "--help", "--debug", "--");
  assert.equal(out, "--help --debug --\n");
  const short = await millrace({ engine }, "--debug", "echo", "-n", "hi");
  assert.equal(short.out, "hi");
});

test("a file of rules with a mistake: the program is not started", async (t) => {
  const engine = await fakeEngine(t);
  writeFileSync(join(folder, "bad.rules"), "use os tcp_server *:90000\n");
  const { status, out, err } = await millrace(
    { engine },
    "run",
    "--rules",
    "bad.rules",
    "echo",
    "x",
  );
  assert.deepEqual([status, out], [1, ""]);
  assert.match(err, /bad\.rules:1:21: expected a port .*got "90000"\n$/);
  execFileSync("mkfifo", [join(folder, "fifo")]);
  for (const option of ["--rules", "--config"]) {
    for (const [name, kind] of [
      ["/tmp", "a directory"],
      ["/dev/null", "a device"],
      [join(folder, "fifo"), "a FIFO"],
    ] as const) {
      const other = await millrace({ engine }, "run", option, name, "true");
      const why = `millrace: ${name}: expected a plain file; it is ${kind}\n`;
      assert.deepEqual([other.status, other.err], [1, why]);
    }
  }
  const checked = await millrace({}, "run", "--check-rules", "bad.rules");
  assert.match(checked.err, /^bad\.rules:1:21: /);
  assert.equal(checked.status, 1);
  const missing = await millrace({ engine }, "run", "--rules", "none.rules", "true");
  assert.deepEqual(
    [missing.status, missing.err],
    [1, "millrace: --rules: none.rules: No such file or directory\n"],
  );
});

test("static and other unusual programs run, with a warning that says why they are not accelerated", async (t) => {
  const engine = await fakeEngine(t);
  const source = 'int main(void) { puts(getenv("FAKE") ? "loaded" : "not loaded"); }';
  const fixed = compile(join(folder, "fixed"), source, "-static");
  const ended = await millrace({ engine }, "run", fixed);
  assert.equal(ended.out, "not loaded\n");
  assert.equal(
    ended.err,
    `millrace: ${fixed} is statically linked, so nothing can be preloaded: it runs unaccelerated\n`,
  );
  assert.equal((await millrace({ engine }, "run", "--no-warn", fixed)).err, "");
  const variable = (value: string) => ({ engine, env: { MILLRACE_NO_WARN: value } });
  assert.equal((await millrace(variable("1"), "run", fixed)).err, "");
  assert.notEqual((await millrace(variable("0"), "run", fixed)).err, "");
  const foreign = join(folder, "foreign");
  const bytes = readFileSync(compile(join(folder, "dynamic"), source));
  bytes[18] = 0xf3; // e_machine: RISC-V
  writeFileSync(foreign, bytes);
  chmodSync(foreign, 0o755);
  const refused = await millrace({ engine }, "run", foreign);
  assert.match(refused.err, /is for another kind of processor/);
  assert.equal(refused.status, 126);
});

test("programs with a set-user-id bit for another user are warned of", async (t) => {
  const engine = await fakeEngine(t);
  // Only root may give a file away; for others, su belongs to root.
  let path = "su";
  if (process.getuid!() === 0) {
    path = compile(join(folder, "setuid"), "int main(void) { return 0; }");
    execFileSync("chown", ["65534", path]);
    chmodSync(path, 0o4755);
  }
  const { err } = await millrace({ engine }, "run", path, "--help");
  assert.match(err, /has a set-user-id bit.*it runs unaccelerated/);
});

test("a Go program is known by its note, a musl program by its loader", async (t) => {
  const engine = await fakeEngine(t);
  const note =
    'asm(".section .note.go.buildid,\\"a\\",@note\\n.long 4,4,4\\n.ascii \\"Go\\\\0\\\\0\\"\\n.long 1\\n.previous");';
  const go = compile(join(folder, "go"), `${note}\nint main(void) { return 3; }`);
  const ended = await millrace({ engine }, "run", go);
  assert.match(ended.err, /is a Go program/);
  assert.equal(ended.status, 3);
  const musl = compile(
    join(folder, "musl"),
    "int main(void) { return 4; }",
    "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1",
  );
  assert.match((await millrace({ engine }, "run", musl)).err, /another C library than glibc/);
});

test("--debug: which engine the program has, one that runs or one that was started for it", async (t) => {
  const engine = await fakeEngine(t);
  const joined = await millrace({ engine }, "run", "--debug", "true");
  assert.equal(joined.err, `millrace: joins the engine that runs at ${engine}\n`);
  assert.equal((await millrace({ engine }, "run", "true")).err, "");
  const own = join(folder, "started.sock");
  const { err } = await millrace({ engine: own }, "run", "--debug", "true");
  const pid = /^millrace: started an engine \(pid (\d+)\) without --nic: .*\n$/.exec(err)?.[1];
  assert.ok(pid !== undefined, err);
  process.kill(Number(pid), "SIGTERM");
  await until(() => !existsSync(own), "the engine's end"); // its files are in the folder that goes then
});

test("the file and the interfaces are looked at before the engine that runs", async (t) => {
  const engine = await fakeEngine(t);
  writeFileSync(join(folder, "bad.json"), '{\n  "nics": [{ "nic": 5 }]\n}');
  writeFileSync(join(folder, "nosuch.json"), '{\n  "nics": [{ "nic": "nosuch0" }]\n}');
  writeFileSync(join(folder, "rules.json"), '{\n  "rules": "bad.rules"\n}');
  writeFileSync(join(folder, "bad.rules"), "use os everything\n");
  const noInterface = /^millrace: .*ENODEV.* no interface nosuch0 .*, only .*\blo\b/;
  const rows: [string[], number, RegExp][] = [
    [
      ["--config", "bad.json"],
      1,
      /bad\.json:2:21: nics\[0\]\.nic: expected an interface .*; got 5\n$/,
    ],
    [["--config", "none.json"], 1, /^millrace: none\.json: no such file or directory\n$/],
    [
      ["--config", "nosuch.json"],
      1,
      /^nosuch\.json:2:21: nics\[0\]\.nic: .*ENODEV.* no interface nosuch0 .*, only .*\blo\b/,
    ],
    [
      ["--config", "rules.json"],
      1,
      /^rules\.json:2:12: rules: \S*\/bad\.rules:1:8: expected a role.*\n$/,
    ],
    [["--nic", "nosuch0"], 1, noInterface],
    [["--nic", "packet:nosuch0"], 1, noInterface],
    [["--nic", "lo", "--xdp", "none.o"], 1, /^millrace: \S*none\.o: no such file or directory\n$/],
    [
      ["--nic", "bogus:x"],
      2,
      /^millrace run: --nic: expected a device like tap:tap0, got "bogus:x"/,
    ],
    [["--nic", "tap:mr0"], 1, /^millrace: an engine runs already/],
  ];
  for (const [args, status, expected] of rows) {
    const ended = await millrace({ engine }, "run", ...args, "echo", "x");
    assert.deepEqual([ended.status, ended.out], [status, ""], ended.err);
    assert.match(ended.err, expected);
  }
});

test("no engine answers and none can be started: the program is not started, status 1", async () => {
  const { status, out, err } = await millrace(
    { engine: "/dev/null/e.sock", env: { LD_PRELOAD: "" } },
    "run",
    "echo",
    "x",
  );
  assert.deepEqual([status, out], [1, ""]);
  assert.match(err, /^millrace: /);
  const nowhere = { engine: join(tmpdir(), "millrace-no-node.sock") };
  const noNode = { ...nowhere, env: { MILLRACE_NODE: "/nonexistent" } };
  assert.equal((await millrace(noNode, "run", "true")).status, 1);
});

test("the launcher and Node.js know the same options and commands", async () => {
  const world = fakeWorld();
  await runCommand(["run", "--help"], world);
  const documented = [...world.outText().matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(
    (m) => m[1]!,
  );
  const source = readFileSync(join(ROOT, "native/launcher/options.c"), "utf8");
  const known = [...source.matchAll(/\{"(--[a-z-]+)", TO_/g)].map((m) => m[1]!);
  assert.deepEqual(known.filter((name) => name !== "--inspect").sort(), documented.sort());
  const main = readFileSync(join(ROOT, "native/launcher/main.c"), "utf8");
  const listed = /COMMANDS\[\] = \{([^}]*)\}/.exec(main)![1]!.match(/[a-z]+/g)!;
  assert.deepEqual([...listed, "run"].sort(), [...COMMAND_NAMES].sort());
});

test("--in-process has Node.js preload the stack, without an engine or a library", async () => {
  const options = [
    "--in-process",
    "--nic",
    "tap:mr0",
    "--address=10.0.0.2/24",
    "--gateway",
    "10.0.0.1",
  ];
  const given = { env: { NODE_OPTIONS: "--no-warnings" } };
  const env = await environment(given, ...options, "--profile", "idle", "--debug");
  const register = join(ROOT, "dist", "bundle", "node", "register.js");
  assert.equal(env.NODE_OPTIONS, `--import ${register} --no-warnings`);
  assert.deepEqual(
    ["NIC", "ADDRESS", "GATEWAY", "PROFILE", "DEBUG"].map((name) => env[`MILLRACE_${name}`]),
    ["tap:mr0", "10.0.0.2/24", "10.0.0.1", "idle", "1"],
  );
  assert.deepEqual([env.LD_PRELOAD, env.FAKE], [undefined, undefined]);
  const program = join(ROOT, "test", "node", "programs", "plain.cjs");
  const running = ["--in-process", "--loopback", "--debug", process.execPath, program];
  const { status, out, err } = await millrace({}, "run", ...running);
  assert.match(out, /^answer/, err);
  assert.match(err, /enabled bypass on tcp connect/);
  assert.equal(status, 0);
  const other = await millrace({}, "run", "--in-process", "ls", "-d", ".");
  assert.deepEqual([other.status, other.out], [0, ".\n"]);
  assert.match(other.err, /--in-process is for Node\.js, and ls is something else/);
  writeFileSync(join(folder, "bad2.rules"), "use os tcp_server *:90000\n");
  const rules = ["--in-process", "--rules", "bad2.rules", process.execPath, "-e", "0"];
  const ruled = await millrace({}, "run", ...rules);
  assert.equal(ruled.status, 1);
  assert.match(ruled.err, /bad2\.rules:1:21: expected a port .*got "90000"\n$/);
  for (const wrong of [
    ["--spin", "5"],
    ["--network", "10.0.0.1/8"],
    ["--nic", "tap:a", "--nic", "tap:b"],
  ]) {
    const refused = await millrace({}, "run", "--in-process", ...wrong, "true");
    assert.deepEqual([refused.status, refused.out], [2, ""], refused.err);
    assert.match(refused.err, /--in-process/);
  }
});

test("a file or another's socket at the engine's place stays, and is named", async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-place-"));
  const file = join(folder, "notes.txt");
  writeFileSync(file, "precious");
  const { status, err } = await millrace({ engine: file }, "run", "true");
  assert.equal(status, 1);
  assert.match(err, /notes\.txt/);
  assert.equal(readFileSync(file, "utf8"), "precious");
  const taken = join(folder, "taken.sock");
  const server = createServer((socket) => socket.end("mine"));
  await new Promise<void>((resolve) => server.listen(taken, resolve));
  writeFileSync(join(folder, "taken.log"), "its own log");
  assert.equal((await millrace({ engine: taken }, "run", "true")).status, 1);
  assert.ok(existsSync(taken));
  assert.equal(readFileSync(join(folder, "taken.log"), "utf8"), "its own log");
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});
