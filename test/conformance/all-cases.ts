/** Every conformance case, by RFC. */
import type { ConformanceCase } from "./case.js";
import { RFC1122 } from "./cases/rfc1122.js";
import { RFC2018 } from "./cases/rfc2018.js";
import { RFC5681 } from "./cases/rfc5681.js";
import { RFC5961 } from "./cases/rfc5961.js";
import { RFC6298 } from "./cases/rfc6298.js";
import { RFC7323 } from "./cases/rfc7323.js";
import { RFC9293 } from "./cases/rfc9293.js";

export const ALL_CASES: Readonly<Record<string, readonly ConformanceCase[]>> = {
  "RFC 9293": RFC9293,
  "RFC 1122": RFC1122,
  "RFC 2018": RFC2018,
  "RFC 5681": RFC5681,
  "RFC 5961": RFC5961,
  "RFC 6298": RFC6298,
  "RFC 7323": RFC7323,
};
