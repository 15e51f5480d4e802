/**
 * Random socket calls of two processes (programs/calls-random.c), on the kernel and under Millrace: both must say the
 * same. A game counts if the kernel says the same of it twice; one that differs is played again with more time between
 * its calls.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { Comparison } from "./comparison.js";

await enterNamespace(import.meta.url, "ip", "cc");

const KERNELS = ["127.0.0.1", "::1"];
const OURS = ["10.77.0.1", "fd77::1"];
const SOON_US = 300;
const LATER_US = 5_000;
const GAMES = Number(process.env.MILLRACE_GAMES ?? 60);

let comparison: Comparison;
let program: string;
before(async () => {
  comparison = await Comparison.begin();
  program = comparison.build("calls-random");
});
after(() => comparison.end());

/** What was said in each game. */
function play(isOurs: boolean, first: number, last: number, pauseUs: number): Map<number, string> {
  const args = [...(isOurs ? OURS : KERNELS), first, last, pauseUs].map(String);
  const env = isOurs
    ? { LD_PRELOAD: comparison.preload, MILLRACE_ENGINE: comparison.enginePath }
    : {};
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: "utf8",
    env: { ...process.env, ...env },
    timeout: 600_000,
    maxBuffer: 1 << 28,
  });
  assert.equal(status, 0, `${stderr}${stdout.slice(-500)}`);
  const games = stdout.split(/^seed (\d+)\n/m);
  const said = new Map<number, string>();
  for (let i = 1; i < games.length; i += 2) said.set(Number(games[i]), games[i + 1]!);
  return said;
}

function compare(first: number, last: number): void {
  const kernels = play(false, first, last, 50);
  const again = play(false, first, last, 50);
  const ours = play(true, first, last, SOON_US);
  for (const [seed, said] of kernels) {
    if (said !== again.get(seed) || said === ours.get(seed)) continue;
    const slowly = play(false, seed, seed, LATER_US).get(seed);
    assert.equal(play(true, seed, seed, LATER_US).get(seed), slowly, `seed ${seed}`);
  }
}

test("random calls say the same under Millrace as on the kernel", () => compare(1, GAMES));
