/** SIOCGIF* of netdevice(7) about Millrace's interfaces: `struct ifreq` and `struct ifconf`'s list. */
import { EINVAL, ENODEV, ENOTTY } from "../base/errno.js";
import { IpAddress } from "../base/ip-address.js";
import type { Interface } from "../ip/interface.js";
import { MAPPED_BITS, maskTo } from "../ip/prefix.js";
import { Family } from "../socket/linux-options.js";
import type { Stack } from "../socket/stack.js";

const SIOCGIFNAME = 0x8910;
const SIOCGIFCONF = 0x8912;
const SIOCGIFFLAGS = 0x8913;
const SIOCGIFADDR = 0x8915;
const SIOCGIFBRDADDR = 0x8919;
const SIOCGIFNETMASK = 0x891b;
const SIOCGIFMETRIC = 0x891d;
const SIOCGIFMTU = 0x8921;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
const SIOCGIFTXQLEN = 0x8942;

const NAME_BYTES = 16;
const IFREQ_BYTES = 40;
const VALUE_AT = NAME_BYTES;
const ARPHRD_ETHER = 1;
const ARPHRD_LOOPBACK = 772;
const IFF = { UP: 1, BROADCAST: 2, LOOPBACK: 8, RUNNING: 64, MULTICAST: 0x1000 } as const;

/** Answers in place; how many bytes, or a negated error number. `n` bytes came. */
export function ioctl(stack: Stack, request: number, view: DataView, n: number): number {
  if (request === SIOCGIFCONF) return listInterfaces(stack, view, n);
  if (n < IFREQ_BYTES) return -EINVAL;
  if (request === SIOCGIFNAME) {
    const iface = stack.interfaceByIndex(view.getInt32(VALUE_AT, true));
    if (iface === null) return -ENODEV;
    putName(view, 0, iface.name);
    return IFREQ_BYTES;
  }
  const iface = stack.interfaceByName(nameAt(view));
  if (iface === null) return -ENODEV;
  return describe(iface, request, view) ? IFREQ_BYTES : -ENOTTY;
}

function describe(iface: Interface, request: number, view: DataView): boolean {
  switch (request) {
    case SIOCGIFFLAGS: {
      const kind = iface.isLoopback ? IFF.LOOPBACK : IFF.BROADCAST | IFF.MULTICAST;
      view.setInt16(VALUE_AT, kind | (iface.isUp ? IFF.UP | IFF.RUNNING : 0), true);
      return true;
    }
    case SIOCGIFADDR:
      return putSockaddr(view, VALUE_AT, iface.primary4()?.address ?? null);
    case SIOCGIFBRDADDR:
      return putSockaddr(view, VALUE_AT, IpAddress.v4(iface.primary4()?.broadcast ?? 0));
    case SIOCGIFNETMASK: {
      const mask = IpAddress.v4(-1);
      maskTo(IpAddress.v4(-1), MAPPED_BITS + (iface.primary4()?.prefixBits ?? 0), mask);
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
    case SIOCGIFTXQLEN:
      view.setInt32(VALUE_AT, 1_000, true);
      return true;
    case SIOCGIFHWADDR:
      view.setUint16(VALUE_AT, iface.isLoopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER, true);
      for (let i = 0; i < 6; i++) view.setUint8(VALUE_AT + 2 + i, iface.device.mac[i] ?? 0);
      return true;
    default:
      return false;
  }
}

/** Interfaces with IPv4 addresses, as many as fit. `n`: the program's room. */
function listInterfaces(stack: Stack, view: DataView, n: number): number {
  let at = 0;
  for (const iface of stack.ip.interfaces) {
    for (const { address } of iface.addresses) {
      if (!address.isV4 || at + IFREQ_BYTES > n) continue;
      for (let i = 0; i < IFREQ_BYTES; i += 4) view.setInt32(at + i, 0);
      putName(view, at, iface.name);
      putSockaddr(view, at + VALUE_AT, address);
      at += IFREQ_BYTES;
    }
  }
  return at;
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

function putName(view: DataView, at: number, name: string): void {
  for (let i = 0; i < NAME_BYTES; i++) {
    view.setUint8(at + i, i < name.length ? name.charCodeAt(i) : 0);
  }
}
