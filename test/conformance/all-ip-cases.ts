/** Every conformance case below TCP, by subject. */
import { ARP } from "./ip-cases/arp.js";
import { GROUPS } from "./ip-cases/groups.js";
import { ICMP4 } from "./ip-cases/icmp.js";
import { IPV4 } from "./ip-cases/ipv4.js";
import { IPV6 } from "./ip-cases/ipv6.js";
import { ND } from "./ip-cases/nd.js";
import { UDP } from "./ip-cases/udp.js";
import type { IpCase } from "./ip-world.js";

export const ALL_IP_CASES: Readonly<Record<string, readonly IpCase[]>> = {
  ARP,
  "IPv4 packets": IPV4,
  ICMP: ICMP4,
  UDP,
  "IPv6 packets": IPV6,
  "Neighbour discovery": ND,
  Groups: GROUPS,
};
