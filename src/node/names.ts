/** Addresses as Node's handles give them. */
import type { IpAddress } from "../base/ip-address.js";
import type { NameOut } from "./natives.js";

/** Names of interfaces by number, for zones. */
export interface InterfaceNames {
  interfaceByIndex(index: number): { readonly name: string } | null;
}

/** The address as a socket of that family sees it: IPv4 ones are mapped for IPv6 sockets. */
export function textOf(
  address: IpAddress,
  is6: boolean,
  ifIndex: number,
  names: InterfaceNames | null,
): string {
  const text = address.toString();
  if (address.isV4) {
    if (!is6) return text;
    return address.isUnspecified ? "::" : `::ffff:${text}`;
  }
  if (ifIndex === 0 || !address.isLinkLocal) return text;
  const name = names?.interfaceByIndex(ifIndex)?.name;
  return name === undefined ? text : `${text}%${name}`;
}

/** Fills in what `getsockname` and `getpeername` give; returns 0, as they do. */
export function fillName(
  out: NameOut,
  address: IpAddress,
  port: number,
  is6: boolean,
  ifIndex: number,
  names: InterfaceNames | null = null,
): number {
  out.address = textOf(address, is6, ifIndex, names); // in the order of Node's
  out.family = is6 ? "IPv6" : "IPv4";
  out.port = port;
  return 0;
}
