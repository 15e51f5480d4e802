/**
 * What a sender may choose per packet. Senders keep one object and reuse it: it is borrowed for the
 * call of `Ip.send` and never kept.
 */

/** Values of {@link SendOptions.dontFragment}; the numbers are Linux's IP_PMTUDISC_ values. */
export const DontFragment = {
  /** Never set DF; fragment what exceeds the path MTU. */
  NEVER: 0,
  /** Set DF while the packet fits the path MTU, fragment it otherwise: Linux's default. */
  WANT: 1,
  /** Set DF; what exceeds the path MTU is refused with EMSGSIZE. */
  ALWAYS: 2,
  /** Set DF and ignore the path MTU: only the interface's counts (probing, RFC 4821). */
  PROBE: 3,
} as const;

export class SendOptions {
  /** TTL or hop limit; 0 means the default: 64, for multicast 1. */
  ttl = 0;
  /** DSCP and ECN. */
  tos = 0;
  /** {@link DontFragment}. For IPv6, ALWAYS and PROBE forbid fragmentation by the sender. */
  dontFragment: number = DontFragment.WANT;
  /** Octets of an IPv6 packet above which it is sent in fragments though the path takes more; 0: as the path. */
  mtu6Bytes = 0;
  /** IPv6 flow label, 20 bits. */
  flowLabel = 0;
  /** Adds the router alert (RFC 2113, RFC 2711), as IGMP and MLD need. */
  routerAlert = false;
  /** Multicast: members on this host receive it too (IP_MULTICAST_LOOP). */
  multicastLoop = true;
  /** Multicast with `ttl` really 0 (this host only), which 0 above cannot say. */
  hostOnly = false;
}
