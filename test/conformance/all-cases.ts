/** Every conformance case, by RFC or subject. */
import type { ConformanceCase } from "./case.js";
import { BACKLOG } from "./cases/backlog.js";
import { ICMP } from "./cases/icmp.js";
import { IPV6 } from "./cases/ipv6.js";
import { RFC1122 } from "./cases/rfc1122.js";
import { RFC2018 } from "./cases/rfc2018.js";
import { RFC3168 } from "./cases/rfc3168.js";
import { RFC5681 } from "./cases/rfc5681.js";
import { RFC5961 } from "./cases/rfc5961.js";
import { RFC6298 } from "./cases/rfc6298.js";
import { RFC7323 } from "./cases/rfc7323.js";
import { RFC8985 } from "./cases/rfc8985.js";
import { RFC9293 } from "./cases/rfc9293.js";
import { RFC9293_CALLS } from "./cases/rfc9293-calls.js";
import { RFC9293_HEADERS } from "./cases/rfc9293-headers.js";
import { RFC9293_RECEIVER } from "./cases/rfc9293-receiver.js";
import { RFC9293_STATES } from "./cases/rfc9293-states.js";

export const ALL_CASES: Readonly<Record<string, readonly ConformanceCase[]>> = {
  "RFC 9293": [
    ...RFC9293,
    ...RFC9293_HEADERS,
    ...RFC9293_STATES,
    ...RFC9293_CALLS,
    ...RFC9293_RECEIVER,
  ],
  "RFC 1122": RFC1122,
  "RFC 2018": RFC2018,
  "RFC 3168": RFC3168,
  "RFC 5681": RFC5681,
  "RFC 5961": RFC5961,
  "RFC 6298": RFC6298,
  "RFC 7323": RFC7323,
  "RFC 8985": RFC8985,
  "TCP and ICMP": ICMP,
  Listeners: BACKLOG,
  IPv6: IPV6,
};
