/** Runs a program with Node.js, on the kernel's sockets or on Millrace's. */
import { spawn } from "node:child_process";

const REGISTER = new URL("../../../bundle/node/register.js", import.meta.url).href;
/** Seconds in which the test's own process ran: a machine may stand still. */
const LIMIT_S = 60;

export interface CaseOptions {
  readonly accelerated: boolean;
  readonly env?: NodeJS.ProcessEnv;
  readonly args?: readonly string[];
  /** Arguments of Node's. */
  readonly nodeArgs?: readonly string[];
}

export interface CaseResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Waits for the end; one that does not come is status null. */
export function runCase(file: string, options: CaseOptions): Promise<CaseResult> {
  const preload = options.accelerated ? ["--import", REGISTER] : [];
  const millrace = options.accelerated ? { MILLRACE_LOOPBACK: "1", MILLRACE_DEBUG: "1" } : {};
  const nodeArgs = [...preload, ...(options.nodeArgs ?? [])];
  const child = spawn(process.execPath, [...nodeArgs, file, ...(options.args ?? [])], {
    env: { ...process.env, NODE_OPTIONS: "", ...millrace, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (d) => {
    stdout += d;
  });
  child.stderr.setEncoding("utf8").on("data", (d) => {
    stderr += d;
  });
  let leftS = LIMIT_S;
  const limit = setInterval(() => {
    if (--leftS === 0) child.kill("SIGKILL");
  }, 1_000);
  return new Promise((resolve) => {
    child.on("close", (status) => {
      clearInterval(limit);
      resolve({ status, stdout, stderr });
    });
  });
}
