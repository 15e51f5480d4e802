/** What is in the maps of the programs of examples/xdp and libxdp1 before packets come: taken from packets. */

/** An entry of a map; the value is that of one CPU. */
export interface MapEntry {
  readonly map: string;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

interface Ipv4Packet {
  readonly saddr: Uint8Array;
  readonly daddr: Uint8Array;
  readonly sport: Uint8Array;
  readonly dport: Uint8Array;
  readonly protocol: number;
}

type Setup = (packets: readonly Uint8Array[]) => MapEntry[];

const u32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const join = (...parts: (Uint8Array | number[])[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...part]));

function ipv4Of(packets: readonly Uint8Array[]): Ipv4Packet[] {
  return packets
    .filter((p) => p.length >= 42 && p[12] === 8 && p[13] === 0 && p[14] === 0x45)
    .map((p) => ({
      saddr: p.subarray(26, 30),
      daddr: p.subarray(30, 34),
      sport: p.subarray(34, 36),
      dport: p.subarray(36, 38),
      protocol: p[23]!,
    }));
}

/** Every `step`th, without doubles: the kernel keeps the last of those, and so do we, but counts differ. */
function some<T>(all: readonly T[], step: number, limit: number): T[] {
  return all.filter((_, index) => index % step === 0).slice(0, limit);
}

const SERVERS = 64;
const PLACES = 256;

function balancer(packets: readonly Uint8Array[]): MapEntry[] {
  const services = some(ipv4Of(packets), 5, 300).map(({ daddr, dport, protocol }, n) => ({
    map: "services",
    key: join(daddr, dport, [protocol, 0]),
    value: u32(n % 8),
  }));
  const ring = Array.from({ length: 8 * PLACES }, (_, n) => ({
    map: "ring",
    key: u32(n),
    value: u32((n * 7) % SERVERS),
  }));
  const servers = Array.from({ length: SERVERS }, (_, n) => ({
    map: "servers",
    key: u32(n),
    value: join([10, 1, n, n === 5 ? 0 : 7], [2, 0, 0, 0, 1, n], [0, 0]),
  }));
  return [...services, ...ring, ...servers];
}

function router(packets: readonly Uint8Array[]): MapEntry[] {
  const routes = some(ipv4Of(packets), 7, 400).map(({ daddr }, n) => ({
    map: "routes",
    key: join(u32([8, 16, 24, 29, 32][n % 5]!), daddr),
    value: join(u32(n % 70), [2, 0, 0, 0, 2, n & 255], [2, 0, 0, 0, 3, n & 255]),
  }));
  const devices = Array.from({ length: 32 }, (_, n) => ({
    map: "devices",
    key: u32(2 * n),
    value: u32(1),
  }));
  return [...routes, ...devices];
}

function acl(packets: readonly Uint8Array[]): MapEntry[] {
  const rule = (n: number): Uint8Array => u32(1 + (n % 2), 0, 0, 0);
  const four = some(ipv4Of(packets), 3, 500).map(({ saddr }, n) => ({
    map: "sources4",
    key: join(u32([0, 9, 16, 23, 24, 32][n % 6]!), saddr),
    value: rule(n),
  }));
  const six = some(
    packets.filter((p) => p.length >= 54 && p[12] === 0x86 && p[13] === 0xdd),
    2,
    200,
  ).map((p, n) => ({
    map: "sources6",
    key: join(u32([3, 32, 64, 127, 128][n % 5]!), p.subarray(22, 38)),
    value: rule(n),
  }));
  return [...four, ...six];
}

/** Services of both families, remembered and not, with any port, local, QUIC; servers behind both families. */
function edgeBalancer(packets: readonly Uint8Array[]): MapEntry[] {
  const flags = [0, 1, 2, 4, 8, 0, 1, 3];
  const service = (
    address: Uint8Array,
    ports: Uint8Array | number[],
    protocol: number,
    n: number,
    isSix: number,
  ): MapEntry => ({
    map: "edge_services",
    key: join(
      address,
      new Uint8Array(16 - address.length),
      (flags[n % flags.length]! & 1) !== 0 ? [0, 0] : ports,
      [protocol, isSix],
    ),
    value: u32(n % 16, flags[n % flags.length]!),
  });
  const four = some(ipv4Of(packets), 4, 240).map(({ daddr, dport, protocol }, n) =>
    service(daddr, dport, protocol, n, 0),
  );
  const six = some(
    packets.filter((p) => p.length >= 58 && p[12] === 0x86 && p[13] === 0xdd),
    2,
    240,
  ).map((p, n) => service(p.subarray(38, 54), p.subarray(56, 58), p[20]!, n, 1));
  const ring = Array.from({ length: 16 * 4096 }, (_, n) => ({
    map: "edge_ring",
    key: u32(n),
    value: u32((n * 7) % SERVERS),
  }));
  const servers = Array.from({ length: SERVERS }, (_, n) => ({
    map: "edge_servers",
    key: u32(n),
    value: join(
      n === 5 ? [0, 0, 0, 0] : [10, 1, n, 7],
      u32(0, 0, n === 5 ? 0 : n),
      [2, 0, 0, 0, 1, n],
      [n & 1, 0],
    ),
  }));
  const ids = Array.from({ length: 512 }, (_, n) => ({
    map: "connection_ids",
    key: u32(n * 31),
    value: u32(n % SERVERS),
  }));
  const own = {
    map: "outer_addresses",
    key: u32(0),
    value: join([192, 0, 2, 1], u32(0xfc, 0, 0, 1), [2, 0, 0, 0, 0, 9], [0, 0]),
  };
  return [...four, ...six, ...ring, ...servers, ...ids, own];
}

/** Every third service of both families is behind a tunnel. */
function vipTunnel(packets: readonly Uint8Array[]): MapEntry[] {
  const four = some(ipv4Of(packets), 3, 400).map(({ daddr, dport, protocol }, n) => ({
    map: "vips",
    key: join(daddr, new Uint8Array(12), dport, [protocol, 4]),
    value: join([192, 0, 2, 1], new Uint8Array(12), [192, 0, 2, n & 255], new Uint8Array(12), [
      2,
      0,
      0,
      0,
      4,
      n & 255,
      0,
      0,
    ]),
  }));
  const six = some(
    packets.filter((p) => p.length >= 62 && p[12] === 0x86 && p[13] === 0xdd),
    3,
    400,
  ).map((p, n) => ({
    map: "vips",
    key: join(p.subarray(38, 54), p.subarray(56, 58), [p[20]!, 6]),
    value: join(u32(0xfc, 0, 0, 1), u32(0xfc, 0, 0, n), [2, 0, 0, 0, 6, n & 255, 0, 0]),
  }));
  return [...four, ...six];
}

const SETUPS: Readonly<Record<string, Setup>> = {
  five_tuple: (packets) =>
    some(ipv4Of(packets), 3, 2000).map(({ saddr, daddr, sport, dport, protocol }) => ({
      map: "blocked",
      key: join(saddr, daddr, sport, dport, u32(protocol)),
      value: u32(1),
    })),
  balancer,
  edge_balancer: edgeBalancer,
  router,
  acl,
  tunnel: (packets) =>
    some(ipv4Of(packets), 4, 200).map(({ daddr }, n) => ({
      map: "tunnels",
      key: daddr,
      value: join([192, 0, 2, 1], [192, 0, 2, n & 255]),
    })),
  vip_tunnel: vipTunnel,
  learning_switch: () => [{ map: "ports", key: u32(1), value: u32(1) }],
};

/** Flags of xdp-filter's entries: source, destination, TCP, UDP. */
const FILTER_FLAGS = [1, 2, 4, 8, 3, 12, 5, 15];

function filterEntries(packets: readonly Uint8Array[]): MapEntry[] {
  const value = (n: number): Uint8Array => u32(FILTER_FLAGS[n % FILTER_FLAGS.length]!, 0);
  const four = some(ipv4Of(packets), 3, 1000).flatMap((p, n) => [
    { map: "filter_ipv4", key: n % 2 === 0 ? p.saddr : p.daddr, value: value(n) },
    { map: "filter_ports", key: join(n % 2 === 0 ? p.dport : p.sport, [0, 0]), value: value(n) },
  ]);
  const six = some(
    packets.filter((p) => p.length >= 54 && p[12] === 0x86 && p[13] === 0xdd),
    3,
    200,
  ).map((p, n) => ({ map: "filter_ipv6", key: p.slice(22, 38), value: value(n) }));
  const macs = some(packets, 5, 300).map((p, n) => ({
    map: "filter_ethernet",
    key: n % 2 === 0 ? p.slice(0, 6) : p.slice(6, 12),
    value: value(n),
  }));
  return [...four, ...six, ...macs];
}

/** The entries for an object, given the names of its maps. */
export function setupOf(
  object: string,
  maps: readonly string[],
  packets: readonly Uint8Array[],
): MapEntry[] {
  const stem = object.split(" ")[0]!;
  const entries = stem.startsWith("xdpfilt_")
    ? filterEntries(packets)
    : (SETUPS[stem]?.(packets) ?? []);
  return entries.filter(({ map }) => maps.includes(map));
}
