/**
 * Network namespaces for tests, always cleaned up.
 *
 * A test file that talks to the kernel runs itself again inside a namespace of its own, so that its
 * interfaces, addresses, routes and captures are nobody else's:
 *
 *     import { after, test } from "node:test";
 *     import { enterNamespace } from "../support/namespace.js";
 *
 *     await enterNamespace(import.meta.url, "ip", "ping"); // returns only inside; tools it needs
 *     test("…", () => { … });
 *
 * Where tools or privileges are missing, the file is reported as skipped with the reason; with CI set
 * in the environment it fails instead, because a check that is skipped there proves nothing.
 *
 * The outer process makes the namespace, waits, removes it and ends with the inner one's status.
 * Test results of the inner process reach the runner as if the outer one had made them. As root the
 * namespace is one of `ip netns`; otherwise a user namespace is unshared first, in which the file is
 * root (this needs /dev/net/tun to be open to all, as it is by default).
 *
 * Inside, {@link background} starts helpers (tcpdump, servers) that end with the test file, and
 * {@link Namespace.create} makes further namespaces, for routers and second hosts.
 *
 * Names are `mr-PID-N`, so leftovers of a killed run are recognised and swept by the next one.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { skipFor } from "./skip.js";
import { missingTools } from "./tools.js";
import { PATIENCE_MS } from "./until.js";

const INSIDE = "MILLRACE_TEST_NAMESPACE";
const NAME = /^mr-(\d+)-\d+/;
let made = 0;

/**
 * Returns at once inside a namespace; outside, runs `fileUrl` in a new one and ends the process.
 * The environment passes through as it is at the call.
 */
export async function enterNamespace(fileUrl: string, ...tools: string[]): Promise<void> {
  if (process.env[INSIDE] !== undefined) {
    ip("link", "set", "lo", "up");
    // A helper that a failed test left behind would keep the file from ending.
    after(endBackgrounds);
    return;
  }
  const file = fileURLToPath(fileUrl);
  const reason = missingTools("ip", "unshare", ...tools) ?? missingPrivilege();
  if (reason !== null) await skipFile(file, reason);
  const node = [process.execPath, ...process.execArgv, file];
  if (process.getuid?.() !== 0) {
    await endLike(
      spawn("unshare", ["-Urnm", "sh", "-c", IN_USER_NAMESPACE, "sh", ...node], inner()),
    );
    return;
  }
  const namespace = Namespace.create();
  await endLike(spawn("ip", ["netns", "exec", namespace.name, ...node], inner()));
}

/** Reports the whole file as skipped and ends the process; throws where nothing may be missing. */
async function skipFile(file: string, reason: string): Promise<never> {
  await test(basename(file), { skip: skipFor(reason) }, () => {});
  process.exitCode = 0;
  return await new Promise<never>(() => {}); // the runner reports, then the process ends by itself
}

/** Why no namespace with a TAP can be made here; null when it can. */
function missingPrivilege(): string | null {
  const isRoot = process.getuid?.() === 0;
  const probe = isRoot ? ["-nm", "true"] : ["-Urnm", "sh", "-c", IN_USER_NAMESPACE, "sh", "true"];
  const { status, stderr } = spawnSync("unshare", probe, { encoding: "utf8" });
  if (status !== 0) return `no network namespace can be made here: ${stderr.trim()}`;
  try {
    accessSync(TUN, constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    return `no TAP can be opened here: ${(error as Error).message}`;
  }
}

const TUN = "/dev/net/tun";

/** The `skip` of a test that needs more than the root of a user namespace may: {@link skipFor}; false for root. */
export function needsRoot(): string | false {
  const [, , count] = readFileSync("/proc/self/uid_map", "utf8").trim().split(/ +/);
  const isRoot = count === "4294967295" && process.getuid?.() === 0;
  return skipFor(isRoot ? null : "needs to be root, not only of a user namespace");
}

const inner = () => ({ stdio: "inherit", env: { ...process.env, [INSIDE]: "1" } }) as const;
/** A file that takes longer is stuck. */
const LONGEST_MS = 600_000;
/** A private /run, where `ip netns` keeps names, so that namespaces can be made inside. */
const IN_USER_NAMESPACE = 'mount -t tmpfs tmpfs /run && exec "$@"';

/** Waits for the child, removes what was made, and ends this process as the child ended. */
async function endLike(child: ChildProcess): Promise<never> {
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  process.on("SIGINT", forward).on("SIGTERM", forward);
  const tooLong = setTimeout(() => {
    console.error(`ended after ${LONGEST_MS / 1000} s: this file hangs`);
    child.kill("SIGKILL");
  }, LONGEST_MS);
  const status = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
  clearTimeout(tooLong);
  process.exit(status); // the exit handler removes the namespaces
}

/** Runs `ip` here; throws with its words when it fails. */
export function ip(...args: string[]): string {
  return run("ip", ...args);
}

/** Sets a kernel parameter of this namespace, `net.ipv4.ip_forward`. */
export function sysctl(name: string, value: number | string): void {
  writeFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, `${value}`);
}

/** Runs a program to its end and returns its output; throws with its errors when it fails. */
export function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr, error, signal } = spawnSync(program, args, { encoding: "utf8" });
  if (error !== undefined) throw error;
  if (status === 0) return stdout;
  throw new Error(
    `${program} ${args.join(" ")}: status ${status ?? signal}: ${stderr.trim()} ${stdout.trim()}`,
  );
}

/** A network namespace of this process; removed, its processes ended, when this process ends. */
export class Namespace {
  readonly name: string;
  /** Those started here: one that has not entered the namespace yet is not listed as in it. */
  private readonly own: Background[] = [];

  private constructor(name: string) {
    this.name = name;
  }

  /** A new namespace whose loopback is up. */
  static create(): Namespace {
    sweepLeftovers();
    made++;
    const namespace = new Namespace(`mr-${process.pid}-${made}`);
    ip("netns", "add", namespace.name);
    cleanUpAtExit();
    living.add(namespace);
    namespace.run("ip", "link", "set", "lo", "up");
    return namespace;
  }

  /** As {@link run}, inside. */
  run(program: string, ...args: string[]): string {
    return ip("netns", "exec", this.name, program, ...args);
  }

  /** Runs a compiled script of this package with Node.js inside. */
  runNode(fileUrl: string, ...args: string[]): string {
    return this.run(process.execPath, fileURLToPath(fileUrl), ...args);
  }

  /** As {@link background}, inside. */
  background(program: string, ...args: string[]): Background {
    const started = background("ip", "netns", "exec", this.name, program, ...args);
    this.own.push(started);
    return started;
  }

  /** Ends the namespace's processes and removes it. Idempotent. */
  close(): void {
    if (!living.delete(this)) return;
    for (const one of this.own) one.kill();
    removeNamespace(this.name);
  }
}

const living = new Set<Namespace>();
const backgrounds = new Set<Background>();
let cleansUp = false;

function endBackgrounds(): void {
  for (const one of backgrounds) one.kill();
}

function cleanUpAtExit(): void {
  if (cleansUp) return;
  cleansUp = true;
  process.on("exit", () => {
    endBackgrounds();
    for (const namespace of living) namespace.close();
  });
  // Without a handler a signal would end the process with no exit event.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => process.exit(1));
  }
}

/** Every process in a namespace of ours was started by us. */
function removeNamespace(name: string): void {
  const { stdout } = spawnSync("ip", ["netns", "pids", name], { encoding: "utf8" });
  for (const pid of stdout.split("\n").filter((line) => line !== "")) killQuietly(Number(pid));
  spawnSync("ip", ["netns", "delete", name]);
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it has just ended
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Removes namespaces whose maker was killed. */
function sweepLeftovers(): void {
  for (const line of execFileSync("ip", ["netns", "list"], { encoding: "utf8" }).split("\n")) {
    const pid = NAME.exec(line)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) removeNamespace(line.split(" ")[0]!);
  }
}

/** A program that runs beside the test, its output kept. */
export class Background {
  /** Standard output and errors so far. */
  output = "";
  /** Exit status, or null when a signal ended it. */
  readonly ended: Promise<number | null>;
  private readonly child: ChildProcess;
  private readonly what: string;
  private hasEnded = false;
  private onChange: (() => void) | null = null;

  constructor(program: string, args: readonly string[]) {
    this.what = `${program} ${args.join(" ")}`;
    this.child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    const keep = (chunk: Buffer) => {
      this.output += chunk.toString();
      this.onChange?.();
    };
    this.child.stdout?.on("data", keep);
    this.child.stderr?.on("data", keep);
    this.child.stdin?.on("error", () => {}); // it ended without reading
    this.ended = new Promise((resolve) => {
      const end = (code: number | null) => {
        this.hasEnded = true;
        backgrounds.delete(this);
        this.onChange?.();
        resolve(code);
      };
      this.child.on("error", (error) => {
        this.output += error.message;
        end(null);
      });
      this.child.on("close", end);
    });
    backgrounds.add(this);
  }

  /** Waits until the output matches; throws with the output when the program ends or time is up. */
  async waitFor(pattern: RegExp, timeoutMs = PATIENCE_MS): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const stop = (reason: string | null) => {
        clearTimeout(timer);
        this.onChange = null;
        if (reason === null) resolve();
        else
          reject(new Error(`${this.what}: ${reason} before ${pattern}; it said: ${this.output}`));
      };
      const look = () => {
        if (pattern.test(this.output)) stop(null);
        else if (this.hasEnded) stop("ended");
      };
      const timer = setTimeout(() => stop(`${timeoutMs} ms passed`), timeoutMs);
      this.onChange = look;
      look();
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Writes to its standard input; without text, closes it. */
  write(text?: string): void {
    if (text === undefined) this.child.stdin?.end();
    else this.child.stdin?.write(text);
  }

  /** Asks it to end, waits, and returns its exit status. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    if (!this.hasEnded) this.child.kill(signal);
    return await this.ended;
  }

  /** Ends it at once, for cleaning up. */
  kill(): void {
    if (!this.hasEnded) this.child.kill("SIGKILL");
  }
}

/** Starts a program that ends with this process at the latest. */
export function background(program: string, ...args: string[]): Background {
  cleanUpAtExit();
  return new Background(program, args);
}
