/** Names and addresses for `millrace/net` and `millrace/dgram`: resolved as Node's modules do. */
import { lookup as systemLookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { configure, currentSettings } from "./accelerator.js";
import { accelerates, environmentSettings } from "./settings.js";

/** Calls back with a literal address; at once, in a microtask, when it is one already. */
export function resolveHost(
  host: string,
  family: number,
  lookup: LookupFunction | undefined,
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  const known = isIP(host);
  if (known !== 0) {
    process.nextTick(done, null, host, known);
    return;
  }
  const ask = lookup ?? (systemLookup as unknown as LookupFunction);
  ask(host, { family }, (error, found, of) => {
    const first = typeof found === "string" ? { address: found, family: of } : found?.[0];
    done(error, first?.address ?? "", first?.family ?? isIP(first?.address ?? ""));
  });
}

let isRead = false;

/** Without `register()` the environment says with what: it is read when it is first needed. */
export function useEnvironment(): void {
  if (isRead) return;
  isRead = true;
  if (!accelerates(currentSettings())) configure(environmentSettings());
}
