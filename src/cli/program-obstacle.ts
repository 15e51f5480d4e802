/** What is in the way of programs that run already. */
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { inspect, Obstacle } from "./inspection.js";

const LAUNCHER = {
  root: fileURLToPath(new URL("../../../", import.meta.url)),
  exists: existsSync,
  output(program: string, args: readonly string[]): string | null {
    const { status, stdout } = spawnSync(program, args, { encoding: "utf8", timeout: 5000 });
    return status === 0 ? stdout : null;
  },
};

/** Of a process's file, by `Obstacle` in inspection.ts. */
export type ObstacleOf = (pid: number) => number;

/** Each file is looked at once, however many processes run it. */
export function obstacles(): ObstacleOf {
  const known = new Map<string, number>();
  return (pid) => {
    const path = `/proc/${pid}/exe`;
    try {
      const { dev, ino } = statSync(path);
      const key = `${dev}:${ino}`;
      const found = known.get(key) ?? inspect(LAUNCHER, path)?.obstacle ?? Obstacle.NONE;
      known.set(key, found);
      return found;
    } catch {
      return Obstacle.NONE; // it has ended
    }
  };
}
