/** What the kernel says of processes: proc_pid_stat(5). */
import { readdirSync, readFileSync } from "node:fs";

interface ProcessState {
  /** `R` runs or could, `S` sleeps until something comes, `T` was stopped, `Z` has ended. */
  readonly state: string;
  readonly group: number;
}

/** Null: it is gone. */
export function processState(pid: number): ProcessState | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return null;
  }
  const [state = "", , group] = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state, group: Number(group) };
}

/**
 * Whether a process of this group can do anything yet. Those that have ended count no more, though a signal still
 * finds them: where nobody waits for orphans, as in many containers, they stay for ever.
 */
export function isGroupAlive(group: number): boolean {
  return readdirSync("/proc").some((name) => {
    const found = /^\d+$/.test(name) ? processState(Number(name)) : null;
    return found?.group === group && !"ZX".includes(found.state);
  });
}
