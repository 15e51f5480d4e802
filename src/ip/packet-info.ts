/**
 * What IP knows of a packet when it hands it to a transport. One object is reused for every
 * packet: borrowed for the call, never kept.
 */
import { IpAddress } from "../base/ip-address.js";

/** What kind of address a packet was sent to. */
export const DestinationKind = { UNICAST: 0, BROADCAST: 1, MULTICAST: 2 } as const;

export class PacketInfo {
  readonly src: IpAddress = new IpAddress();
  readonly dst: IpAddress = new IpAddress();
  /** {@link DestinationKind}. */
  dstKind = 0;
  /** Index of the interface that it came in on. */
  ifIndex = 0;
  /** IPv4 TTL or IPv6 hop limit. */
  ttl = 0;
  /** IPv4 TOS or IPv6 traffic class: DSCP and ECN. */
  tos = 0;
  protocol = 0;
  /** Offsets in the pool's bytes: IP header, transport header, end of the IP payload. */
  l3At = 0;
  l4At = 0;
  end = 0;
  /** `FrameFlags` of the frame. */
  flags = 0;
  nowUs = 0;
}
