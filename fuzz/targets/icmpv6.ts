/** ICMPv6 messages (errors, ND, MLD) below an IPv6 header that lets them through the first gates. */
import { IpAddress } from "../../src/base/ip-address.js";
import { icmpv6, ipProtocol, ipv6, mld, nd } from "../../src/wire/index.js";
import { describeIpv6 } from "../describe-frame.js";
import { describeInPlaces, type Target } from "../target.js";

const SRC = IpAddress.parse("fe80::1");
const DST = IpAddress.parse("ff02::1");

export const target: Target = {
  name: "icmpv6",
  summary: "ICMPv6, neighbour discovery and listener discovery messages",
  maxBytes: 256,
  run(input) {
    const b = new Uint8Array(ipv6.HEADER_BYTES + input.length);
    b.set(input, ipv6.HEADER_BYTES);
    ipv6.write(b, 0, input.length, ipProtocol.ICMPV6, SRC, DST);
    const isMld = input.length > 0 && mld.isType(icmpv6.type(b, ipv6.HEADER_BYTES));
    ipv6.setHopLimit(b, 0, isMld ? mld.HOP_LIMIT : nd.HOP_LIMIT);
    return describeInPlaces(b, describeIpv6);
  },
};
