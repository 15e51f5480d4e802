/**
 * `node --import millrace/register app.js`: accelerates an unmodified program inside its own process
 * (docs/node.md). The environment says with what; `register({...})` in a preloaded module of one's
 * own does so, too.
 *
 * Sockets that were opened before it is loaded stay with the kernel.
 */
import { configure } from "./accelerator.js";
import { install } from "./install.js";
import { checkSettings, environmentSettings, type NodeSettings } from "./settings.js";
import { decisions, type Verdict, verdictOf } from "./verdict.js";

export type { NodeSettings, Profile } from "./settings.js";
export type { Carrier, Decision, Verdict } from "./verdict.js";
export { decisions };

install();

/**
 * Accelerates the sockets that are opened from now on. Settings replace those of the environment one
 * by one. Throws `TypeError` for settings that make no sense.
 */
export function register(settings: NodeSettings = {}): void {
  const checked = checkSettings(settings, "register");
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

configure(environmentSettings());
