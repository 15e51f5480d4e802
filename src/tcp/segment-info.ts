/**
 * What the host knows of an arriving segment beyond its bytes. One object is reused for every
 * segment: borrowed for the call, never kept.
 */
import { IpAddress } from "../base/ip-address.js";

export class SegmentInfo {
  /** The address that the segment was sent to: ours. */
  readonly local: IpAddress = new IpAddress();
  readonly remote: IpAddress = new IpAddress();
  /** IPv4 TOS or IPv6 traffic class; the low two bits are ECN (RFC 3168 §5). */
  tos = 0;
  /** IPv4 TTL or IPv6 hop limit. */
  ttl = 0;
  /** Index of the interface that it came in on. */
  ifIndex = 0;
}
