/**
 * Running a program while this process goes on: a Millrace host that lives in the test must turn
 * while the program talks to it, so `spawnSync` would wait for ever.
 */
import { execFile } from "node:child_process";

const TIMEOUT_MS = 300_000;

/** Runs a program to its end and returns its output; rejects with its words when it fails. */
export function runAsync(program: string, ...args: string[]): Promise<string> {
  return runWithInput("", program, ...args);
}

/** As {@link runAsync}, with standard input. */
export function runWithInput(input: string, program: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: TIMEOUT_MS, maxBuffer: 64 << 20 };
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${program} ${args.join(" ")}: ${error.message}\n${stdout}${stderr}`));
    });
    child.stdin?.end(input);
  });
}
