/** What `millrace run` costs beside speed: memory of idle sockets, and time to start a program. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { nativeProgram } from "../child.js";
import { ENGINE_ADDRESS, RunPlace } from "../run-place.js";
import type { Metrics, Scenario } from "../scenario.js";

const run = promisify(execFile);

// Memory

const FEW = 500;
const MANY = 5_500;
const SOCKETS = 2 * (MANY - FEW);

/** Bytes of a process that are its own: garbage that V8 has not collected is in it. */
function ownMemory(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) * 1_024;
}

/** The figure that the program says after `word`. */
function said(child: ChildProcess, word: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = "";
    const hear = (data: Buffer): void => {
      text += data.toString();
      const found = new RegExp(`${word} (\\d+)\n`).exec(text);
      if (found === null) return;
      child.stdout!.off("data", hear);
      resolve(Number(found[1]));
    };
    child.stdout!.on("data", hear);
    child.once("close", () => reject(new Error(`no "${word}": ${text}`)));
  });
}

async function idleSockets(place: RunPlace, program: string): Promise<Metrics> {
  const command = place.under([program, ENGINE_ADDRESS, `${FEW}`, `${MANY}`]);
  const child = spawn(command[0]!, command.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const few = await said(child, "few");
  const engineFew = ownMemory(place.enginePid);
  child.stdin!.write("x");
  const many = await said(child, "many");
  const engineMany = ownMemory(place.enginePid);
  child.stdin!.write("x");
  await ended;
  const shim_bytes = (many - few) / SOCKETS;
  const engine_bytes = (engineMany - engineFew) / SOCKETS;
  return { bytes_per_socket: shim_bytes + engine_bytes, shim_bytes, engine_bytes };
}

const memory: Scenario = {
  name: "run-memory",
  summary: `memory of the shim and of the engine for each of ${SOCKETS} idle TCP sockets, rings aside`,
  metric: "bytes_per_socket",
  smallerIsBetter: true,
  rounds: 3,
  prepare: async () => {
    const program = await nativeProgram("idle-sockets");
    // An engine for each round: what the last one left free would be used again. With a small young
    // generation, or its garbage would be counted.
    const millrace = async (): Promise<Metrics> => {
      const place = await RunPlace.open(["--max-semi-space-size=1"]);
      try {
        return await idleSockets(place, program);
      } finally {
        await place.close();
      }
    };
    return { millrace, baselines: {} };
  },
};

// Starting

const STARTS = 20;

/** Median, in milliseconds. */
async function startTime(command: readonly string[]): Promise<Metrics> {
  const times: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    const before = performance.now();
    await run(command[0]!, command.slice(1));
    times.push(performance.now() - before);
  }
  times.sort((a, b) => a - b);
  return { p50_ms: times[STARTS >> 1]!, least_ms: times[0]! };
}

const start: Scenario = {
  name: "run-start",
  summary: "`millrace run true` with an engine that runs, and `true`",
  metric: "p50_ms",
  smallerIsBetter: true,
  rounds: 3,
  prepare: async () => {
    const place = await RunPlace.open();
    return {
      millrace: () => startTime(place.under(["true"])),
      baselines: { "without-millrace": () => startTime(["true"]) },
      cleanUp: place.close,
    };
  },
};

export const RUN_COSTS: readonly Scenario[] = [memory, start];
