/** A program that must not notice what others do (programs/steady.c). */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { until } from "../support/until.js";

export const HERE = "10.77.0.1";
/** Patience with loaded machines. */
const LONG_MS = 60_000;

/** Echoes that go on until {@link Steady.end}. */
export class Steady {
  readonly child: ChildProcess;
  out = "";

  constructor(program: string, env: NodeJS.ProcessEnv) {
    this.child = spawn(program, [HERE], { env, stdio: ["pipe", "pipe", "inherit"] });
    this.child.stdout!.on("data", (data: Buffer) => {
      this.out += data.toString();
    });
  }

  async port(): Promise<string> {
    await until(() => /^port \d+\n/.test(this.out), `a port in ${this.out}`, LONG_MS);
    return this.out.split(/[ \n]/)[1]!;
  }

  /** How many echoes were right; fails if one was not. */
  async end(): Promise<number> {
    const closed = once(this.child, "close");
    this.child.stdin!.end();
    await closed;
    assert.match(this.out, /^port \d+\n\d+ echoes were right\n$/);
    return Number(this.out.split(/[ \n]/)[2]);
  }
}
