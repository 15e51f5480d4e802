/**
 * Sees to it that this user's engine runs in this network namespace: finds it, or starts it in the
 * background and waits until it answers. Several that start at once end up with one: an engine holds a
 * lock, and who loses waits for the winner's.
 */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { NetError } from "../base/errors.js";
import {
  type EnginePaths,
  enginePaths,
  pathsBeside,
  prepareControl,
  whyNoControl,
} from "../engine/socket-path.js";
import type { StatEngine } from "../engine/stat-message.js";
import { argumentsOf, type EngineFlags, engineArguments, missingIn } from "./engine-flags.js";
import { askEngine } from "./stat-client.js";
import { DONE, FAILED, NO_ROOM, type World } from "./world.js";

const SCRIPT = fileURLToPath(new URL("../../../bin/millrace.js", import.meta.url));
const START_MS = 20_000;
/** How long another starter's engine may take after ours found the lock taken. */
const OTHER_MS = 5_000;
const LOOK_MS = 5;

/**
 * The paths of the engine that `run` and `stat` speak to: $MILLRACE_ENGINE, or this namespace's. Throws `TypeError` for
 * a relative one, as the launcher refuses it: programs that change their folder would not find it; and for one too long.
 */
export function currentEngine(env: World["env"]): EnginePaths {
  const given = env.MILLRACE_ENGINE;
  if (given === undefined || given === "") return enginePaths(env as NodeJS.ProcessEnv);
  if (!given.startsWith("/")) {
    throw new TypeError(
      `MILLRACE_ENGINE: expected the absolute path of a control socket, got ${given}`,
    );
  }
  const why = whyNoControl(given);
  if (why !== "") throw new TypeError(`MILLRACE_ENGINE: ${why}`);
  return pathsBeside(given);
}

/**
 * Status 0 when the engine answers and has what the flags ask for, {@link NO_ROOM} when there is none for it. `tells`: one
 * line about an engine that was started, since a run soon after another one may find that one's engine, and later its own.
 */
export async function ensureEngine(
  flags: EngineFlags,
  world: World,
  tells = false,
): Promise<number> {
  const paths = currentEngine(world.env);
  const running = await engineOf(paths);
  if (running !== null) return checkRunning(running, flags, paths, world);
  prepareControl(paths.control, world.env as NodeJS.ProcessEnv);
  const logPath = `${paths.control}.log`;
  const child = startEngine(paths, flags, logPath);
  // Looks are counted, not time: a machine that stands still for a while is no engine that does not start.
  for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
    const engine = await engineOf(paths);
    if (engine !== null) {
      if (engine.pid !== child.pid) return checkRunning(engine, flags, paths, world);
      if (tells) await world.err.write(`${startedText(engine.pid, flags)}\n`);
      return DONE;
    }
    const limitMs = child.status() === null ? START_MS : Math.min(START_MS, OTHER_MS);
    if (child.status() !== null && !isLockTaken(logPath)) break;
    if (waitedMs > limitMs) break;
    await sleep(LOOK_MS);
  }
  const why = whyNot(readFileSync(logPath, "utf8").trimEnd(), child.signal());
  // Mistakes in a file begin a line with their place, as everywhere.
  const isPlaced = /^\/\S*:\d+:\d+: /.test(why);
  await world.err.write(
    `millrace: the engine does not start:${isPlaced ? "\n" : " "}${why.replace(/^millrace( engine)?: /, "")}\n`,
  );
  const hasNoRoom = child.status() === NO_ROOM || child.signal() !== null;
  return hasNoRoom ? NO_ROOM : FAILED;
}

/** Its own words, if it could say any. */
function whyNot(log: string, signal: NodeJS.Signals | null): string {
  if (signal === null) return log === "" ? `no answer within ${START_MS / 1000} s` : log;
  const why = `${signal} ended it; is there memory for it (ulimit -v, -s, a container's)?`;
  return log === "" ? why : `${why} It said: ${log.trim()}`;
}

function startedText(pid: number, flags: EngineFlags): string {
  const args = engineArguments(flags);
  const has = args.includes("--nic") || args.includes("--config");
  const what = has
    ? args.join(" ")
    : "without --nic: programs of this machine reach each other only";
  return `millrace: started an engine (pid ${pid}) ${what}`;
}

/** Its first line, or null when nobody answers. */
async function engineOf(paths: EnginePaths): Promise<StatEngine | null> {
  const lines = await askEngine(paths.stat, {}).catch((error: unknown) => {
    // Making the folder says why.
    if (error instanceof NetError && error.code === "ENOTDIR") return null;
    throw error;
  });
  const first = lines?.[0];
  return first?.kind === "engine" ? first : null;
}

async function checkRunning(
  engine: StatEngine,
  flags: EngineFlags,
  paths: EnginePaths,
  world: World,
): Promise<number> {
  const missing = missingIn(argumentsOf(engine.pid), flags);
  if (missing.length === 0) {
    if (flags.config !== undefined && isNewer(flags.config, paths.control)) {
      await world.err.write(
        `millrace: ${flags.config} has changed since the engine that runs (pid ${engine.pid}) has read it; ` +
          `what it says now is for the next one: kill ${engine.pid}\n`,
      );
    }
    return DONE;
  }
  await world.err.write(
    `millrace: an engine runs already (pid ${engine.pid}), without ${missing.join(", ")}; ` +
      `end it first: kill ${engine.pid}\n`,
  );
  return FAILED;
}

/** An engine makes its control socket when it has read its configuration. */
function isNewer(config: string, control: string): boolean {
  const [written, made] = [config, control].map((path) =>
    statSync(path, { throwIfNoEntry: false }),
  );
  return written !== undefined && made !== undefined && written.mtimeMs > made.mtimeMs;
}

/** Another engine was quicker; the words are those of `millrace engine`. */
const isLockTaken = (logPath: string): boolean => /already/.test(readFileSync(logPath, "utf8"));

interface Started {
  readonly pid: number;
  /** Null while it runs. */
  readonly status: () => number | null;
  /** What ended it, if that was a signal. */
  readonly signal: () => NodeJS.Signals | null;
}

/** A session of its own, without terminal, so that Ctrl-C ends the program and not the engine. */
function startEngine(paths: EnginePaths, flags: EngineFlags, logPath: string): Started {
  const log = openSync(logPath, "w", 0o600);
  const args = [SCRIPT, "engine", "--socket", paths.control, ...engineArguments(flags)];
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: ["ignore", log, log],
    cwd: "/",
    env: engineEnvironment(process.env),
  });
  closeSync(log);
  child.unref();
  let status: number | null = null;
  let signal: NodeJS.Signals | null = null;
  child.on("exit", (code, by) => {
    status = code ?? FAILED;
    signal = by;
  });
  child.on("error", () => {
    status = FAILED;
  });
  return { pid: child.pid ?? -1, status: () => status, signal: () => signal };
}

/** Without what is meant for programs: the engine itself is never accelerated. */
function engineEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) =>
      name !== "LD_PRELOAD" && (!name.startsWith("MILLRACE_") || name === "MILLRACE_ADDON"),
  );
  return Object.fromEntries(kept);
}
