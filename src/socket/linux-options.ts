/**
 * Linux's socket options: levels, numbers and the form of each value (socket(7), ip(7), ipv6(7),
 * tcp(7), udp(7)). Data only; what an option does is in the sockets.
 *
 * One table serves the named interface (`socket.set("TCP_NODELAY", 1)`) and the numbered one
 * (`setOption(6, 1, 1)`) that carries the calls of unmodified programs.
 */

export const Level = { SOCKET: 1, IP: 0, IPV6: 41, TCP: 6, UDP: 17, ICMPV6: 58 } as const;

/** Options of level SOL_SOCKET. */
export const So = {
  SO_DEBUG: 1,
  SO_REUSEADDR: 2,
  SO_TYPE: 3,
  SO_ERROR: 4,
  SO_DONTROUTE: 5,
  SO_BROADCAST: 6,
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SO_KEEPALIVE: 9,
  SO_OOBINLINE: 10,
  SO_NO_CHECK: 11,
  SO_PRIORITY: 12,
  SO_LINGER: 13,
  SO_BSDCOMPAT: 14,
  SO_REUSEPORT: 15,
  SO_RCVLOWAT: 18,
  SO_SNDLOWAT: 19,
  SO_RCVTIMEO: 20,
  SO_SNDTIMEO: 21,
  SO_BINDTODEVICE: 25,
  SO_ATTACH_FILTER: 26,
  SO_DETACH_FILTER: 27,
  SO_TIMESTAMP: 29,
  SO_ACCEPTCONN: 30,
  SO_SNDBUFFORCE: 32,
  SO_RCVBUFFORCE: 33,
  SO_TIMESTAMPNS: 35,
  SO_MARK: 36,
  SO_TIMESTAMPING: 37,
  SO_PROTOCOL: 38,
  SO_DOMAIN: 39,
  SO_RXQ_OVFL: 40,
  SO_PEEK_OFF: 42,
  SO_BUSY_POLL: 46,
  SO_MAX_PACING_RATE: 47,
  SO_INCOMING_CPU: 49,
  SO_COOKIE: 57,
  SO_ZEROCOPY: 60,
  SO_BINDTOIFINDEX: 62,
  SO_PREFER_BUSY_POLL: 69,
  SO_BUSY_POLL_BUDGET: 70,
} as const;

/** Options of level IPPROTO_IP. */
export const IpOption = {
  IP_TOS: 1,
  IP_TTL: 2,
  IP_HDRINCL: 3,
  IP_OPTIONS: 4,
  IP_ROUTER_ALERT: 5,
  IP_RECVOPTS: 6,
  IP_RETOPTS: 7,
  IP_PKTINFO: 8,
  IP_MTU_DISCOVER: 10,
  IP_RECVERR: 11,
  IP_RECVTTL: 12,
  IP_RECVTOS: 13,
  IP_MTU: 14,
  IP_FREEBIND: 15,
  IP_TRANSPARENT: 19,
  IP_RECVORIGDSTADDR: 20,
  IP_MINTTL: 21,
  IP_CHECKSUM: 23,
  IP_BIND_ADDRESS_NO_PORT: 24,
  IP_MULTICAST_IF: 32,
  IP_MULTICAST_TTL: 33,
  IP_MULTICAST_LOOP: 34,
  IP_ADD_MEMBERSHIP: 35,
  IP_DROP_MEMBERSHIP: 36,
  IP_UNBLOCK_SOURCE: 37,
  IP_BLOCK_SOURCE: 38,
  IP_ADD_SOURCE_MEMBERSHIP: 39,
  IP_DROP_SOURCE_MEMBERSHIP: 40,
  IP_MSFILTER: 41,
  MCAST_JOIN_GROUP: 42,
  MCAST_BLOCK_SOURCE: 43,
  MCAST_UNBLOCK_SOURCE: 44,
  MCAST_LEAVE_GROUP: 45,
  MCAST_JOIN_SOURCE_GROUP: 46,
  MCAST_LEAVE_SOURCE_GROUP: 47,
  MCAST_MSFILTER: 48,
  IP_MULTICAST_ALL: 49,
  IP_UNICAST_IF: 50,
  IP_LOCAL_PORT_RANGE: 51,
} as const;

/** Options of level IPPROTO_IPV6; MCAST_* are those of level IPPROTO_IP. */
export const Ipv6Option = {
  IPV6_UNICAST_HOPS: 16,
  IPV6_MULTICAST_IF: 17,
  IPV6_MULTICAST_HOPS: 18,
  IPV6_MULTICAST_LOOP: 19,
  IPV6_JOIN_GROUP: 20,
  IPV6_LEAVE_GROUP: 21,
  IPV6_MTU_DISCOVER: 23,
  IPV6_MTU: 24,
  IPV6_RECVERR: 25,
  IPV6_V6ONLY: 26,
  IPV6_MULTICAST_ALL: 29,
  IPV6_FLOWINFO_SEND: 33,
  IPV6_RECVPKTINFO: 49,
  IPV6_RECVHOPLIMIT: 51,
  IPV6_DONTFRAG: 62,
  IPV6_RECVTCLASS: 66,
  IPV6_TCLASS: 67,
  IPV6_AUTOFLOWLABEL: 70,
  IPV6_ADDR_PREFERENCES: 72,
  IPV6_MINHOPCOUNT: 73,
  IPV6_UNICAST_IF: 76,
  IPV6_FREEBIND: 78,
} as const;

/** Options of level IPPROTO_TCP. */
export const TcpLevelOption = {
  TCP_NODELAY: 1,
  TCP_MAXSEG: 2,
  TCP_CORK: 3,
  TCP_KEEPIDLE: 4,
  TCP_KEEPINTVL: 5,
  TCP_KEEPCNT: 6,
  TCP_SYNCNT: 7,
  TCP_LINGER2: 8,
  TCP_DEFER_ACCEPT: 9,
  TCP_WINDOW_CLAMP: 10,
  TCP_INFO: 11,
  TCP_QUICKACK: 12,
  TCP_CONGESTION: 13,
  TCP_MD5SIG: 14,
  TCP_USER_TIMEOUT: 18,
  TCP_FASTOPEN: 23,
  TCP_TIMESTAMP: 24,
  TCP_NOTSENT_LOWAT: 25,
  TCP_SAVE_SYN: 27,
  TCP_FASTOPEN_CONNECT: 30,
  TCP_ULP: 31,
  TCP_INQ: 36,
} as const;

/** Options of level IPPROTO_UDP. */
export const UdpLevelOption = {
  UDP_CORK: 1,
  UDP_ENCAP: 100,
  UDP_NO_CHECK6_TX: 101,
  UDP_NO_CHECK6_RX: 102,
  UDP_SEGMENT: 103,
  UDP_GRO: 104,
} as const;

/** Any option that has a number and one integer for a value. */
export type OptionName =
  | keyof typeof So
  | keyof typeof IpOption
  | keyof typeof Ipv6Option
  | keyof typeof TcpLevelOption
  | keyof typeof UdpLevelOption;

const LEVELS: readonly (readonly [number, Readonly<Record<string, number>>])[] = [
  [Level.SOCKET, So],
  [Level.IP, IpOption],
  [Level.IPV6, Ipv6Option],
  [Level.TCP, TcpLevelOption],
  [Level.UDP, UdpLevelOption],
];

const BY_NAME: ReadonlyMap<string, readonly [level: number, number: number]> = new Map(
  LEVELS.flatMap(([level, options]) =>
    Object.entries(options).map(([name, n]): [string, [number, number]] => [name, [level, n]]),
  ),
);

/** Level and number of an option by its C name; undefined when Linux has no such option. */
export function optionByName(name: string): readonly [level: number, number: number] | undefined {
  return BY_NAME.get(name);
}

/** The C name of an option, for messages: `TCP_NODELAY`, or `option 6:99`. */
export function optionName(level: number, number: number): string {
  for (const [name, [l, n]] of BY_NAME) if (l === level && n === number) return name;
  return `option ${level}:${number}`;
}

/** Flags of send and receive calls (send(2), recv(2)). */
export const MsgFlags = {
  OOB: 0x1,
  PEEK: 0x2,
  DONTROUTE: 0x4,
  CTRUNC: 0x8,
  TRUNC: 0x20,
  DONTWAIT: 0x40,
  EOR: 0x80,
  WAITALL: 0x100,
  CONFIRM: 0x800,
  ERRQUEUE: 0x2000,
  NOSIGNAL: 0x4000,
  MORE: 0x8000,
} as const;

/** Directions of `shutdown`. */
export const Shutdown = { READ: 0, WRITE: 1, BOTH: 2 } as const;

/** Address families and socket types, as SO_DOMAIN and SO_TYPE report them. */
export const Family = { INET: 2, INET6: 10 } as const;
export const SocketType = { STREAM: 1, DGRAM: 2 } as const;
