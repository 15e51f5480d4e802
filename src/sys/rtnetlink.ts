/**
 * Links, addresses, routes and neighbours as rtnetlink(7) tells them: requests are built, answers
 * and notifications parsed. Parsers take the payload of one message and return null for what is too
 * short or lacks what it is about; attributes that nobody here needs are skipped.
 */
import { IpAddress } from "../base/ip-address.js";
import {
  AttributeReader,
  LITTLE_ENDIAN,
  MessageFlags,
  type MessageWriter,
} from "./netlink-message.js";

export const AF_INET = 2;
export const AF_INET6 = 10;

/** Message types. */
export const Rtm = {
  NEW_LINK: 16,
  DEL_LINK: 17,
  GET_LINK: 18,
  NEW_ADDRESS: 20,
  DEL_ADDRESS: 21,
  GET_ADDRESS: 22,
  NEW_ROUTE: 24,
  DEL_ROUTE: 25,
  GET_ROUTE: 26,
  NEW_NEIGHBOUR: 28,
  DEL_NEIGHBOUR: 29,
  GET_NEIGHBOUR: 30,
  NEW_RULE: 32,
  DEL_RULE: 33,
  NEW_NEXTHOP: 104,
  DEL_NEXTHOP: 105,
} as const;

/** Bits of the groups to subscribe to: group n of linux/rtnetlink.h is bit n - 1. */
export const RtGroups = {
  LINK: 1 << 0,
  NEIGHBOUR: 1 << 2,
  ADDRESS4: 1 << 4,
  ROUTE4: 1 << 6,
  RULE4: 1 << 7,
  ADDRESS6: 1 << 8,
  ROUTE6: 1 << 10,
  RULE6: 1 << 18,
  NEXTHOP: 1 << 31,
} as const;

/** netdevice(7). */
export const LinkFlags = { UP: 1, LOOPBACK: 8, RUNNING: 0x40, LOWER_UP: 0x10000 } as const;
export const AddressFlags = { DEPRECATED: 0x20, DAD_FAILED: 8, TENTATIVE: 0x40 } as const;
/** NUD_*, states of a neighbour. */
export const Nud = {
  INCOMPLETE: 1,
  REACHABLE: 2,
  STALE: 4,
  DELAY: 8,
  PROBE: 16,
  FAILED: 32,
  NOARP: 64,
  PERMANENT: 128,
} as const;
/** RTN_*, what a destination is. */
export const RouteType = { UNICAST: 1, LOCAL: 2, BROADCAST: 3, ANYCAST: 4, MULTICAST: 5 } as const;
/** RTM_F_CLONED: a cache entry, no route of the tables. */
export const ROUTE_CLONED = 0x200;

const NTF_USE = 1;
const EMPTY_MAC: Uint8Array = new Uint8Array(0);

export interface LinkInfo {
  readonly index: number;
  readonly name: string;
  /** {@link LinkFlags}. */
  readonly flags: number;
  readonly mtuBytes: number;
  /** Empty where the link has none. */
  readonly mac: Uint8Array;
}

export interface AddressInfo {
  readonly linkIndex: number;
  readonly address: IpAddress;
  readonly prefixBits: number;
  /** {@link AddressFlags}. */
  readonly flags: number;
  /** IPv4: null where there is none. */
  readonly broadcast: IpAddress | null;
}

export interface RouteInfo {
  /** {@link RouteType}. */
  readonly type: number;
  readonly table: number;
  readonly flags: number;
  /** Null: every destination. */
  readonly destination: IpAddress | null;
  readonly destinationBits: number;
  /** Null: on the link itself. */
  readonly gateway: IpAddress | null;
  /** 0: none, or several (multipath). */
  readonly linkIndex: number;
  readonly source: IpAddress | null;
  /** 0: the link's. */
  readonly mtuBytes: number;
  /** 0 unless the destination is refused. */
  readonly errno: number;
}

export interface NeighbourInfo {
  readonly linkIndex: number;
  readonly address: IpAddress;
  /** One of {@link Nud}, or 0. */
  readonly state: number;
  /** Empty while it is not known. */
  readonly mac: Uint8Array;
}

// Requests

/** Asks for all links, addresses or neighbours: `type` is a GET of {@link Rtm}. */
export function writeDump(w: MessageWriter, type: number, family: number, seq: number): number {
  w.begin(type, MessageFlags.REQUEST | MessageFlags.DUMP, seq);
  w.u8(family);
  // The kernel wants as much as the header of this type has: all of them have 16 bytes or fewer.
  const bytes = HEADER_BYTES_OF.get(type) ?? 16;
  for (let i = 1; i < bytes; i++) w.u8(0);
  return w.finish();
}

const LINK_HEADER_BYTES = 16;
const ADDRESS_HEADER_BYTES = 8;
const ROUTE_HEADER_BYTES = 12;
const NEIGHBOUR_HEADER_BYTES = 12;
const HEADER_BYTES_OF: ReadonlyMap<number, number> = new Map([
  [Rtm.GET_LINK, LINK_HEADER_BYTES],
  [Rtm.GET_ADDRESS, ADDRESS_HEADER_BYTES],
  [Rtm.GET_ROUTE, ROUTE_HEADER_BYTES],
  [Rtm.GET_NEIGHBOUR, NEIGHBOUR_HEADER_BYTES],
]);

/** Asks how the kernel would send to `dst` (`ip route get`), from `src` if any, through `linkIndex` if not 0. */
export function writeRouteLookup(
  w: MessageWriter,
  dst: IpAddress,
  src: IpAddress | null,
  linkIndex: number,
  seq: number,
): number {
  const bits = dst.isV4 ? 32 : 128;
  w.begin(Rtm.GET_ROUTE, MessageFlags.REQUEST, seq);
  w.u8(familyOf(dst))
    .u8(bits)
    .u8(src === null ? 0 : bits)
    .u8(0)
    .u32(0)
    .u32(0);
  w.attribute(1, bytesOf(dst));
  if (src !== null) w.attribute(2, bytesOf(src));
  if (linkIndex !== 0) w.attributeU32(4, linkIndex);
  return w.finish();
}

/**
 * Tells the kernel that a packet goes to a neighbour: it resolves one that it does not know, and
 * probes a stale one. Acknowledged.
 */
export function writeNeighbourUse(
  w: MessageWriter,
  linkIndex: number,
  address: IpAddress,
  seq: number,
): number {
  w.begin(Rtm.NEW_NEIGHBOUR, MessageFlags.REQUEST | MessageFlags.ACK | MessageFlags.CREATE, seq);
  w.u8(familyOf(address)).u8(0).u16(0).u32(linkIndex).u16(0).u8(NTF_USE).u8(0);
  return w.attribute(1, bytesOf(address)).finish();
}

const familyOf = (a: IpAddress): number => (a.isV4 ? AF_INET : AF_INET6);

/** Four or sixteen bytes. */
export function bytesOf(a: IpAddress): Uint8Array {
  const b = new Uint8Array(a.isV4 ? 4 : 16);
  if (a.isV4) a.write4(b, 0);
  else a.write6(b, 0);
  return b;
}

// Answers

/** RTM_NEWLINK, RTM_DELLINK. */
export function parseLink(b: Uint8Array, at: number, end: number): LinkInfo | null {
  if (end - at < LINK_HEADER_BYTES) return null;
  const view = viewOf(b);
  let name = "";
  let mtuBytes = 0;
  let mac = EMPTY_MAC;
  const a = new AttributeReader(b, at + LINK_HEADER_BYTES, end);
  while (a.step()) {
    if (a.type === 3) name = a.text();
    else if (a.type === 4) mtuBytes = a.u32(0);
    else if (a.type === 1 && a.lengthBytes === 6) mac = a.copy();
  }
  const index = view.getInt32(at + 4, LITTLE_ENDIAN);
  if (index <= 0 || name === "") return null;
  return { index, name, flags: view.getUint32(at + 8, LITTLE_ENDIAN), mtuBytes, mac };
}

/** RTM_NEWADDR, RTM_DELADDR. */
export function parseAddress(b: Uint8Array, at: number, end: number): AddressInfo | null {
  if (end - at < ADDRESS_HEADER_BYTES) return null;
  const family = b[at]!;
  const prefixBits = b[at + 1]!;
  let flags: number = b[at + 2]!;
  let own: IpAddress | null = null;
  let prefix: IpAddress | null = null;
  let broadcast: IpAddress | null = null;
  const a = new AttributeReader(b, at + ADDRESS_HEADER_BYTES, end);
  while (a.step()) {
    // On point-to-point links 1 is the other end, and 2 ours.
    if (a.type === 1) prefix = addressIn(b, a, family);
    else if (a.type === 2) own = addressIn(b, a, family);
    else if (a.type === 4) broadcast = addressIn(b, a, family);
    else if (a.type === 8) flags = a.u32(flags);
  }
  const address = own ?? prefix;
  if (address === null || prefixBits > (address.isV4 ? 32 : 128)) return null;
  const linkIndex = viewOf(b).getInt32(at + 4, LITTLE_ENDIAN);
  return { linkIndex, address, prefixBits, flags, broadcast };
}

/** RTM_NEWROUTE, RTM_DELROUTE, and the answer to a look-up. */
export function parseRoute(b: Uint8Array, at: number, end: number): RouteInfo | null {
  if (end - at < ROUTE_HEADER_BYTES) return null;
  const family = b[at]!;
  if (family !== AF_INET && family !== AF_INET6) return null;
  let table: number = b[at + 4]!;
  let destination: IpAddress | null = null;
  let gateway: IpAddress | null = null;
  let source: IpAddress | null = null;
  let linkIndex = 0;
  let mtuBytes = 0;
  let errno = 0;
  const a = new AttributeReader(b, at + ROUTE_HEADER_BYTES, end);
  while (a.step()) {
    if (a.type === 1) destination = addressIn(b, a, family);
    else if (a.type === 4) linkIndex = a.u32(0);
    else if (a.type === 5) gateway = addressIn(b, a, family);
    else if (a.type === 7) source = addressIn(b, a, family);
    else if (a.type === 8) mtuBytes = metric(b, a, 2);
    else if (a.type === 12) errno = cacheError(b, a);
    else if (a.type === 15) table = a.u32(table);
    else if (a.type === 18) gateway = viaIn(b, a);
  }
  return {
    type: b[at + 7]!,
    table,
    flags: viewOf(b).getUint32(at + 8, LITTLE_ENDIAN),
    destination,
    destinationBits: b[at + 1]!,
    gateway,
    linkIndex,
    source,
    mtuBytes,
    errno,
  };
}

/** RTM_NEWNEIGH, RTM_DELNEIGH. */
export function parseNeighbour(b: Uint8Array, at: number, end: number): NeighbourInfo | null {
  if (end - at < NEIGHBOUR_HEADER_BYTES) return null;
  const family = b[at]!;
  const view = viewOf(b);
  let address: IpAddress | null = null;
  let mac = EMPTY_MAC;
  const a = new AttributeReader(b, at + NEIGHBOUR_HEADER_BYTES, end);
  while (a.step()) {
    if (a.type === 1) address = addressIn(b, a, family);
    else if (a.type === 2 && a.lengthBytes === 6) mac = a.copy();
  }
  if (address === null) return null;
  const linkIndex = view.getInt32(at + 4, LITTLE_ENDIAN);
  return { linkIndex, address, state: view.getUint16(at + 8, LITTLE_ENDIAN), mac };
}

const viewOf = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.byteLength);

/** The attribute as an address of the family; null when its length is another. */
function addressIn(b: Uint8Array, a: AttributeReader, family: number): IpAddress | null {
  return addressAt(b, a.at, a.lengthBytes, family);
}

function addressAt(b: Uint8Array, at: number, n: number, family: number): IpAddress | null {
  const address = new IpAddress();
  if (family === AF_INET && n === 4) address.read4(b, at);
  else if (family === AF_INET6 && n === 16) address.read6(b, at);
  else return null;
  return address;
}

/** RTA_VIA: a gateway with its family, as IPv4 routes through IPv6 gateways have it (RFC 5549). */
function viaIn(b: Uint8Array, a: AttributeReader): IpAddress | null {
  if (a.lengthBytes < 2) return null;
  const family = viewOf(b).getUint16(a.at, LITTLE_ENDIAN);
  return addressAt(b, a.at + 2, a.lengthBytes - 2, family);
}

/** One of RTA_METRICS, 0 when it is not there. */
function metric(b: Uint8Array, metrics: AttributeReader, wanted: number): number {
  const a = new AttributeReader(b, metrics.at, metrics.end);
  while (a.step()) if (a.type === wanted) return a.u32(0);
  return 0;
}

/** rta_error of RTA_CACHEINFO, positive. */
function cacheError(b: Uint8Array, a: AttributeReader): number {
  if (a.lengthBytes < 16) return 0;
  return Math.abs(viewOf(b).getInt32(a.at + 12, LITTLE_ENDIAN));
}
