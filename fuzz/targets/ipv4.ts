/** IPv4 packets, options and all that they carry. */
import { describeIpv4 } from "../describe-frame.js";
import { describeInPlaces, type Target } from "../target.js";

export const target: Target = {
  name: "ipv4",
  summary: "IPv4 packets, options and all that they carry",
  maxBytes: 512,
  run: (input) => describeInPlaces(input, describeIpv4),
};
