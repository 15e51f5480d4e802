/**
 * Our lines beside those of `tcpdump -n`, over all captures in test/vectors.
 *
 * Left out of the comparison: what tcpdump decodes above UDP and TCP (`length 30: HTTP…` is cut at
 * the colon; lines that it prints for DNS and the like are skipped), and link types that we name
 * but do not decode. A missing space in its version 1 listener reports is put in.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { CaptureReader } from "../../src/wire/capture-reader.js";
import { PacketFilter, parseFilter } from "../../src/wire/packet-filter.js";
import type { PrintOptions } from "../../src/wire/print.js";
import { PacketPrinter } from "../../src/wire/print.js";
import { printHex } from "../../src/wire/print-hex.js";
import { requireTools } from "../support/tools.js";

requireTools("tcpdump");
const VECTORS = fileURLToPath(new URL("../../../test/vectors/captures", import.meta.url));

/** Captures in which nothing differs: plain ARP, IPv4, IPv6, TCP, UDP, ICMP, ND, IGMP. */
const IDENTICAL = [
  "arkime/bigendian.pcap",
  "arkime/cloudshark-arp.pcap",
  "arkime/dot1ad.pcap",
  "arkime/igmp.pcap",
  "arkime/tcp_handshake_synthetic.pcap",
  "arkime/tcpseq_synthetic.pcap",
  "tcpdump/802.1ad_QinQ.pcap",
  "tcpdump/dns_tcp_8053.pcap",
  "tcpdump/icmpv6-ns-nonce.pcap",
  "tcpdump/icmpv6.pcap",
  "tcpdump/igmpv3-queries.pcap",
  "tcpdump/IGMP_V1.pcap",
  "tcpdump/IGMP_V2.pcap",
  "tcpdump/tcp-handshake-nano.pcap",
  "tcpdump/zmtp1.pcap",
  "zeek/5-pings.pcap",
  "zeek/arp-who-has.pcap",
  "zeek/icmp.pcap",
  "zeek/icmp-destunreach-ip.pcap",
  "zeek/icmp-destunreach-udp.pcap",
  "zeek/icmp-timeexceeded.pcap",
  "zeek/icmp6-nd-options.pcap",
  "zeek/icmp6-neighbor-advert.pcap",
  "zeek/icmp6-neighbor-solicit.pcap",
  "zeek/icmp6-paramprob.pcap",
  "zeek/icmp6-ping.pcap",
  "zeek/icmp6-redirect.pcap",
  "zeek/icmp6-timeexceeded.pcap",
  "zeek/icmp6-toobig.pcap",
  "zeek/icmp_dot1q.pcap",
  "zeek/igmp.pcap",
  "zeek/ipv6-http-atomic-frag.pcap",
  "zeek/linuxsll-arp.pcap",
  "zeek/tcp.pcap",
];

function ours(file: string, options: Partial<PrintOptions>): string[] {
  const reader = new CaptureReader();
  reader.push(readFileSync(file));
  reader.end();
  const printer = new PacketPrinter(options);
  const out: string[] = [];
  while (reader.next()) out.push(...printer.line(reader.packet).split("\n"));
  return out;
}

function theirs(file: string, args: string[]): string[] {
  const { stdout } = spawnSync("tcpdump", ["-n", "-t", ...args, "-r", file]);
  return stdout.toString("latin1").trimEnd().split("\n");
}

const normal = (text: string): string =>
  text
    .replace(/^(?:lo {4}|\? {5}|ifindex \d+ )(?=In|Out)/, "") // an index has a name at home only
    .replace(/^(IP6? .* length \d+): .*/, "$1")
    .replace(/(ethertype IP.* length \d+): ?HTTP.*/, "$1")
    .replace(/listener (report|done|query)max/, "listener $1 max");

/** What we claim to print as tcpdump does. */
const isComparable = (text: string): boolean =>
  /^ARP, |^IP6? .*Flags \[| ICMP|igmp |UDP, length|frag \(|ip-proto/.test(text) &&
  !/mptcp|exp-|frag \(0.*TXT/.test(text);

test("plain packets are printed exactly as tcpdump prints them", () => {
  const forms: [Partial<PrintOptions>, string[]][] = [
    [{}, []],
    [{ absoluteSequence: true }, ["-S"]],
    [{ quiet: true }, ["-q"]],
    [{ linkHeader: true }, ["-e"]],
  ];
  for (const name of IDENTICAL) {
    const file = join(VECTORS, name);
    for (const [options, args] of forms) {
      assert.deepEqual(
        ours(file, options).map(normal),
        theirs(file, args).map(normal),
        `${name} ${args.join(" ")}`,
      );
    }
  }
});

test("hexadecimal dumps leave out the same link-level header", () => {
  for (const name of [
    "tcpdump/802.1ad_QinQ.pcap",
    "zeek/linuxsll-arp.pcap",
    "tcpdump/zmtp1.pcap",
  ]) {
    const file = join(VECTORS, name);
    const dumps = theirs(file, ["-x"]).filter((text) => text.startsWith("\t0x"));
    const reader = new CaptureReader();
    reader.push(readFileSync(file));
    reader.end();
    const printer = new PacketPrinter();
    const out: string[] = [];
    while (reader.next()) {
      const { packet } = reader;
      const dump = printHex(packet.bytes, printer.networkAt(packet), packet.end, false);
      out.push(...dump.split("\n").slice(1));
    }
    assert.deepEqual(out, dumps, name);
  }
});

test("verbose: the same headers, checksums and records", () => {
  const names = ["tcpdump/dns_tcp_8053.pcap", "arkime/igmp.pcap", "tcpdump/zmtp1.pcap"];
  names.push("zeek/ip4-icmp-bad-chksum.pcap", "zeek/ip6-icmp6-bad-chksum.pcap");
  names.push("zeek/icmp6-nd-options.pcap", "zeek/icmp-timeexceeded.pcap", "zeek/icmp6-mldv2.pcap");
  for (const name of names) {
    const file = join(VECTORS, name);
    // tcpdump says nothing about the checksum of a datagram that it decodes no further.
    const plain = (text: string): string =>
      normal(text).replace(/\[udp sum ok\] |\[no cksum\] /, "");
    const wanted = theirs(file, ["-v"]).map(plain);
    assert.deepEqual(ours(file, { verbose: true }).map(plain), wanted, name);
  }
});

test("nearly all lines of all captures are identical", (t) => {
  let same = 0;
  let total = 0;
  const differing: string[] = [];
  for (const name of readdirSync(VECTORS, { recursive: true }).map(String)) {
    if (!/\.pcap(ng)?$/.test(name)) continue;
    const file = join(VECTORS, name);
    const mine = ours(file, {});
    const wanted = theirs(file, []).filter((text) => !/^\s/.test(text));
    for (const [i, text] of wanted.entries()) {
      if (!isComparable(text) || mine[i]?.endsWith("not decoded")) continue;
      total++;
      if (normal(text) === normal(mine[i] ?? "")) same++;
      else differing.push(`${name}: ${mine[i]}\n  tcpdump: ${text}`);
    }
  }
  t.diagnostic(`${same} of ${total} comparable lines are identical`);
  assert.ok(same / total > 0.99, differing.join("\n"));
});

/** Filters without tags, extension headers and Ethernet on other links, where we differ on purpose. */
const FILTERS = [
  "tcp",
  "udp or icmp",
  "arp",
  "ip6",
  "ip and not tcp",
  "host 192.168.1.11",
  "src host 10.0.0.1",
  "dst net 192.168.0.0/16",
  "net 224.0.0.0/4",
  "ip6 net fe80::/10",
  "port 80",
  "tcp dst port 8053 or 502",
  "src portrange 1024-50000",
  "icmp or (udp and port 53)",
  "less 60 or greater 1000",
  "not (tcp or udp) and not arp",
];

test("filters select as many packets as tcpdump's", () => {
  const names = ["zeek/tcp.pcap", "tcpdump/dns_tcp_8053.pcap", "zeek/icmp6-nd-options.pcap"];
  names.push("zeek/modbus-and-non-modbus-p502.pcap", "zeek/icmp6-ping.pcap", "arkime/igmp.pcap");
  names.push("zeek/linuxsll-arp.pcap", "zeek/icmp-destunreach-udp.pcap", "zeek/arp-who-has.pcap");
  for (const name of names) {
    const file = join(VECTORS, name);
    for (const text of FILTERS) {
      const filter = parseFilter(text);
      assert.ok(filter instanceof PacketFilter);
      const reader = new CaptureReader();
      reader.push(readFileSync(file));
      reader.end();
      let n = 0;
      while (reader.next()) if (filter.matches(reader.packet)) n++;
      const { stdout } = spawnSync("tcpdump", ["-n", "-t", "--count", "-r", file, text]);
      assert.equal(`${n} packet`, /^\d+ packet/.exec(stdout.toString())?.[0], `${name}: ${text}`);
    }
  }
});
