/**
 * Two ends of a contestant, each in a process of its own on a core of its own; and the network
 * namespaces that kernel sockets meet in.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { nativeProgram } from "./child.js";
import type { Metrics } from "./scenario.js";

export const CLIENT_CORE = "0";
export const SERVER_CORE = "1";
/** A pair that takes longer hangs. */
const LONGEST_MS = 120_000;
export const SERVER_ADDRESS = "10.77.5.1";
const CLIENT_ADDRESS = "10.77.5.2";

export const casePath = (name: string): string =>
  fileURLToPath(new URL(`./cases/${name}.js`, import.meta.url));

/** A program and its arguments. */
export type Command = readonly string[];

export interface Duel {
  readonly server: Command;
  readonly client: Command;
  /** What the server says when the client may start; `ready` by default. */
  readonly ready?: RegExp;
  /** The server ends by itself and has something to say; otherwise it is ended after the client. */
  readonly serverEnds?: boolean;
}

/** What both said. */
export interface DuelOutput {
  readonly server: string;
  readonly client: string;
}

class End {
  output = "";
  readonly child: ChildProcess;
  readonly closed: Promise<number | null>;
  private onOutput: () => void = () => {};

  constructor(command: Command) {
    this.child = spawn(command[0]!, command.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
    const kill = (): void => void this.child.kill("SIGKILL");
    process.on("exit", kill);
    this.child.once("close", () => process.off("exit", kill));
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.on("data", (text: Buffer) => {
        this.output += text.toString();
        this.onOutput();
      });
    }
    this.closed = new Promise((resolve) => this.child.once("close", resolve));
  }

  waitFor(pattern: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      this.onOutput = () => {
        if (pattern.test(this.output)) resolve();
      };
      this.onOutput();
      void this.closed.then(() => reject(new Error(`the server ended early: ${this.output}`)));
    });
  }
}

/** Runs one round. Throws with what they said when one fails. */
export async function duel(d: Duel): Promise<DuelOutput> {
  const server = new End(pinned(SERVER_CORE, d.server));
  const tooLong = setTimeout(() => server.child.kill("SIGKILL"), LONGEST_MS);
  let client: End | null = null;
  try {
    await server.waitFor(d.ready ?? /ready/);
    client = new End(pinned(CLIENT_CORE, d.client));
    void server.closed.then((status) => {
      if (status !== 0) client?.child.kill("SIGKILL");
    });
    const status = await client.closed;
    if (status !== 0) throw new Error(`${d.client.join(" ")}: ${client.output}\n${server.output}`);
    if (d.serverEnds !== true) await ended(server);
    else if ((await server.closed) !== 0)
      throw new Error(`${d.server.join(" ")}: ${server.output}`);
    return { server: server.output, client: client.output };
  } finally {
    clearTimeout(tooLong);
    await ended(server);
  }
}

/** The server has a moment to say goodbye. */
async function ended(server: End): Promise<void> {
  const timer = setTimeout(() => server.child.kill("SIGKILL"), 1_000);
  if (server.child.exitCode === null) server.child.kill("SIGINT");
  await server.closed;
  clearTimeout(timer);
}

const pinned = (core: string, command: Command): Command => {
  // `ip netns exec` runs what it is given: the pinning passes to it.
  return ["taskset", "-c", core, ...command];
};

/** The last line that is a JSON object. */
export function metricsOf(output: string): Metrics {
  const line = output.split("\n").findLast((text) => text.startsWith("{"));
  if (line === undefined) throw new Error(`there are no figures in: ${output}`);
  return JSON.parse(line) as Metrics;
}

let memifs = 0;
/** Two processes joined by memif; `args` come after role and path. */
export function memifDuel(name: string, args: Command, serverEnds = false): Promise<DuelOutput> {
  const path = `@millrace-bench-${process.pid}-${memifs++}`;
  const end = (role: string): Command => [process.execPath, casePath(name), role, path, ...args];
  return duel({ server: end("server"), client: end("client"), serverEnds });
}

export const REGISTER = new URL("../bundle/node/register.js", import.meta.url).href;
/** Addresses of the memif between accelerated programs. */
const MEMIF_SERVER = "10.77.6.1";
const MEMIF_CLIENT = "10.77.6.2";

/** Two unmodified programs of Node's, accelerated in process; `rest` comes after the server's address. */
export function acceleratedDuel(
  name: string,
  args: Command,
  rest: Command,
  options: { readonly serverEnds?: boolean; readonly profile?: string } = {},
): Promise<DuelOutput> {
  const { serverEnds = false, profile = "latency" } = options;
  const path = `@millrace-bench-${process.pid}-${memifs++}`;
  const end = (role: string, own: string): Command => [
    "env",
    `MILLRACE_PROFILE=${profile}`,
    `MILLRACE_NIC=memif:${path},role=${role}`,
    `MILLRACE_ADDRESS=${own}/24`,
    process.execPath,
    "--import",
    REGISTER,
    casePath(name),
    role,
    ...args,
    MEMIF_SERVER,
    ...rest,
  ];
  const server = end("server", MEMIF_SERVER);
  return duel({ server, client: end("client", MEMIF_CLIENT), serverEnds });
}

/** Nanoseconds that a cache line takes from core to core and back (bench/README.md, "Noise"). */
export async function cacheProbe(): Promise<() => Promise<number>> {
  const program = await nativeProgram("cache-bounce");
  return async () => {
    const output = execFileSync(program, [CLIENT_CORE, SERVER_CORE], { encoding: "utf8" });
    return metricsOf(output).bounce_ns!;
  };
}

/** Two namespaces that are joined by a veth; the server is in one, the client in the other. */
export class VethPair {
  private readonly names: readonly [string, string];
  private isClosed = false;

  constructor() {
    const [near, far] = [`mrb-${process.pid}-c`, `mrb-${process.pid}-s`];
    this.names = [near, far];
    const ip = (...args: string[]): void => void execFileSync("ip", args);
    for (const name of this.names) ip("netns", "add", name);
    try {
      ip("link", "add", "veth0", "netns", near, "type", "veth", "peer", "veth0", "netns", far);
      ip("-n", near, "address", "add", `${CLIENT_ADDRESS}/24`, "dev", "veth0");
      ip("-n", far, "address", "add", `${SERVER_ADDRESS}/24`, "dev", "veth0");
      process.on("exit", this.leave).once("SIGINT", this.end).once("SIGTERM", this.end);
      for (const name of this.names) {
        ip("-n", name, "link", "set", "lo", "up");
        ip("-n", name, "link", "set", "veth0", "up");
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** A round between them. */
  duel(d: Duel): Promise<DuelOutput> {
    const [near, far] = this.names;
    const server = ["ip", "netns", "exec", far, ...d.server];
    const client = ["ip", "netns", "exec", near, ...d.client];
    return duel({ ...d, server, client });
  }

  /** Idempotent. */
  close(): void {
    process.off("exit", this.leave).off("SIGINT", this.end).off("SIGTERM", this.end);
    this.leave();
  }

  /** Nothing stays behind when the benchmark is ended early. */
  private readonly leave = (): void => {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const name of this.names) execFileSync("ip", ["netns", "delete", name]);
  };
  private readonly end = (): void => process.exit(1);
}
