/**
 * Protocol numbers that IPv4's protocol field and IPv6's next header field share (IANA "Assigned
 * Internet Protocol Numbers"), as far as this stack knows them.
 */
export const HOP_BY_HOP = 0;
export const ICMPV4 = 1;
export const IGMP = 2;
export const IPV4 = 4;
export const TCP = 6;
export const UDP = 17;
export const IPV6 = 41;
export const ROUTING = 43;
export const FRAGMENT = 44;
export const GRE = 47;
export const ESP = 50;
export const AH = 51;
export const ICMPV6 = 58;
export const NO_NEXT_HEADER = 59;
export const DESTINATION_OPTIONS = 60;
