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
  /**
   * Of those who have no address of their own: what others have of theirs. Then the home is every
   * other address of the host, and `v4` and `v6` are what such an address is sent to from.
   */
  readonly others?: readonly IpAddress[];
}

/** Hot path. Whether a wildcard of this home means a unicast address. */
export function isHome(home: Home, address: IpAddress): boolean {
  if (home.others !== undefined) return !includes(home.others, address);
  const own = address.isV4 ? home.v4 : home.v6;
  return (own?.equals(address) ?? false) || address.isLoopback;
}

/** The address to send from to `dst`; null: any. */
export function homeTowards(home: Home | null, dst: IpAddress): IpAddress | null {
  if (home === null || dst.isLoopback) return null;
  if (home.others !== undefined && !includes(home.others, dst)) return null;
  return dst.isV4 ? home.v4 : home.v6;
}

/** Hot path: few programs have addresses of their own. */
function includes(list: readonly IpAddress[], address: IpAddress): boolean {
  for (let i = 0; i < list.length; i++) if (list[i]!.equals(address)) return true;
  return false;
}
