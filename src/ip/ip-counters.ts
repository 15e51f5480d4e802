/** What the IP layer counts, besides the reasons of drops (`wire/drop.ts`). */
export const IP_COUNTERS = {
  framesIn: "Frames taken from devices; the devices count bytes, and what is sent.",
  fragmentedOut: "Packets that were sent in fragments.",
  reassembled: "Datagrams put together from fragments.",
  icmpIn: "ICMP and ICMPv6 messages with a right checksum.",
  icmpErrorsOut: "ICMP and ICMPv6 errors sent.",
  echoAnswered: "Echo requests answered.",
  addressConflicts: "Packets that claim one of our addresses for another station.",
  duplicateAddresses: "Addresses given up because another station has them.",
  claimsRefused: "Flows, ports and groups for which the filter of a shared interface had no room.",
  routedElsewhere:
    "Destinations that the kernel routes through an interface that is not shared here.",
  neighbourRequestsRefused: "Times that the kernel refused to resolve a neighbour for us.",
  groupReportsOut: "IGMP and MLD reports and leaves sent.",
} as const;
export type IpCounter = keyof typeof IP_COUNTERS;
