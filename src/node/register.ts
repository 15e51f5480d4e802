/**
 * `node --import millrace/register app.js`: accelerates an unmodified program inside its own process
 * (docs/node.md). The environment says with what; `register({...})` in a preloaded module of one's
 * own does so, too.
 *
 * Must be loaded before `net` and `dgram`: they take the classes under them once.
 */
import { configure } from "./accelerator.js";
import { install, loadedTooEarly } from "./install.js";
import { printLine } from "./natives.js";
import { accelerates, checkSettings, environmentSettings, type NodeSettings } from "./settings.js";
import { decisions, type Verdict, verdictOf } from "./verdict.js";

export type { NodeSettings, Profile } from "./settings.js";
export type { Carrier, Decision, Verdict } from "./verdict.js";
export { decisions };

const early = loadedTooEarly();
if (early.length === 0) install();

/**
 * Accelerates the sockets that are opened from now on. Settings replace those of the environment one
 * by one. Throws `TypeError` for settings that make no sense, and when `net` was loaded before.
 */
export function register(settings: NodeSettings = {}): void {
  const checked = checkSettings(settings, "register");
  if (early.length > 0) throw new Error(`millrace: ${tooEarly()}`);
  configure({ ...environmentSettings(), ...checked });
}

/** Who carries a `net.Socket`, `net.Server` or `dgram.Socket`, and why; null: not decided yet. */
export function explain(socket: object): Verdict | null {
  const handle = stateHandle(socket) ?? (Reflect.get(socket, "_handle") as object | undefined);
  return handle == null ? null : verdictOf(handle);
}

/** The handle of a `dgram.Socket`, which keeps it in a state of its own. */
function stateHandle(socket: object): object | null {
  for (const key of Object.getOwnPropertySymbols(socket)) {
    if (key.description !== "state symbol") continue;
    return (Reflect.get(socket, key) as { handle?: object }).handle ?? null;
  }
  return null;
}

function tooEarly(): string {
  const why =
    process.channel === undefined ? "" : " (Node loads it first in a process with an IPC channel)";
  return `${early.join(" and ")} ${early.length > 1 ? "were" : "was"} loaded before millrace/register${why}; preload it with node --import millrace/register`;
}

const settings = environmentSettings();
if (early.length === 0) configure(settings);
else if (accelerates(settings) && (process.channel === undefined || settings.debug === true)) {
  printLine(`millrace: ${tooEarly()}; sockets stay with the kernel`);
}
