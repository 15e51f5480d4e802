/**
 * Addresses of an interface: what comes and goes with one (its connected route, its solicited-node
 * group, word to the neighbours) and what follows from it (its broadcast address).
 */
import { ANY4, IpAddress } from "../base/ip-address.js";
import { NEVER } from "../base/time.js";
import * as ipv6 from "../wire/ipv6.js";
import * as nd from "../wire/nd.js";
import { AddressOrigin, type Interface, type InterfaceAddress } from "./interface.js";
import type { Ip } from "./ip.js";
import { STACK } from "./multicast.js";
import { fullBits, maskTo, parsePrefix } from "./prefix.js";
import { RouteOrigin } from "./routes.js";
import { ALL_SOURCES, NO_SOURCES } from "./source-filter.js";

/** Lifetimes and origin of an address that is not the user's. */
export interface AddressLife {
  readonly origin: number;
  readonly preferredUntilUs: number;
  readonly validUntilUs: number;
}

export interface NewAddress {
  readonly address: IpAddress;
  readonly bits: number;
  readonly life: AddressLife;
}

/** Of an address that the user gave. */
export const FOR_EVER: AddressLife = {
  origin: AddressOrigin.USER,
  preferredUntilUs: NEVER,
  validUntilUs: NEVER,
};

/**
 * Adds an address written as `10.0.0.1/24` or `fd00::1/64`. Throws `RangeError` for IPv6 where the MTU
 * is too small for it.
 */
export function addUserAddress(ip: Ip, iface: Interface, text: string): void {
  const { address, bits } = parsePrefix(text);
  if (!address.isV4 && iface.mtuBytes < ipv6.MIN_MTU_BYTES) {
    const needed = `IPv6 needs an MTU of ${ipv6.MIN_MTU_BYTES}`;
    throw new RangeError(`${text}: ${needed}, and ${iface.name} has ${iface.mtuBytes}`);
  }
  addAddress(ip, iface, { address, bits, life: FOR_EVER });
}

/** Adds an address and its connected route, and tells the neighbours. One that is there stays. */
export function addAddress(ip: Ip, iface: Interface, fresh: NewAddress): void {
  const { address, bits, life } = fresh;
  const isTentative = !address.isV4 && iface.detectsDuplicates;
  if (iface.addresses.some((a) => a.address.equals(address))) return;
  const entry: InterfaceAddress = {
    address: address.copy(),
    prefixBits: bits,
    broadcast: broadcastOf(address, bits, iface),
    origin: life.origin,
    isTentative,
    isDeprecated: false,
    preferredUntilUs: life.preferredUntilUs,
    validUntilUs: life.validUntilUs,
  };
  iface.addresses.push(entry);
  if (!iface.isLoopback && life.origin !== AddressOrigin.AUTOCONFIGURED) {
    addConnectedRoute(ip, iface, entry);
  }
  ip.addressesChanged();
  if (iface.isLoopback) return;
  if (address.isV4) ip.arp.announce(iface, address);
  else {
    iface.filters.set(STACK, solicitedNode(address), ALL_SOURCES);
    if (isTentative) ip.nd.detectDuplicates(iface, entry);
  }
}

/** Tells everybody on a link that has come up which addresses are here (RFC 5227 §2.3, RFC 4861 §7.2.6). */
export function announceAddresses(ip: Ip, iface: Interface): void {
  for (const { address, isTentative } of iface.addresses) {
    if (address.isV4) ip.arp.announce(iface, address);
    else if (!isTentative) ip.nd.advertise(iface, address, null);
  }
}

function addConnectedRoute(ip: Ip, iface: Interface, entry: InterfaceAddress): void {
  const bits = fullBits({ address: entry.address, bits: entry.prefixBits });
  const destination = new IpAddress();
  maskTo(entry.address, bits, destination);
  ip.routes.add({
    destination,
    bits,
    iface,
    gateway: null,
    metric: entry.address.isV4 ? 0 : 256,
    src: entry.address.isV4 ? entry.address : null,
    origin: RouteOrigin.CONNECTED,
    expiresAtUs: NEVER,
  });
}

/** Removes an address with its route. Nothing happens when it is not there. */
export function removeAddress(ip: Ip, iface: Interface, address: IpAddress): void {
  const i = iface.addresses.findIndex((a) => a.address.equals(address));
  if (i < 0) return;
  const gone = iface.addresses[i]!;
  iface.addresses.splice(i, 1);
  const bits = fullBits({ address: gone.address, bits: gone.prefixBits });
  let removed = false; // one of the routes: another address may have made the same
  ip.routes.remove((r) => {
    const isIts = r.origin === RouteOrigin.CONNECTED && r.iface === iface && r.bits === bits;
    if (removed || !isIts || (r.src !== null && !r.src.equals(gone.address))) return false;
    const prefix = new IpAddress();
    maskTo(gone.address, bits, prefix);
    removed = r.destination.equals(prefix);
    return removed;
  });
  if (!gone.address.isV4 && !iface.isLoopback) {
    const group = solicitedNode(gone.address);
    const isUsed = iface.addresses.some(
      (a) => !a.address.isV4 && solicitedNode(a.address).equals(group),
    );
    if (!isUsed) iface.filters.set(STACK, group, NO_SOURCES);
  }
  ip.addressesChanged();
}

/** IPv4 broadcast address of a subnet as a word, 0 where there is none (RFC 3021, host routes). */
export function broadcastOf(address: IpAddress, bits: number, iface: Interface): number {
  return iface.isLoopback ? 0 : broadcastWord(address, bits);
}

/** As {@link broadcastOf}, for an address on any link but loopback. */
export function broadcastWord(address: IpAddress, bits: number): number {
  if (!address.isV4 || bits >= 31 || bits === 0) return 0;
  return address.w3 | (-1 >>> bits);
}

/** The group that an IPv6 address's neighbour solicitations go to (RFC 4291 §2.7.1). */
function solicitedNode(address: IpAddress): IpAddress {
  const group = ANY4.copy();
  nd.solicitedNode(address, group);
  return group;
}
