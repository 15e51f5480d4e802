/** IPv6 packets, extension headers and all that they carry. */
import { describeIpv6 } from "../describe-frame.js";
import { describeInPlaces, type Target } from "../target.js";

export const target: Target = {
  name: "ipv6",
  summary: "IPv6 packets, extension headers and all that they carry",
  maxBytes: 512,
  run: (input) => describeInPlaces(input, describeIpv6),
};
