/** Which addresses a host may have on an interface, and why not the others. */
import { ANY4, IpAddress } from "../base/ip-address.js";
import { fullBits, maskTo, tryParsePrefix } from "./prefix.js";

/**
 * Why no host can have this address, as `the broadcast address of 10.77.0.0/16`, or "" when one can
 * (RFC 1122 §3.2.1.3; RFC 4291 §2.5 to §2.7). `bits`: of its network, or -1 when that is not known.
 * Networks of two addresses or one have no network and broadcast addresses (RFC 3021, RFC 6164).
 */
export function whyNoHost(address: IpAddress, bits: number): string {
  if (address.isUnspecified) return "the wildcard address";
  if (address.isLoopback) return "a loopback address";
  if (address.isMulticast) return "a multicast address";
  if (address.isLimitedBroadcast) return "the broadcast address";
  if (address.isV4 && address.w3 >>> 24 === 0)
    return "an address of 0.0.0.0/8, which is no network";
  if (bits < 0 || bits >= (address.isV4 ? 31 : 127)) return "";
  const network = ANY4.copy();
  maskTo(address, fullBits({ address, bits }), network);
  const isNetwork = address.equals(network);
  const what = isNetwork ? (address.isV4 ? "network" : "routers' anycast") : "broadcast";
  const isBroadcast = address.isV4 && address.w3 === (network.w3 | (-1 >>> bits));
  return isNetwork || isBroadcast ? `the ${what} address of ${network}/${bits}` : "";
}

/** As {@link whyNoHost} of a text like `10.0.0.2/24`; "" for what is no address, too. */
export function whyNoHostText(text: string): string {
  const prefix = tryParsePrefix(text);
  if (prefix !== null) return whyNoHost(prefix.address, prefix.bits);
  const address = IpAddress.tryParse(text);
  return address === null ? "" : whyNoHost(address, -1);
}
