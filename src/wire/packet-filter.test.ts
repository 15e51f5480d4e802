import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { CaptureReader } from "./capture-reader.js";
import { PacketFilter, parseFilter } from "./packet-filter.js";

const VECTORS = new URL("../../../test/vectors/captures/", import.meta.url);

/** How many packets of a capture a filter selects. */
function selected(name: string, text: string): number {
  const filter = parseFilter(text);
  assert.ok(filter instanceof PacketFilter, `${text}: ${JSON.stringify(filter)}`);
  const reader = new CaptureReader();
  reader.push(readFileSync(new URL(name, VECTORS)));
  reader.end();
  let n = 0;
  while (reader.next()) if (filter.matches(reader.packet)) n++;
  return n;
}

const refusal = (text: string): unknown => {
  const filter = parseFilter(text);
  return filter instanceof PacketFilter ? "accepted" : [filter.column, filter.message];
};

test("protocols, hosts, nets and ports of a TCP connection", () => {
  const count = (text: string): number => selected("zeek/tcp.pcap", text);
  assert.equal(count(""), 12);
  assert.equal(count("tcp"), 12);
  assert.equal(count("udp or icmp or arp or ip6"), 0);
  assert.equal(count("host 66.35.250.204"), 12);
  assert.equal(count("66.35.250.204"), 12);
  assert.equal(count("src host 66.35.250.204"), 6);
  assert.equal(count("dst net 66.35.0.0/16"), 6);
  assert.equal(count("net 66.36.0.0/16"), 0);
  assert.equal(count("tcp src port 80"), 6);
  assert.equal(count("port 81 or 80"), 12);
  assert.equal(count("portrange 79-81 and src 66.35.250.204"), 6);
  assert.equal(count("udp port 80"), 0);
  assert.equal(count("greater 1000"), 1);
  assert.equal(count("less 66"), 7);
});

test("not binds closest, then and, then or; parentheses override", () => {
  const count = (text: string): number => selected("zeek/tcp.pcap", text);
  assert.equal(count("not src port 80 and tcp"), 6);
  assert.equal(count("udp and tcp or src port 80"), 6);
  assert.equal(count("udp and (tcp or src port 80)"), 0);
  assert.equal(count("!(tcp && src or dst port 80)"), 0);
  assert.equal(count("not not udp || src port 80"), 6);
});

test("Ethernet addresses and VLANs", () => {
  assert.equal(selected("zeek/icmp_dot1q.pcap", "vlan"), 15);
  assert.equal(selected("zeek/icmp_dot1q.pcap", "vlan 4095"), 0);
  assert.equal(selected("tcpdump/802.1ad_QinQ.pcap", "vlan 200 and ether broadcast"), 1);
  assert.equal(selected("tcpdump/802.1ad_QinQ.pcap", "ether src 00:20:d2:5a:fb:3f"), 1);
  assert.equal(selected("tcpdump/802.1ad_QinQ.pcap", "arp and host 172.21.79.100"), 2);
  assert.equal(selected("tcpdump/IGMP_V1.pcap", "ether multicast and igmp"), 27);
});

test("IPv6, its extension headers and later fragments", () => {
  assert.equal(selected("zeek/icmp6-ping.pcap", "icmp6 and net 2620::/16"), 8);
  assert.equal(
    selected("zeek/icmp6-ping.pcap", "ip6 net 2620::/17 and src host 2001:4860:8006::63"),
    4,
  );
  assert.equal(selected("zeek/ipv6-http-atomic-frag.pcap", "tcp port 80"), 36);
  assert.equal(selected("zeek/ipv6-fragmented-dns.pcap", "udp and not port 53"), 3);
});

test("a filter that makes no sense is refused with its column and what was expected", () => {
  assert.deepEqual(refusal("tcp and"), [
    8,
    "expected a primitive such as `host 10.0.0.1`, `port 80` or `tcp`, got the end of the filter",
  ]);
  assert.deepEqual(refusal("port http"), [6, "expected a port from 0 to 65535, got `http`"]);
  assert.deepEqual(refusal("(tcp"), [5, "expected `)`, got the end of the filter"]);
  assert.deepEqual(refusal("tcp udp"), [5, "expected `and`, `or` or the end, got `udp`"]);
  assert.deepEqual(refusal("host 10.0.0.256"), [
    6,
    "expected an IPv4 or IPv6 address, got `10.0.0.256`",
  ]);
  assert.deepEqual(refusal("net 10.0.0.0/33"), [
    5,
    "expected a prefix like 10.0.0.0/8 or fd00::/8, got `10.0.0.0/33`",
  ]);
  assert.deepEqual(refusal("icmp port 1"), [6, "expected `host` or `net`, got `port`"]);
  assert.deepEqual(refusal("vlan 4096"), [6, "expected a number from 0 to 4095, got `4096`"]);
  assert.deepEqual(refusal("constructor"), [
    1,
    "expected a primitive such as `host 10.0.0.1`, `port 80` or `tcp`, got `constructor`",
  ]);
  assert.match(String(refusal(`${"(".repeat(100)}tcp`)), /at most 64 nested parentheses/);
});

const WORDS =
  "tcp udp icmp arp ip6 and or not ( ) ! && host net port src dst vlan ether 80 10.0.0.1 fd00::/8 less".split(
    " ",
  );

test("no row of words makes the parser throw, and an error points into the text", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...WORDS), { maxLength: 12 }), (words) => {
      const text = words.join(" ");
      const filter = parseFilter(text);
      if (filter instanceof PacketFilter) return;
      assert.ok(filter.column >= 1 && filter.column <= text.length + 1);
    }),
    { numRuns: 1000 },
  );
});
