/** Zones (RFC 4007 §6): addresses that mean something on one link only. */
import type { IpAddress } from "../base/ip-address.js";

const FIELD = 0xf0000;
const LINK_LOCAL = 0x20000;

/** Whether an interface goes with the address: link-local ones, and groups of a link or of an interface. */
export const needsZone = (a: IpAddress): boolean =>
  !a.isV4 && (a.isLinkLocal || (a.isMulticast && (a.w0 & FIELD) <= LINK_LOCAL));
