/** Addresses, ports and abort signals as users of the promise interface give them. */
import { ECANCELED, EINVAL, ENODEV } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { IpAddress } from "../base/ip-address.js";
import type { Interface } from "../ip/interface.js";

/** An address and port, in the form that Node's `address()` gives. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly family: "IPv4" | "IPv6";
}

/** An address and the interface that its zone names; 0 when it has none (RFC 4007 §11). */
export interface ScopedAddress {
  readonly address: IpAddress;
  readonly ifIndex: number;
}

/** Who knows the interfaces by name and number. */
export interface Zones {
  interfaceByName(name: string): Interface | null;
  interfaceByIndex(index: number): Interface | null;
}

export function endpointOf(address: IpAddress, port: number): Endpoint {
  return { address: address.toString(), port, family: address.isV4 ? "IPv4" : "IPv6" };
}

/** Parses a literal address, or `localhost`. Throws `NetError` EINVAL: there is no resolver here. */
export function addressOf(text: string, syscall: string): IpAddress {
  const address = text === "localhost" ? IpAddress.v4(0x7f000001) : IpAddress.tryParse(text);
  if (address !== null) return address;
  throw new NetError(EINVAL, {
    syscall,
    address: text,
    hint: "expected an IPv4 or IPv6 address; resolve host names with node:dns first",
  });
}

/**
 * As {@link addressOf}, of an address that may have a zone: `fe80::1%eth0`, `fe80::1%2`. Throws
 * `NetError` ENODEV when there is no such interface.
 */
export function scopedAddressOf(text: string, zones: Zones, syscall: string): ScopedAddress {
  const at = text.indexOf("%");
  if (at < 0) return { address: addressOf(text, syscall), ifIndex: 0 };
  const address = addressOf(text.slice(0, at), syscall);
  const zone = text.slice(at + 1);
  const found = zones.interfaceByName(zone) ?? zones.interfaceByIndex(decimal(zone));
  if (found !== null) return { address, ifIndex: found.index };
  const hint = `the host has no interface ${zone}`;
  throw new NetError(ENODEV, { syscall, address: text, hint });
}

const decimal = (text: string): number => (/^\d{1,9}$/.test(text) ? Number(text) : -1);

/** The address as text, with its zone when it means something on one link only, as Node prints it. */
export function scopedText(address: IpAddress, ifIndex: number, zones: Zones): string {
  const text = address.toString();
  if (address.isV4 || !address.isLinkLocal) return text;
  const name = zones.interfaceByIndex(ifIndex)?.name;
  return name === undefined ? text : `${text}%${name}`;
}

/** Throws `NetError` EINVAL unless `port` is an integer from `least` to 65535. */
export function checkPort(port: number, syscall: string, least = 0): number {
  if (Number.isInteger(port) && port >= least && port <= 0xffff) return port;
  throw new NetError(EINVAL, {
    syscall,
    hint: `expected a port from ${least} to 65535, got ${port}`,
  });
}

/** What an aborted operation rejects with. Its `cause` is the signal's reason. */
export function abortError(signal: AbortSignal, syscall: string): NetError {
  return new NetError(ECANCELED, { syscall, cause: signal.reason, hint: "the signal was aborted" });
}

export function throwIfAborted(signal: AbortSignal | undefined, syscall: string): void {
  if (signal?.aborted) throw abortError(signal, syscall);
}

/** Calls back once when the signal is aborted; the result stops listening. */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (signal === undefined) return () => {};
  signal.addEventListener("abort", callback, { once: true });
  return () => signal.removeEventListener("abort", callback);
}
