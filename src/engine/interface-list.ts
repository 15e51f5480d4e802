/**
 * Millrace's interfaces as a program sees them beside the kernel's (`mr_interface` of layout.h): those that the
 * kernel does not list, with the addresses to which the program's sockets may be bound.
 */
import { type Home, isHome } from "../ip/home.js";
import type { Interface, InterfaceAddress } from "../ip/interface.js";
import { INTERFACE_BYTES, InterfaceAt } from "../ring/engine-layout.js";
import { Family } from "../socket/linux-options.js";
import type { ProgramRules } from "../socket/rules.js";
import type { Stack } from "../socket/stack.js";
import { writeAddress } from "./shared-address.js";

/**
 * The index of the network's first interface that is Millrace's alone. The kernel numbers its own from 1 on, and
 * takes a number in an option for one of them.
 */
export const FIRST_OWN_INDEX = 1_000_000_001;

const NAME_BYTES = 16;
const ARPHRD = { ETHER: 1, LOOPBACK: 772 } as const;
const IFF = {
  UP: 1,
  BROADCAST: 2,
  LOOPBACK: 8,
  RUNNING: 64,
  MULTICAST: 0x1000,
  LOWER_UP: 0x1_0000,
} as const;

/** Who asks. */
export interface Viewer {
  readonly home: Home | null;
  readonly rules: ProgramRules;
}

/** Flags as netdevice(7) has them. */
export function flagsOf(iface: Interface): number {
  const kind = iface.isLoopback ? IFF.LOOPBACK : IFF.BROADCAST | IFF.MULTICAST;
  return kind | (iface.isUp ? IFF.UP | IFF.RUNNING | IFF.LOWER_UP : 0);
}

/** ARP's number for the link. */
export const hardwareOf = (iface: Interface): number =>
  iface.isLoopback ? ARPHRD.LOOPBACK : ARPHRD.ETHER;

/** An interface's name, zeros behind it; what is too long is cut as the kernel's names are: a zero is the last. */
export function putName(view: DataView, at: number, name: string): void {
  for (let i = 0; i < NAME_BYTES; i++) {
    view.setUint8(at + i, i < Math.min(name.length, NAME_BYTES - 1) ? name.charCodeAt(i) : 0);
  }
}

/** The addresses of an interface that a program has: not other programs' own, and only its own if it has one. */
export function addressesOf(iface: Interface, home: Home | null): readonly InterfaceAddress[] {
  if (iface.isLoopback || iface.kernelIndex !== 0) return iface.addresses;
  return iface.addresses.filter(
    (a) => !a.isTentative && (home === null || isHome(home, a.address)),
  );
}

/** Whether the rules leave it anything that could be bound there. */
function mayServe(rules: ProgramRules, { address }: InterfaceAddress): boolean {
  const at = { address, port: 0 };
  return (
    rules.decide("tcp_server", at, null).accelerate ||
    rules.decide("udp_receiver", at, null).accelerate
  );
}

/**
 * Writes a record for each address of each interface, from the `first` one on and as many as fit; how many.
 */
export function listInterfaces(
  stack: Stack,
  viewer: Viewer,
  first: number,
  view: DataView,
): number {
  let at = 0;
  let skipped = 0;
  for (const iface of stack.ip.interfaces) {
    if (iface.isLoopback || iface.kernelIndex !== 0) continue; // the kernel lists them
    for (const address of addressesOf(iface, viewer.home)) {
      if (!mayServe(viewer.rules, address)) continue;
      if (skipped++ < first) continue;
      if (at + INTERFACE_BYTES > view.byteLength) return at / INTERFACE_BYTES;
      writeRecord(view, at, iface, address);
      at += INTERFACE_BYTES;
    }
  }
  return at / INTERFACE_BYTES;
}

function writeRecord(view: DataView, at: number, iface: Interface, a: InterfaceAddress): void {
  for (let i = 0; i < INTERFACE_BYTES; i += 4) view.setInt32(at + i, 0);
  putName(view, at + InterfaceAt.name, iface.name);
  view.setUint32(at + InterfaceAt.index, iface.index, true);
  view.setUint32(at + InterfaceAt.flags, flagsOf(iface), true);
  view.setUint32(at + InterfaceAt.mtuBytes, iface.mtuBytes, true);
  view.setUint16(at + InterfaceAt.hardware, hardwareOf(iface), true);
  for (let i = 0; i < 6; i++) view.setUint8(at + InterfaceAt.mac + i, iface.mac[i] ?? 0);
  view.setUint32(at + InterfaceAt.prefixBits, a.prefixBits, true);
  const { address } = a;
  const scope = address.isLinkLocal && !address.isV4 ? iface.index : 0;
  const family = address.isV4 ? Family.INET : Family.INET6;
  writeAddress(view, at + InterfaceAt.address, family, address, 0, scope);
}
