/** Addresses, ports and abort signals as users of the promise interface give them. */
import { ECANCELED, EINVAL } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { IpAddress } from "../base/ip-address.js";

/** An address and port, in the form that Node's `address()` gives. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly family: "IPv4" | "IPv6";
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
