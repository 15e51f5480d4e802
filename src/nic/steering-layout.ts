/**
 * What the steering program and the process share: maps, the keys in them, and the program's stack.
 *
 * Addresses are sixteen bytes in network order, IPv4 as ::ffff:a.b.c.d; ports are in network order.
 *
 * flow key, 40 bytes:      local 16 | remote 16 | local port 2 | remote port 2 | protocol 1 | 0 0 0
 * fragment key, 40 bytes:  local 16 | remote 16 | identification 4             | protocol 1 | 0 0 0
 * port key, 20 bytes:      local 16 | port 2    | protocol 1   | 0
 *
 * A port key's address is exact (a group is one, too), or the unspecified address of its family. A
 * port of 0 stands for every port, which only groups have. The value is the index of the counter that
 * a match adds to.
 */
import { put8, put16 } from "../base/bytes.js";
import type { IpAddress } from "../base/ip-address.js";

export const FLOW_KEY_BYTES = 40;
export const PORT_KEY_BYTES = 20;
export const ADDRESS_BYTES = 16;
/** A counter's index; in the map of fragments, nanoseconds since the machine started. */
export const VALUE_BYTES = 4;
export const TIME_BYTES = 8;

/** Names that the program knows its maps by. */
export const FLOWS_MAP = "flows";
export const PORTS_MAP = "ports";
export const PORT_BITS_MAP = "port_bits";
export const FRAGMENTS_MAP = "fragments";
export const ADDRESSES_MAP = "addresses";
export const COUNTERS_MAP = "counters";

/** Fragments are expected for this long after their first one, as reassembly waits for them. */
export const FRAGMENT_LIFE_NS = 30_000_000_000n;

/** Places in a flow key. */
export const REMOTE_AT = 16;
export const LOCAL_PORT_AT = 32;
export const REMOTE_PORT_AT = 34;
export const PROTOCOL_AT = 36;
/** In a fragment key, in the place of the ports. */
export const IDENTIFICATION_AT = 32;
/** Places in a port key. */
export const PORT_AT = 16;
export const PORT_PROTOCOL_AT = 18;

/** Writes a flow key over all its bytes. Ports in host order. */
export function writeFlowKey(
  key: Uint8Array,
  protocol: number,
  local: IpAddress,
  localPort: number,
  remote: IpAddress,
  remotePort: number,
): void {
  key.fill(0, PROTOCOL_AT);
  local.write6(key, 0);
  remote.write6(key, REMOTE_AT);
  put16(key, LOCAL_PORT_AT, localPort);
  put16(key, REMOTE_PORT_AT, remotePort);
  put8(key, PROTOCOL_AT, protocol);
}

/** Writes a port key over all its bytes. The port is in host order. */
export function writePortKey(
  key: Uint8Array,
  protocol: number,
  local: IpAddress,
  localPort: number,
): void {
  local.write6(key, 0);
  put16(key, PORT_AT, localPort);
  put8(key, PORT_PROTOCOL_AT, protocol);
  put8(key, PORT_PROTOCOL_AT + 1, 0);
}
