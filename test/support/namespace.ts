/**
 * Network namespaces for tests, always cleaned up.
 *
 * A test file that talks to the kernel runs itself again inside a namespace of its own, so that its
 * interfaces, addresses, routes and captures are nobody else's:
 *
 *     import { test } from "node:test";
 *     import { enterNamespace } from "../support/namespace.js";
 *
 *     await enterNamespace(import.meta.url, "ip", "ping"); // returns only inside; tools it needs
 *     test("…", () => { … });
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
import { fileURLToPath } from "node:url";
import { requireTools } from "./tools.js";

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
    return;
  }
  requireTools("ip", "unshare", ...tools);
  const file = fileURLToPath(fileUrl);
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

const inner = () => ({ stdio: "inherit", env: { ...process.env, [INSIDE]: "1" } }) as const;
/** A private /run, where `ip netns` keeps names, so that namespaces can be made inside. */
const IN_USER_NAMESPACE = 'mount -t tmpfs tmpfs /run && exec "$@"';

/** Waits for the child, removes what was made, and ends this process as the child ended. */
async function endLike(child: ChildProcess): Promise<never> {
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  process.on("SIGINT", forward).on("SIGTERM", forward);
  const status = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
  process.exit(status); // the exit handler removes the namespaces
}

/** Runs `ip` here; throws with its words when it fails. */
export function ip(...args: string[]): string {
  return run("ip", ...args);
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

function cleanUpAtExit(): void {
  if (cleansUp) return;
  cleansUp = true;
  process.on("exit", () => {
    for (const one of backgrounds) one.kill();
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
  async waitFor(pattern: RegExp, timeoutMs = 10_000): Promise<void> {
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
