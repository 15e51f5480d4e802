/**
 * Why a packet was dropped: one small integer per reason, for all layers up to the sockets.
 *
 * A reason is also the index of its counter: build `new Counters("drop", DROP_MEANINGS)` and add
 * at index `Drop.UDP_NO_SOCKET`. The layers' gates (`check`) return a Drop, never throw.
 *
 * To add a reason: a line at the end of its group here, the same line in {@link DROP_MEANINGS}, and
 * renumber (`node scripts/renumber-drops.js`). Codes are not stable between versions; names are.
 */
export const Drop = {
  NONE: 0,

  // Link: Ethernet and ARP
  ETH_TRUNCATED: 1,
  ETH_LLC: 2,
  ETH_TYPE_UNKNOWN: 3,
  ETH_TOO_MANY_TAGS: 4,
  ETH_VLAN_UNKNOWN: 5,
  ETH_NOT_FOR_US: 6,
  ETH_OWN_ECHO: 7,
  ARP_TRUNCATED: 8,
  ARP_BAD_FORMAT: 9,
  ARP_BAD_OPERATION: 10,
  ARP_BAD_ADDRESS: 11,
  ARP_NOT_FOR_US: 12,

  // IPv4
  IP4_TRUNCATED: 13,
  IP4_BAD_VERSION: 14,
  IP4_BAD_HEADER_LENGTH: 15,
  IP4_BAD_TOTAL_LENGTH: 16,
  IP4_BAD_CHECKSUM: 17,
  IP4_BAD_OPTION: 18,
  IP4_SOURCE_ROUTED: 19,
  IP4_BAD_FRAGMENT: 20,

  // IPv6
  IP6_TRUNCATED: 21,
  IP6_BAD_VERSION: 22,
  IP6_EXTENSION_TRUNCATED: 23,
  IP6_TOO_MANY_EXTENSIONS: 24,
  IP6_BAD_OPTION: 25,
  IP6_OPTION_DISCARD: 26,
  IP6_OPTION_PROBLEM: 27,
  IP6_OPTION_PROBLEM_UNICAST: 28,
  IP6_HOP_BY_HOP_LATE: 29,
  IP6_ROUTING_REFUSED: 30,
  IP6_NO_NEXT_HEADER: 31,
  IP6_BAD_FRAGMENT: 32,

  // IP input, both families
  IP_MARTIAN_SOURCE: 33,
  IP_MARTIAN_DESTINATION: 34,
  IP_NOT_FOR_US: 35,
  IP_NOT_JOINED: 36,
  IP_SOURCE_FILTERED: 37,
  IP_TTL_EXPIRED: 38,
  IP_TTL_TOO_LOW: 39,
  IP_UNKNOWN_PROTOCOL: 40,
  IP_TENTATIVE_ADDRESS: 41,

  // Fragments
  FRAG_OVERLAP: 42,
  FRAG_TIMEOUT: 43,
  FRAG_LIMIT: 44,
  FRAG_TOO_BIG: 45,
  FRAG_TOO_MANY: 46,
  FRAG_INCONSISTENT: 47,

  // IP output
  NO_ROUTE: 48,
  ROUTE_PROHIBITED: 49,
  NO_SOURCE_ADDRESS: 50,
  NO_NEIGHBOUR: 51,
  NEIGHBOUR_QUEUE_FULL: 52,
  NEIGHBOUR_TABLE_FULL: 53,
  TOO_BIG: 54,
  LINK_DOWN: 55,

  // ICMP, IGMP, MLD, ND
  ICMP4_TRUNCATED: 56,
  ICMP4_BAD_CHECKSUM: 57,
  ICMP4_BAD_TYPE: 58,
  ICMP4_IGNORED: 59,
  ICMP6_TRUNCATED: 60,
  ICMP6_BAD_CHECKSUM: 61,
  ICMP6_BAD_TYPE: 62,
  ICMP6_IGNORED: 63,
  ICMP_BAD_QUOTE: 64,
  ICMP_RATE_LIMITED: 65,
  ND_TRUNCATED: 66,
  ND_BAD_HOP_LIMIT: 67,
  ND_BAD_CODE: 68,
  ND_BAD_OPTION: 69,
  ND_BAD_ADDRESS: 70,
  ND_NOT_FOR_US: 71,
  IGMP_TRUNCATED: 72,
  IGMP_BAD_CHECKSUM: 73,
  IGMP_BAD_TYPE: 74,
  IGMP_BAD_GROUP: 75,
  MLD_TRUNCATED: 76,
  MLD_BAD_GROUP: 77,

  // UDP
  UDP_TRUNCATED: 78,
  UDP_BAD_LENGTH: 79,
  UDP_BAD_CHECKSUM: 80,
  UDP_NO_CHECKSUM: 81,
  UDP_NO_SOCKET: 82,

  // TCP
  TCP_TRUNCATED: 83,
  TCP_BAD_HEADER_LENGTH: 84,
  TCP_BAD_PORT: 85,
  TCP_BAD_CHECKSUM: 86,
  TCP_BAD_OPTION: 87,
  TCP_BAD_FLAGS: 88,
  TCP_NO_SOCKET: 89,
  TCP_NOT_UNICAST: 90,
  TCP_OUT_OF_WINDOW: 91,
  TCP_BAD_ACK: 92,
  TCP_NO_ACK: 93,
  TCP_PAWS: 94,
  TCP_BAD_RESET: 95,
  TCP_UNEXPECTED_SYN: 96,
  TCP_DUPLICATE: 97,
  TCP_SYN_QUEUE_FULL: 98,
  TCP_ACCEPT_QUEUE_FULL: 99,
  TCP_BAD_COOKIE: 100,
  TCP_OUT_OF_ORDER_LIMIT: 101,
  TCP_BUFFER_FULL: 102,
  TCP_AFTER_CLOSE: 103,
  TCP_TIME_WAIT: 104,
  TCP_TABLE_FULL: 105,
  TCP_CHALLENGE_LIMITED: 106,
  TCP_AUTHENTICATION: 107,

  // Sockets, pool and devices
  SOCKET_QUEUE_FULL: 108,
  SOCKET_FILTERED: 109,
  SOCKET_CLOSED: 110,
  POOL_EMPTY: 111,
  TOO_LONG_FOR_SLOT: 112,
  DEVICE_QUEUE_FULL: 113,
  DEVICE_GONE: 114,
  DEVICE_BAD_METADATA: 115,
  FILTERED: 116,
  LOOP: 117,
  FAULT_INJECTED: 118,
} as const;

export type DropName = keyof typeof Drop;
export type Drop = (typeof Drop)[DropName];

/** What each reason means, in code order: the declaration that `Counters` takes. */
export const DROP_MEANINGS: Readonly<Record<DropName, string>> = {
  NONE: "Not dropped; this counter stays 0.",

  ETH_TRUNCATED: "Frame shorter than an Ethernet header and its VLAN tags.",
  ETH_LLC: "IEEE 802.3 length instead of an EtherType (spanning tree and the like): not IP.",
  ETH_TYPE_UNKNOWN: "EtherType that no protocol here takes.",
  ETH_TOO_MANY_TAGS: "More VLAN tags than are followed.",
  ETH_VLAN_UNKNOWN: "VLAN that no interface of this host belongs to.",
  ETH_NOT_FOR_US:
    "Unicast to another station's address, seen because of promiscuous mode or flooding.",
  ETH_OWN_ECHO: "Frame whose source is our own address: a loop, or our own broadcast come back.",
  ARP_TRUNCATED: "ARP packet cut short.",
  ARP_BAD_FORMAT: "ARP for other than Ethernet and IPv4, or with wrong address lengths.",
  ARP_BAD_OPERATION: "ARP operation other than request and reply.",
  ARP_BAD_ADDRESS:
    "ARP sender address that cannot be one: multicast, broadcast or zero hardware address.",
  ARP_NOT_FOR_US: "ARP request for an address of another host.",

  IP4_TRUNCATED: "Frame ends before the IPv4 header or before its total length.",
  IP4_BAD_VERSION: "IPv4 EtherType over a header whose version is not 4.",
  IP4_BAD_HEADER_LENGTH: "IPv4 header length below 20 bytes.",
  IP4_BAD_TOTAL_LENGTH: "IPv4 total length smaller than the header.",
  IP4_BAD_CHECKSUM: "IPv4 header checksum wrong.",
  IP4_BAD_OPTION: "IPv4 option with an impossible length or pointer.",
  IP4_SOURCE_ROUTED: "IPv4 source route option: refused, as hosts do by default.",
  IP4_BAD_FRAGMENT:
    "IPv4 fragment with a length that no sender makes, or with DF where fragments are refused.",

  IP6_TRUNCATED: "Frame ends before the IPv6 header or before its payload length.",
  IP6_BAD_VERSION: "IPv6 EtherType over a header whose version is not 6.",
  IP6_EXTENSION_TRUNCATED: "Packet ends inside an IPv6 extension header.",
  IP6_TOO_MANY_EXTENSIONS:
    "More IPv6 extension headers, or options in one, than are followed (RFC 8504 §5.3).",
  IP6_BAD_OPTION: "IPv6 option with an impossible length.",
  IP6_OPTION_DISCARD:
    "Unknown IPv6 option that asks for a silent discard (action 01, RFC 8200 §4.2).",
  IP6_OPTION_PROBLEM: "Unknown IPv6 option that asks for a Parameter Problem always (action 10).",
  IP6_OPTION_PROBLEM_UNICAST:
    "Unknown IPv6 option that asks for a Parameter Problem unless multicast (action 11).",
  IP6_HOP_BY_HOP_LATE: "Hop-by-hop options anywhere but right after the IPv6 header.",
  IP6_ROUTING_REFUSED: "Routing header with segments left: refused (RFC 5095, RFC 8200 §4.4).",
  IP6_NO_NEXT_HEADER: "Nothing after the IPv6 headers (next header 59).",
  IP6_BAD_FRAGMENT: "IPv6 fragment with a bad length or offset.",

  IP_MARTIAN_SOURCE:
    "Source address that must not be on this wire: loopback, multicast, broadcast, our own, or not routed back here.",
  IP_MARTIAN_DESTINATION: "Destination that must not be on a wire: loopback or unspecified.",
  IP_NOT_FOR_US: "Destination is no address of this host and it does not forward.",
  IP_NOT_JOINED: "Multicast group that nobody here has joined on this interface.",
  IP_SOURCE_FILTERED: "Multicast source that the group's source filters keep out.",
  IP_TTL_EXPIRED: "Time to live or hop limit used up while forwarding.",
  IP_TTL_TOO_LOW: "Below the minimum time to live that the socket asked for (RFC 5082).",
  IP_UNKNOWN_PROTOCOL: "Upper-layer protocol that nobody here takes.",
  IP_TENTATIVE_ADDRESS: "Destination address still being checked for duplicates (RFC 4862 §5.4).",

  FRAG_OVERLAP: "Fragment overlaps another: the whole datagram goes (RFC 5722, RFC 8200 §4.5).",
  FRAG_TIMEOUT: "Fragments whose datagram was not complete in time.",
  FRAG_LIMIT: "Fragments given up because reassembly memory was full.",
  FRAG_TOO_BIG: "Fragment that would make the datagram longer than 65,535 bytes.",
  FRAG_TOO_MANY: "More fragments of one datagram than are kept.",
  FRAG_INCONSISTENT: "Fragments of one datagram disagree about its end.",

  NO_ROUTE: "No route to the destination.",
  ROUTE_PROHIBITED: "Route that says the destination is prohibited or a black hole.",
  NO_SOURCE_ADDRESS: "No address of ours may be used as source for the destination.",
  NO_NEIGHBOUR: "The next hop did not answer ARP or neighbour solicitation.",
  NEIGHBOUR_QUEUE_FULL: "Too many packets already wait for the next hop's hardware address.",
  NEIGHBOUR_TABLE_FULL: "No room for another neighbour.",
  TOO_BIG: "Longer than the path allows and must not be fragmented.",
  LINK_DOWN: "The interface is down.",

  ICMP4_TRUNCATED: "ICMPv4 message cut short.",
  ICMP4_BAD_CHECKSUM: "ICMPv4 checksum wrong.",
  ICMP4_BAD_TYPE: "ICMPv4 type or code that is not handled.",
  ICMP4_IGNORED:
    "ICMPv4 message that this host does not act on: redirect, echo to broadcast, stale error.",
  ICMP6_TRUNCATED: "ICMPv6 message cut short.",
  ICMP6_BAD_CHECKSUM: "ICMPv6 checksum wrong.",
  ICMP6_BAD_TYPE: "ICMPv6 type or code that is not handled.",
  ICMP6_IGNORED: "ICMPv6 message that this host does not act on.",
  ICMP_BAD_QUOTE: "ICMP error whose quoted packet is too short or is not one of ours.",
  ICMP_RATE_LIMITED:
    "ICMP answer not sent because of the rate limit (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f).",
  ND_TRUNCATED: "Neighbour discovery message cut short.",
  ND_BAD_HOP_LIMIT:
    "Neighbour discovery or MLD from beyond the link: hop limit is not what it must be (RFC 4861 §6.1, §7.1).",
  ND_BAD_CODE: "Neighbour discovery message with a code other than 0.",
  ND_BAD_OPTION: "Neighbour discovery option of length 0 or past the end.",
  ND_BAD_ADDRESS:
    "Neighbour discovery message with addresses that break RFC 4861's validity rules.",
  ND_NOT_FOR_US: "Neighbour solicitation for an address of another host.",
  IGMP_TRUNCATED: "IGMP message cut short.",
  IGMP_BAD_CHECKSUM: "IGMP checksum wrong.",
  IGMP_BAD_TYPE: "IGMP type that is not known.",
  IGMP_BAD_GROUP: "IGMP message about an address that is no multicast group.",
  MLD_TRUNCATED: "MLD message cut short.",
  MLD_BAD_GROUP:
    "MLD message about an address that is no multicast group, or not from a link-local source.",

  UDP_TRUNCATED: "UDP header or payload cut short.",
  UDP_BAD_LENGTH: "UDP length below 8.",
  UDP_BAD_CHECKSUM: "UDP checksum wrong.",
  UDP_NO_CHECKSUM: "UDP over IPv6 without a checksum (RFC 8200 §8.1).",
  UDP_NO_SOCKET: "UDP datagram to a port that nobody has bound.",

  TCP_TRUNCATED: "TCP header cut short.",
  TCP_BAD_HEADER_LENGTH: "TCP data offset below 20 bytes.",
  TCP_BAD_PORT: "TCP connection attempt from port 0.",
  TCP_BAD_CHECKSUM: "TCP checksum wrong.",
  TCP_BAD_OPTION: "TCP option that runs past the header.",
  TCP_BAD_FLAGS: "Flags that no TCP sends together (SYN with FIN or RST, none at all).",
  TCP_NO_SOCKET: "TCP segment that belongs to no connection and no listener.",
  TCP_NOT_UNICAST: "TCP segment to or from a broadcast or multicast address (RFC 9293 §3.9.2.3).",
  TCP_OUT_OF_WINDOW: "Segment outside the receive window; answered by an ACK.",
  TCP_BAD_ACK: "Acknowledgement of what was never sent or is too old (RFC 5961 §5).",
  TCP_NO_ACK: "Segment without ACK where one is required.",
  TCP_PAWS: "Timestamp older than one seen before (RFC 7323 §5).",
  TCP_BAD_RESET: "RST with a sequence number that is not exactly the next one (RFC 5961 §3).",
  TCP_UNEXPECTED_SYN: "SYN inside a connection (RFC 5961 §4).",
  TCP_DUPLICATE: "Segment whose data had all arrived before.",
  TCP_SYN_QUEUE_FULL: "SYN given up because too many handshakes were under way.",
  TCP_ACCEPT_QUEUE_FULL: "Handshake given up because the listener's queue was full.",
  TCP_BAD_COOKIE: "ACK to a listener that carries no valid SYN cookie.",
  TCP_OUT_OF_ORDER_LIMIT: "Out-of-order data not kept because of the limit.",
  TCP_BUFFER_FULL: "Data beyond what the receive buffer takes.",
  TCP_AFTER_CLOSE: "Data for a connection whose owner has closed it.",
  TCP_TIME_WAIT: "Segment for a connection in TIME-WAIT that changes nothing.",
  TCP_TABLE_FULL: "No room for another connection.",
  TCP_CHALLENGE_LIMITED: "Challenge ACK not sent because of the rate limit (RFC 5961 §7).",
  TCP_AUTHENTICATION: "TCP-MD5 or TCP-AO signature that is missing or cannot be checked.",

  SOCKET_QUEUE_FULL: "The socket's receive queue was full.",
  SOCKET_FILTERED: "Not from the peer that the socket is connected to, or not from its interface.",
  SOCKET_CLOSED: "The socket was closed with this still in its queue.",
  POOL_EMPTY: "No free slot in the pool.",
  TOO_LONG_FOR_SLOT: "Longer than a slot.",
  DEVICE_QUEUE_FULL: "The device's transmit ring was full.",
  DEVICE_GONE: "The device was closed or has failed.",
  DEVICE_BAD_METADATA: "Device metadata (offload header, descriptor) that contradicts the frame.",
  FILTERED: "A filter of ours said so.",
  LOOP: "Went round inside this host too many times.",
  FAULT_INJECTED: "Lost on purpose by a fault injector.",
};

const NAMES = Object.keys(Drop) as readonly DropName[];

/** How many reasons there are; codes are 0 to this minus 1. */
export const DROP_COUNT: number = NAMES.length;

/** The name of a reason, for views and test failures. */
export function dropName(drop: Drop): DropName {
  return NAMES[drop]!;
}
