/** Runs contestants in processes of their own, the TAP one in a network namespace of its own. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Result } from "./work.js";

/** Why a contestant could not take part. */
export interface LeftOut {
  readonly leftOut: string;
}

/** A contestant takes four seconds; more where a busy machine lets it wait for a processor. */
const LIMIT_MS = 120_000;
/** `ip` lies where an unprivileged user's path does not lead. */
const PATH = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;
const env = { ...process.env, PATH };

/** Runs `kernel` or `memif`. Throws when it fails or takes too long. */
export function run(name: string, isQuick: boolean): Result {
  return start(name, isQuick, []) as Result;
}

/** Runs `tap` where this process may; otherwise says in a line why not and what to do. */
export function runTap(isQuick: boolean): Result | LeftOut {
  const missing = ["ip", "unshare"].filter((program) => !isInstalled(program));
  if (missing.length > 0) {
    return {
      leftOut: `${missing.join(" and ")} missing: apt-get install iproute2 util-linux`,
    };
  }
  const unshare = namespaces().find(([program, ...args]) => {
    return spawnSync(program!, [...args, "true"], { env }).status === 0;
  });
  if (unshare === undefined) {
    return {
      leftOut:
        "this user may make no network namespace (unshare -Urn): run the demo as root; npx millrace doctor says how to allow it",
    };
  }
  return start("tap", isQuick, unshare);
}

/** What to try: root needs no user namespace, and in a container may have one only. */
function namespaces(): string[][] {
  const unprivileged = ["unshare", "-Urn"];
  return process.getuid?.() === 0 ? [["unshare", "-n"], unprivileged] : [unprivileged];
}

function isInstalled(program: string): boolean {
  return spawnSync(program, ["--version"], { env }).error === undefined;
}

function start(name: string, isQuick: boolean, prefix: readonly string[]): Result | LeftOut {
  const file = fileURLToPath(new URL("contestant.js", import.meta.url));
  const command = [...prefix, process.execPath, file, name, ...(isQuick ? ["quick"] : [])];
  const { status, error, stdout, stderr } = spawnSync(command[0]!, command.slice(1), {
    encoding: "utf8",
    env,
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
  });
  if ((error as NodeJS.ErrnoException | undefined)?.code === "ETIMEDOUT") {
    throw new Error(`contestant ${name}: not done after ${LIMIT_MS / 1_000} s; ${stderr.trim()}`);
  }
  if (error !== undefined) throw error;
  if (status === 0 && stdout !== "") return JSON.parse(stdout);
  throw new Error(`contestant ${name}: exit status ${status}: ${stderr.trim()}`);
}
