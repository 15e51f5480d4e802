/**
 * The addresses that one socket means by a wildcard: with a home it hears what was sent to these
 * only, and sends from them, as if its program ran on a machine of its own. Groups, broadcasts and
 * loopback addresses are everybody's.
 *
 * Sockets of different homes do not conflict, so two programs may have the same port.
 */
import type { IpAddress } from "../base/ip-address.js";

export interface Home {
  readonly v4: IpAddress | null;
  readonly v6: IpAddress | null;
}

/** Hot path. Whether a wildcard of this home means a unicast address. */
export function isHome(home: Home, address: IpAddress): boolean {
  const own = address.isV4 ? home.v4 : home.v6;
  return (own?.equals(address) ?? false) || address.isLoopback;
}

/** The address to send from to `dst`; null: any. */
export const homeTowards = (home: Home | null, dst: IpAddress): IpAddress | null =>
  home === null || dst.isLoopback ? null : dst.isV4 ? home.v4 : home.v6;
