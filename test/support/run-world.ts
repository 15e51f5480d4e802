/**
 * Real programs under `millrace run`, for tests: an engine of the test's own, programs in the
 * background whose output is kept, and what `millrace stat` says of their sockets.
 *
 * Call inside a namespace of the test's own (namespace.ts), so that ports are nobody else's.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { type EnginePaths, enginePaths } from "../../src/engine/socket-path.js";
import type { StatLine, StatSocket } from "../../src/engine/stat-message.js";
import { askPatiently } from "./engine-answers.js";
import { PATIENCE_MS, untilAsync } from "./until.js";

const MILLRACE = fileURLToPath(new URL("../../../bin/millrace", import.meta.url));
/** The machine's address on the network among its programs. */
export const HERE = "10.77.0.1";

export interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** A program that was started, and all that it has said. */
export class Running {
  readonly words: string;
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  out = "";
  err = "";
  isOver = false;

  /** `keepsInput`: its standard input stays open. */
  constructor(
    words: readonly string[],
    env: NodeJS.ProcessEnv,
    input: string | null,
    keepsInput = false,
  ) {
    this.words = words.join(" ");
    const stdin = input === null && !keepsInput ? "ignore" : "pipe";
    this.child = spawn(words[0]!, words.slice(1), { env, stdio: [stdin, "pipe", "pipe"] });
    this.child.stdin?.on("error", () => {}); // it may end before it has read all
    if (!keepsInput) this.child.stdin?.end(input ?? "");
    this.child.stdout!.on("data", (data: Buffer) => {
      this.out += data.toString();
    });
    this.child.stderr!.on("data", (data: Buffer) => {
      this.err += data.toString();
    });
    this.ended = new Promise((resolve) => {
      this.child.on("close", (status) => {
        this.isOver = true;
        resolve({ status, out: this.out, err: this.err });
      });
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Until the program has said this; fails when it ends before. */
  async said(pattern: RegExp): Promise<void> {
    await untilAsync(
      async () => pattern.test(this.out + this.err),
      () => `${this.words} did not say ${pattern}: ${this.out}${this.err}`,
      () => this.isOver,
    );
  }

  async stop(): Promise<Ended> {
    if (!this.isOver) this.child.kill("SIGTERM");
    const kill = setTimeout(() => this.child.kill("SIGKILL"), 20_000);
    const ended = await this.ended;
    clearTimeout(kill);
    return ended;
  }
}

export class RunWorld {
  readonly millrace: string = MILLRACE;
  readonly folder = mkdtempSync(join(tmpdir(), `millrace-run-${process.pid}-`));
  readonly env: NodeJS.ProcessEnv;
  private readonly started: Running[] = [];
  private readonly paths: EnginePaths;

  private constructor() {
    const kept = Object.entries(process.env).filter(
      ([name]) => !name.startsWith("MILLRACE_") && !name.startsWith("NODE_TEST"),
    );
    this.env = {
      ...Object.fromEntries(kept),
      XDG_RUNTIME_DIR: this.folder,
      MILLRACE_NODE: process.execPath,
      LC_ALL: "C",
    };
    this.paths = enginePaths(this.env);
  }

  /** With an engine that is started by the first program; everything ends with the test file. */
  static open(): RunWorld {
    const world = new RunWorld();
    after(() => world.end());
    return world;
  }

  /** Starts a program under Millrace. */
  accelerated(...words: string[]): Running {
    return this.start([MILLRACE, "run", ...words], null);
  }

  /** Starts a program as it is. */
  plain(...words: string[]): Running {
    return this.start(words, null);
  }

  /** Runs a program under Millrace to its end; fails unless its status is 0. */
  async run(...words: string[]): Promise<string> {
    return await this.output(this.accelerated(...words));
  }

  async runWithInput(input: string, ...words: string[]): Promise<string> {
    return await this.output(this.start([MILLRACE, "run", ...words], input));
  }

  async runPlain(...words: string[]): Promise<string> {
    return await this.output(this.plain(...words));
  }

  start(words: readonly string[], input: string | null, keepsInput = false): Running {
    const running = new Running(words, this.env, input, keepsInput);
    this.started.push(running);
    return running;
  }

  /** What it prints until it ends; fails unless its status is 0. */
  async output(running: Running): Promise<string> {
    const timer = setTimeout(() => running.child.kill("SIGKILL"), PATIENCE_MS);
    const { status, out, err } = await running.ended;
    clearTimeout(timer);
    const said = `${out}${err}`.slice(0, 2000);
    assert.equal(status, 0, `${running.words}: ${said}; ${await this.describe()}`);
    return out;
  }

  async stat(): Promise<readonly StatLine[]> {
    return (await askPatiently(this.paths.stat)) ?? [];
  }

  async sockets(): Promise<readonly StatSocket[]> {
    return (await this.stat()).filter((line) => line.kind === "socket");
  }

  /** Until a program listens, or is bound, there; it must be accelerated. */
  async serves(port: number, server?: Running): Promise<void> {
    await this.has(
      // A TCP socket that is bound is shown before it listens.
      ({ localPort, remotePort, protocol, state }) =>
        localPort === port && remotePort === 0 && (protocol !== "tcp" || state === "LISTEN"),
      `a server on port ${port}`,
      server,
    );
  }

  /** Until a socket like this is there; it must be accelerated. */
  async has(
    isIt: (socket: StatSocket) => boolean,
    what: string,
    by?: Running,
  ): Promise<StatSocket> {
    let found: StatSocket | undefined;
    let seen: readonly StatSocket[] = [];
    await untilAsync(
      async () => {
        seen = await this.sockets();
        found = seen.find(isIt);
        return found !== undefined;
      },
      () => `no ${what} in ${JSON.stringify(seen)}; ${by?.out ?? ""}${by?.err ?? ""}`,
      () => by?.isOver === true,
    );
    assert.ok(found!.accelerated, `${what} is not accelerated: ${found!.reason}`);
    return found!;
  }

  /** Every socket that the programs have now is accelerated. */
  async allAccelerated(): Promise<void> {
    const kernel = (await this.sockets()).filter(({ accelerated }) => !accelerated);
    assert.deepEqual(kernel, []);
  }

  /** All sockets in a line each, for messages. */
  private async describe(): Promise<string> {
    const lines = (await this.sockets()).map((socket) => JSON.stringify(socket));
    return lines.slice(0, 20).join("\n");
  }

  /** What `millrace stat` prints. */
  async statText(...options: string[]): Promise<string> {
    return await this.output(this.start([MILLRACE, "stat", ...options], null));
  }

  /** Ends its programs and its engine, before the file's end does. */
  async end(): Promise<void> {
    if (this.hasEnded) return;
    this.hasEnded = true;
    await this.close();
  }

  private hasEnded = false;

  private async close(): Promise<void> {
    await Promise.all(this.started.map((running) => running.stop()));
    const engine = (await this.stat()).find((line) => line.kind === "engine");
    if (engine !== undefined) {
      process.kill(engine.pid, "SIGTERM");
      await untilAsync(
        async () => (await this.stat()).length === 0,
        () => "the engine does not end",
        () => false,
      );
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
