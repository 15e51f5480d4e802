/** SIOCGIF* of netdevice(7) about Millrace's interfaces: `struct ifreq`. */
import { EINVAL, ENODEV, ENOTTY } from "../base/errno.js";
import { IpAddress } from "../base/ip-address.js";
import type { Home } from "../ip/home.js";
import type { Interface } from "../ip/interface.js";
import { MAPPED_BITS, maskTo } from "../ip/prefix.js";
import { Family } from "../socket/linux-options.js";
import type { Stack } from "../socket/stack.js";
import { addressesOf, flagsOf, hardwareOf, putName } from "./interface-list.js";

const SIOCGIFNAME = 0x8910;
const SIOCGIFFLAGS = 0x8913;
const SIOCGIFADDR = 0x8915;
const SIOCGIFDSTADDR = 0x8917;
const SIOCGIFBRDADDR = 0x8919;
const SIOCGIFNETMASK = 0x891b;
const SIOCGIFMETRIC = 0x891d;
const SIOCGIFMTU = 0x8921;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
const SIOCGIFTXQLEN = 0x8942;
const SIOCGIFMAP = 0x8970;

const NAME_BYTES = 16;
const IFREQ_BYTES = 40;
const VALUE_AT = NAME_BYTES;

/**
 * Answers in place what a program of this home asks; how many bytes, or a negated error number. `n` bytes came.
 */
export function ioctl(
  stack: Stack,
  home: Home | null,
  request: number,
  view: DataView,
  n: number,
): number {
  if (n < IFREQ_BYTES) return -EINVAL;
  if (request === SIOCGIFNAME) {
    const iface = stack.interfaceByIndex(view.getInt32(VALUE_AT, true));
    if (iface === null) return -ENODEV;
    putName(view, 0, iface.name);
    return IFREQ_BYTES;
  }
  const iface = stack.interfaceByName(nameAt(view));
  if (iface === null) return -ENODEV;
  return describe(iface, home, request, view) ? IFREQ_BYTES : -ENOTTY;
}

function describe(iface: Interface, home: Home | null, request: number, view: DataView): boolean {
  const primary = addressesOf(iface, home).find((a) => a.address.isV4 && !a.isTentative);
  switch (request) {
    case SIOCGIFFLAGS:
      view.setInt16(VALUE_AT, flagsOf(iface), true); // the lower half
      return true;
    case SIOCGIFADDR:
    case SIOCGIFDSTADDR: // of a link that is not from point to point
      return putSockaddr(view, VALUE_AT, primary?.address ?? null);
    case SIOCGIFBRDADDR:
      return putSockaddr(view, VALUE_AT, IpAddress.v4(primary?.broadcast ?? 0));
    case SIOCGIFNETMASK: {
      const mask = IpAddress.v4(-1);
      maskTo(IpAddress.v4(-1), MAPPED_BITS + (primary?.prefixBits ?? 0), mask);
      return putSockaddr(view, VALUE_AT, mask);
    }
    case SIOCGIFMTU:
      view.setInt32(VALUE_AT, iface.mtuBytes, true);
      return true;
    case SIOCGIFINDEX:
      view.setInt32(VALUE_AT, iface.index, true);
      return true;
    case SIOCGIFMETRIC:
      view.setInt32(VALUE_AT, 0, true);
      return true;
    case SIOCGIFMAP: // of hardware
      for (let i = VALUE_AT; i < IFREQ_BYTES; i++) view.setUint8(i, 0);
      return true;
    case SIOCGIFTXQLEN:
      view.setInt32(VALUE_AT, 1_000, true);
      return true;
    case SIOCGIFHWADDR:
      view.setUint16(VALUE_AT, hardwareOf(iface), true);
      for (let i = 0; i < 6; i++) view.setUint8(VALUE_AT + 2 + i, iface.device.mac[i] ?? 0);
      return true;
    default:
      return false;
  }
}

function putSockaddr(view: DataView, at: number, address: IpAddress | null): boolean {
  if (address === null) return false;
  view.setUint16(at, Family.INET, true);
  view.setUint16(at + 2, 0);
  view.setInt32(at + 4, address.w3);
  return true;
}

function nameAt(view: DataView): string {
  let name = "";
  for (let i = 0; i < NAME_BYTES; i++) {
    const c = view.getUint8(i);
    if (c === 0) break;
    name += String.fromCharCode(c);
  }
  return name;
}
