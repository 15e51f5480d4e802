/** Routes that the user gives and takes away, beside those that come of addresses and routers. */
import { ENETUNREACH, ENODEV } from "../base/errno.js";
import { IpAddress } from "../base/ip-address.js";
import { NEVER } from "../base/time.js";
import type { Interface } from "./interface.js";
import type { Ip } from "./ip.js";
import { fullBits, maskTo, parsePrefix } from "./prefix.js";
import { RouteOrigin } from "./routes.js";

export interface RouteOptions {
  /** `0.0.0.0/0`, `fd00::/8`. */
  readonly destination: string;
  readonly gateway?: string;
  readonly iface?: Interface | string;
  readonly metric?: number;
  readonly src?: string;
}

/**
 * Adds a route. 0; -ENODEV when there is no such interface; -ENETUNREACH when no interface is given
 * and the gateway is on no connected subnet. Throws `TypeError` for text that is no address.
 */
export function addUserRoute(ip: Ip, options: RouteOptions): number {
  const prefix = parsePrefix(options.destination);
  const gateway = options.gateway === undefined ? null : IpAddress.parse(options.gateway);
  const iface = interfaceOf(ip, options, gateway);
  if (typeof iface === "number") return iface;
  const destination = new IpAddress();
  maskTo(prefix.address, fullBits(prefix), destination);
  ip.routes.add({
    destination,
    bits: fullBits(prefix),
    iface,
    gateway,
    metric: options.metric ?? 0,
    src: options.src === undefined ? null : IpAddress.parse(options.src),
    origin: RouteOrigin.USER,
    expiresAtUs: NEVER,
  });
  ip.invalidatePaths();
  return 0;
}

function interfaceOf(ip: Ip, options: RouteOptions, gateway: IpAddress | null): Interface | number {
  if (typeof options.iface === "object") return options.iface;
  if (options.iface !== undefined) return ip.interfaceByName(options.iface) ?? -ENODEV;
  const onLink = gateway === null ? null : ip.routes.find(gateway, 0, () => true);
  return onLink === null || onLink.gateway !== null ? -ENETUNREACH : onLink.iface;
}

/** Removes the user's routes to a destination (through one gateway, if given); returns how many. */
export function removeUserRoutes(ip: Ip, destination: string, gateway?: string): number {
  const prefix = parsePrefix(destination);
  const bits = fullBits(prefix);
  const masked = new IpAddress();
  maskTo(prefix.address, bits, masked);
  const via = gateway === undefined ? null : IpAddress.parse(gateway);
  const removed = ip.routes.remove(
    (r) =>
      r.origin === RouteOrigin.USER &&
      r.bits === bits &&
      r.destination.equals(masked) &&
      (via === null || (r.gateway?.equals(via) ?? false)),
  );
  if (removed > 0) ip.invalidatePaths();
  return removed;
}
