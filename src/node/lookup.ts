/** Names and addresses for `millrace/net` and `millrace/dgram`: resolved as Node's modules do. */
import { lookup as systemLookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { nextTick } from "../base/timers.js";
import { configure, currentSettings } from "./accelerator.js";
import type { Address } from "./attempts.js";
import { accelerates, environmentSettings } from "./settings.js";

/** Calls back with a literal address; at once, in a microtask, when it is one already. */
export function resolveHost(
  host: string,
  family: number,
  lookup: LookupFunction | undefined,
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  resolveAll(host, { family }, lookup, (error, [first]) =>
    done(error, first?.address ?? "", first?.family ?? 0),
  );
}

/** As {@link resolveHost}, with all addresses that there are where `all` is asked for. */
export function resolveAll(
  host: string,
  how: { readonly family: number; readonly all?: true },
  lookup: LookupFunction | undefined,
  done: (error: NodeJS.ErrnoException | null, addresses: readonly Address[]) => void,
): void {
  const known = isIP(host);
  if (known !== 0) {
    nextTick(done, null, [{ address: host, family: known }]);
    return;
  }
  const ask = lookup ?? (systemLookup as unknown as LookupFunction);
  ask(host, how, (error, found, of) => {
    const list = typeof found === "string" ? [{ address: found, family: of }] : (found ?? []);
    done(
      error,
      list.map(({ address, family }) => ({ address, family: family ?? isIP(address) })),
    );
  });
}

let isRead = false;

/** Without `register()` the environment says with what: it is read when it is first needed. */
export function useEnvironment(): void {
  if (isRead) return;
  isRead = true;
  if (!accelerates(currentSettings())) configure(environmentSettings());
}
