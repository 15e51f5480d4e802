/**
 * Walks a frame from Ethernet to the innermost format that `src/wire` knows, calls every gate and
 * every accessor on the way, and says all that was found in one line of text.
 *
 * The fuzzer compares such lines: the same bytes at another offset, or with other bytes after
 * their end, must give the same line, or some accessor has read where its gate did not look.
 * Offsets are therefore printed relative to the frame.
 */
import type { Bytes } from "../src/base/bytes.js";
import {
  arp,
  Drop,
  dropName,
  ethernet,
  icmpv4,
  icmpv6,
  igmp,
  ipProtocol,
  ipv4,
  ipv4Options,
  ipv6,
  ipv6Extensions,
  ipv6Fragment,
  mld,
  nd,
  pseudoHeader,
  tcp,
  tcpOptions,
  udp,
  vlan,
} from "../src/wire/index.js";

/** The byte before an end that a gate vouched for: wrong ends show in it. */
const lastByte = (b: Bytes, end: number): number | undefined => b[end - 1];

/** Describes the frame `b[at, end)`; ends with the reason when a gate refuses it. */
export function describeFrame(b: Bytes, at: number, end: number): string {
  const drop = ethernet.check(b, at, end);
  if (drop !== Drop.NONE) return `eth ${dropName(drop)}`;
  const p = ethernet.payloadAtOut;
  const type = ethernet.etherTypeOut;
  const tags: string[] = [];
  for (let n = 0; n < ethernet.tagsOut; n++) {
    const t = vlan.tagAt(at, n);
    const dei = vlan.dropEligible(b, t);
    tags.push(` vlan ${vlan.tpid(b, t)} ${vlan.priority(b, t)} ${dei} ${vlan.id(b, t)}`);
  }
  const addresses = `${ethernet.formatAddress(b, at)} ${ethernet.formatAddress(b, at + 6)}`;
  const head = `eth ${addresses} ${ethernet.isGroup(b, at)}${tags.join("")} `;
  if (type === ethernet.TYPE_ARP) return head + describeArp(b, p, end);
  if (type === ethernet.TYPE_IPV4) return head + describeIpv4(b, p, end);
  if (type === ethernet.TYPE_IPV6) return head + describeIpv6(b, p, end);
  return `${head}type ${type}`;
}

export function describeArp(b: Bytes, at: number, end: number): string {
  const drop = arp.check(b, at, end);
  if (drop !== Drop.NONE) return `arp ${dropName(drop)}`;
  return `arp ${arp.operation(b, at)} ${arp.senderIp(b, at)} ${arp.targetIp(b, at)}`;
}

export function describeIpv4(b: Bytes, at: number, frameEnd: number): string {
  const drop = ipv4.check(b, at, frameEnd);
  if (drop !== Drop.NONE) return `ipv4 ${dropName(drop)}`;
  const end = ipv4.endOf(b, at);
  const p = ipv4.payloadAt(b, at);
  const protocol = ipv4.protocol(b, at);
  const head =
    `ipv4 ${ipv4.src(b, at)} ${ipv4.dst(b, at)} ${ipv4.tos(b, at)} ${ipv4.id(b, at)} ` +
    `${ipv4.fragmentOffsetBytes(b, at)} ${ipv4.moreFragments(b, at)} ` +
    `${ipv4.dontFragment(b, at)} ${ipv4.ttl(b, at)} ${lastByte(b, end)} ${ipv4.checksumIsValid(b, at)} `;
  const options = ipv4.hasOptions(b, at) ? describeIpv4Options(b, at) : "";
  if (ipv4.isFragment(b, at)) return `${head}${options}fragment of ${protocol}`;
  const sum = pseudoHeader.sum4(b, at, protocol, end - p);
  return head + options + describeUpper(b, p, end, protocol, sum, -1);
}

function describeIpv4Options(b: Bytes, at: number): string {
  const drop = ipv4Options.check(b, at);
  if (drop !== Drop.NONE) return `options ${dropName(drop)} ${ipv4Options.problemPointerOut} `;
  const copied = new Uint8Array(40);
  const n = ipv4Options.copyForFragment(copied, 0, b, at);
  const places = [
    ipv4Options.recordRouteAtOut,
    ipv4Options.timestampAtOut,
    ipv4Options.sourceRouteAtOut,
  ].map((place) => (place < 0 ? "-" : place - at));
  return `options ${places.join(" ")} ${ipv4Options.routerAlertOut} ${copied.subarray(0, n)} `;
}

export function describeIpv6(b: Bytes, at: number, frameEnd: number): string {
  const drop = ipv6.check(b, at, frameEnd);
  if (drop !== Drop.NONE) return `ipv6 ${dropName(drop)}`;
  const end = ipv6.endOf(b, at);
  const head =
    `ipv6 ${ipv6.trafficClass(b, at)} ${ipv6.flowLabel(b, at)} ${ipv6.payloadLengthBytes(b, at)} ` +
    `${ipv6.nextHeader(b, at)} ${ipv6.hopLimit(b, at)} ${lastByte(b, end)} `;
  const byRouter = dropName(ipv6Extensions.checkHopByHop(b, at, end));
  const walked = ipv6Extensions.walk(b, at, end);
  if (walked !== Drop.NONE) {
    const problem = ipv6Extensions.problemCodeOut;
    const pointer = problem < 0 ? "" : `${problem} ${ipv6Extensions.problemPointerOut}`;
    return `${head}${byRouter} extensions ${dropName(walked)} ${pointer}`;
  }
  const p = ipv6Extensions.payloadAtOut;
  const protocol = ipv6Extensions.protocolOut;
  const found = `${byRouter} at ${p - at} ${ipv6Extensions.nextHeaderAtOut - at} ${ipv6Extensions.routerAlertOut} `;
  if (protocol === ipProtocol.FRAGMENT) {
    const offset = ipv6Fragment.offsetBytes(b, p);
    const more = ipv6Fragment.moreFragments(b, p);
    return `${head}${found}fragment ${ipv6Fragment.nextHeader(b, p)} ${offset} ${more} ${ipv6Fragment.id(b, p)}`;
  }
  const sum = pseudoHeader.sum6(b, at, protocol, end - p);
  return head + found + describeUpper(b, p, end, protocol, sum, at);
}

/** `ip6At` is the IPv6 header, or -1 below IPv4. */
function describeUpper(
  b: Bytes,
  p: number,
  end: number,
  protocol: number,
  pseudoSum: number,
  ip6At: number,
): string {
  switch (protocol) {
    case ipProtocol.UDP:
      return describeUdp(b, p, end, pseudoSum);
    case ipProtocol.TCP:
      return describeTcp(b, p, end, pseudoSum);
    case ipProtocol.ICMPV4:
      return describeIcmpv4(b, p, end);
    case ipProtocol.IGMP:
      return describeIgmp(b, p, end);
    case ipProtocol.ICMPV6:
      return ip6At < 0 ? "icmpv6 over ipv4" : describeIcmpv6(b, p, end, pseudoSum, ip6At);
    default:
      return `protocol ${protocol}`;
  }
}

export function describeUdp(b: Bytes, p: number, end: number, pseudoSum: number): string {
  const drop = udp.check(b, p, end);
  if (drop !== Drop.NONE) return `udp ${dropName(drop)}`;
  const sums = `${udp.checksumOmitted(b, p)} ${udp.checksumIsValid(b, p, pseudoSum)}`;
  return `udp ${udp.srcPort(b, p)} ${udp.dstPort(b, p)} ${udp.payloadBytes(b, p)} ${lastByte(b, udp.endOf(b, p))} ${sums}`;
}

const options = new tcpOptions.TcpOptions();

export function describeTcp(b: Bytes, p: number, end: number, pseudoSum: number): string {
  const drop = tcp.check(b, p, end);
  if (drop !== Drop.NONE) return `tcp ${dropName(drop)}`;
  const parsed = dropName(tcpOptions.parse(b, p, options));
  const at = (place: number): number => (place < 0 ? -1 : place - p);
  return [
    `tcp ${Object.values(tcp.parse(b, p)).join(" ")} ${tcp.payloadAt(b, p) - p}`,
    `${tcp.checksumIsValid(b, p, end, pseudoSum)} ${parsed}`,
    `mss ${options.mssBytes} ws ${options.windowScale} sackok ${options.sackPermitted}`,
    `ts ${options.hasTimestamps} ${options.tsVal} ${options.tsEcr} uto ${options.userTimeoutSec}`,
    `sack ${options.sack.subarray(0, 2 * options.sackBlocks)}`,
    `tfo ${at(options.fastOpenAt)} ${options.fastOpenBytes} md5 ${at(options.md5At)}`,
    `ao ${at(options.authenticationAt)} mptcp ${at(options.mptcpAt)}`,
  ].join(" ");
}

export function describeIcmpv4(b: Bytes, p: number, end: number): string {
  const drop = icmpv4.check(b, p, end);
  if (drop !== Drop.NONE) return `icmpv4 ${dropName(drop)}`;
  const type = icmpv4.type(b, p);
  const head = `icmpv4 ${type} ${icmpv4.code(b, p)} ${icmpv4.rest(b, p)} ${icmpv4.checksumIsValid(b, p, end)}`;
  if (!icmpv4.isError(type)) return head;
  const q = icmpv4.payloadAt(b, p);
  const quoted = ipv4.checkQuoted(b, q, end);
  if (quoted !== Drop.NONE) return `${head} ${dropName(quoted)}`;
  return `${head} quotes ${ipv4.src(b, q)} ${ipv4.dst(b, q)} ${ipv4.protocol(b, q)} ${ipv4.payloadAt(b, q) - q}`;
}

export function describeIgmp(b: Bytes, p: number, end: number): string {
  const drop = igmp.check(b, p, end);
  if (drop !== Drop.NONE) return `igmp ${dropName(drop)}`;
  const type = igmp.type(b, p);
  const head = `igmp ${type} ${igmp.checksumIsValid(b, p, end)}`;
  if (type === igmp.QUERY) {
    const version = igmp.queryVersion(b, p, end);
    const query = `${head} v${version} ${igmp.group(b, p)} ${igmp.maxResponseMs(b, p, end)} ms`;
    if (version < 3) return query;
    const sources = Array.from({ length: igmp.sourceCount(b, p) }, (_, i) => igmp.source(b, p, i));
    return `${query} ${igmp.robustness(b, p)} ${igmp.suppressRouterSide(b, p)} ${igmp.queryIntervalSec(b, p)} [${sources}]`;
  }
  if (type !== igmp.REPORT_V3) return `${head} ${igmp.group(b, p)}`;
  const records: string[] = [];
  for (let n = igmp.recordCount(b, p), r = p + igmp.HEADER_BYTES; n > 0; n--) {
    const sources = Array.from({ length: igmp.recordSourceCount(b, r) }, (_, i) =>
      igmp.recordSource(b, r, i),
    );
    records.push(`${igmp.recordType(b, r)} ${igmp.recordGroup(b, r)} [${sources}]`);
    r += igmp.recordBytes(b, r);
  }
  return `${head} ${records.join("; ")}`;
}

export function describeIcmpv6(
  b: Bytes,
  p: number,
  end: number,
  pseudoSum: number,
  ipAt: number,
): string {
  const drop = icmpv6.check(b, p, end);
  if (drop !== Drop.NONE) return `icmpv6 ${dropName(drop)}`;
  const type = icmpv6.type(b, p);
  const sum = icmpv6.checksumIsValid(b, p, end, pseudoSum);
  const head = `icmpv6 ${type} ${icmpv6.code(b, p)} ${icmpv6.rest(b, p)} ${sum} `;
  if (nd.isType(type)) return head + describeNd(b, p, end, ipAt);
  if (mld.isType(type)) return head + describeMld(b, p, end, ipAt);
  if (!icmpv6.isError(type)) return head;
  const q = icmpv6.payloadAt(b, p);
  const quoted = ipv6.checkQuoted(b, q, end);
  if (quoted !== Drop.NONE) return head + dropName(quoted);
  return `${head}quotes ${ipv6.nextHeader(b, q)}`;
}

function describeNd(b: Bytes, p: number, end: number, ipAt: number): string {
  const drop = nd.check(b, p, end, ipAt);
  if (drop !== Drop.NONE) return `nd ${dropName(drop)}`;
  const type = icmpv6.type(b, p);
  const out: (string | number)[] = ["nd", nd.flags(b, p)];
  if (type === icmpv6.ROUTER_ADVERTISEMENT) {
    out.push(nd.routerHopLimit(b, p), nd.routerFlags(b, p), nd.routerLifetimeSec(b, p));
    out.push(nd.reachableTimeMs(b, p), nd.retransTimerMs(b, p));
  }
  const first = p + nd.optionsOffset(type);
  for (let o = first; o < end; o += nd.optionBytes(b, o)) out.push(describeNdOption(b, o));
  const source = nd.linkAddressAt(b, p, end, nd.OPTION_SOURCE_LINK_ADDRESS);
  const target = nd.linkAddressAt(b, p, end, nd.OPTION_TARGET_LINK_ADDRESS);
  if (source >= 0) out.push(ethernet.formatAddress(b, source));
  if (target >= 0) out.push(ethernet.formatAddress(b, target));
  return out.join(" ");
}

function describeNdOption(b: Bytes, o: number): string {
  switch (b[o]) {
    case nd.OPTION_PREFIX:
      return `prefix ${nd.prefixBits(b, o)} ${nd.prefixFlags(b, o)} ${nd.prefixValidSec(b, o)} ${nd.prefixPreferredSec(b, o)}`;
    case nd.OPTION_MTU:
      return `mtu ${nd.mtuBytes(b, o)}`;
    case nd.OPTION_RDNSS:
      return `rdnss ${nd.rdnssLifetimeSec(b, o)} ${nd.rdnssCount(b, o)}`;
    default:
      return `option ${b[o]}`;
  }
}

function describeMld(b: Bytes, p: number, end: number, ipAt: number): string {
  const drop = mld.check(b, p, end, ipAt);
  if (drop !== Drop.NONE) return `mld ${dropName(drop)}`;
  const type = icmpv6.type(b, p);
  if (type === icmpv6.MLD_QUERY) {
    const version = mld.queryVersion(b, p, end);
    const query = `mld query v${version} ${mld.isGeneral(b, p)} ${mld.maxResponseMs(b, p, end)} ms`;
    if (version === 1) return query;
    const n = mld.sourceCount(b, p);
    const last = n === 0 ? "" : b.subarray(mld.sourceAt(b, p, n - 1), mld.sourceAt(b, p, n));
    return `${query} ${mld.robustness(b, p)} ${mld.suppressRouterSide(b, p)} ${mld.queryIntervalSec(b, p)} ${n} ${last}`;
  }
  if (type !== icmpv6.MLD_REPORT_V2) return `mld v1 ${b.subarray(p + mld.GROUP, p + 24)}`;
  const records: string[] = [];
  for (let n = mld.recordCount(b, p), r = p + mld.REPORT_BYTES; n > 0; n--) {
    const count = mld.recordSourceCount(b, r);
    const sources = b.subarray(mld.recordSourceAt(b, r, 0), mld.recordSourceAt(b, r, count));
    records.push(`${mld.recordType(b, r)} ${count} ${sources}`);
    r += mld.recordBytes(b, r);
  }
  return `mld v2 ${records.join("; ")}`;
}
