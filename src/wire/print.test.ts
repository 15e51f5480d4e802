import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { CapturedPacket } from "./capture-file.js";
import { CaptureReader } from "./capture-reader.js";
import * as linkType from "./link-type.js";
import type { PrintOptions } from "./print.js";
import { PacketPrinter } from "./print.js";
import { printHex } from "./print-hex.js";
import { TimePrinter } from "./print-time.js";

const VECTORS = new URL("../../../test/vectors/captures/", import.meta.url);

/** The lines of a capture; `cutTo` drops the bytes after that many of each packet. */
function lines(name: string, options: Partial<PrintOptions> = {}, cutTo = 1 << 30): string[] {
  const reader = new CaptureReader();
  reader.push(readFileSync(new URL(name, VECTORS)));
  reader.end();
  const printer = new PacketPrinter(options);
  const out: string[] = [];
  while (reader.next()) {
    const { packet } = reader;
    packet.end = Math.min(packet.end, packet.at + cutTo);
    out.push(printer.line(packet));
  }
  return out;
}

/** One packet of raw IP or of another link type, from hexadecimal digits. */
function line(digits: string, options: Partial<PrintOptions> = {}, type = linkType.RAW): string {
  const packet = new CapturedPacket();
  packet.bytes = Buffer.from(digits.replaceAll(" ", ""), "hex");
  packet.end = packet.bytes.length;
  packet.lengthBytes = packet.end;
  packet.linkType = type;
  return new PacketPrinter(options).line(packet);
}

test("a TCP handshake: SYNs as they are, the rest counted from the connection's start", () => {
  assert.deepEqual(lines("tcpdump/dns_tcp_8053.pcap").slice(0, 4), [
    "IP 192.168.1.11.57469 > 209.87.249.18.8053: Flags [S], seq 3802885148, win 64240, options [mss 1460,sackOK,TS val 2931281549 ecr 0,nop,wscale 7], length 0",
    "IP 209.87.249.18.8053 > 192.168.1.11.57469: Flags [S.], seq 856651289, ack 3802885149, win 64240, options [mss 1460], length 0",
    "IP 192.168.1.11.57469 > 209.87.249.18.8053: Flags [.], ack 1, win 64240, length 0",
    "IP 192.168.1.11.57469 > 209.87.249.18.8053: Flags [P.], seq 1:59, ack 1, win 64240, length 58",
  ]);
});

test("absolute sequence numbers, when asked for", () => {
  assert.equal(
    lines("tcpdump/dns_tcp_8053.pcap", { absoluteSequence: true })[3],
    "IP 192.168.1.11.57469 > 209.87.249.18.8053: Flags [P.], seq 3802885149:3802885207, ack 856651290, win 64240, length 58",
  );
});

test("verbose lines say what the IP header holds and whether checksums are right", () => {
  assert.equal(
    lines("zeek/localhost-bad-chksum.pcap", { verbose: true })[2],
    "IP (tos 0x0, ttl 64, id 0, offset 0, flags [DF], proto TCP (6), length 40)\n" +
      "    192.168.1.28.53246 > 35.221.46.9.80: Flags [.], cksum 0x13c5 (incorrect -> 0x265b), ack 1, win 4096, length 0",
  );
  assert.match(
    lines("zeek/ip6-icmp6-bad-chksum.pcap", { verbose: true })[0]!,
    /\[bad icmp6 cksum 0x000d -> 0x75af!\] ICMP6, echo request, id 0, seq 0$/,
  );
});

test("the link-level header with two VLAN tags replaces the protocol's word", () => {
  assert.equal(
    lines("tcpdump/802.1ad_QinQ.pcap", { linkHeader: true })[0],
    "00:20:d2:5a:fb:3f > ff:ff:ff:ff:ff:ff, ethertype 802.1Q-QinQ (0x88a8), length 64: vlan 200, p 0, ethertype 802.1Q (0x8100), vlan 2001, p 0, ethertype ARP (0x0806), Request who-has 172.21.79.100 tell 172.21.79.97, length 42",
  );
});

test("quiet lines hold protocol and length only", () => {
  assert.equal(
    lines("tcpdump/dns_tcp_8053.pcap", { quiet: true })[3],
    "IP 192.168.1.11.57469 > 209.87.249.18.8053: tcp 58",
  );
});

test("fragments: only the first one is looked into", () => {
  const all = lines("zeek/fragmented-1.pcap");
  assert.equal(all[0], "IP 164.1.123.163.123 > 164.1.123.61.137: UDP, length 10");
  assert.equal(all[1], "IP 164.1.123.163 > 164.1.123.61: ip-proto-17");
  const six = lines("zeek/ipv6-fragmented-dns.pcap");
  assert.equal(
    six.at(-1),
    "IP6 2607:f740:b::f93 > 2001:470:1f11:81f:d138:5f55:6d4:1fe2: frag (2864|374)",
  );
});

test("selective acknowledgements are counted from the start as well", () => {
  const head = "4500 0034 0000 4000 4006 0000 0a000001 0a000002";
  const printer = new PacketPrinter();
  const packet = new CapturedPacket();
  packet.linkType = linkType.RAW;
  const send = (digits: string): string => {
    packet.bytes = Buffer.from((head + digits).replaceAll(" ", ""), "hex");
    packet.end = packet.bytes.length;
    packet.lengthBytes = packet.end;
    return printer.line(packet);
  };
  send("0001 0002 00000010 00000100 8010 0001 0000 0000 01010101 01010101 01010101");
  assert.equal(
    send("0001 0002 00000010 00000100 8010 0001 0000 0000 0101 050a 00000200 00000300"),
    "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [.], ack 1, win 1, options [nop,nop,sack 1 {257:513}], length 0",
  );
});

test("what a capture cut off is marked with the protocol's name", () => {
  const first = (cutTo: number): string => lines("tcpdump/dns_tcp_8053.pcap", {}, cutTo)[0]!;
  assert.equal(first(10), "[|ether]");
  assert.equal(first(20), "IP [|ip]");
  assert.equal(first(36), "IP 192.168.1.11 > 209.87.249.18: [|tcp]");
  assert.equal(first(40), "IP 192.168.1.11.57469 > 209.87.249.18.8053: [|tcp]");
  assert.match(first(60), /options \[mss 1460,sackOK,\[\|tcp\]\], length 0$/);
});

test("broken headers are named", () => {
  assert.equal(line("46"), "IP truncated-ip 1");
  assert.equal(line("44000014 00000000 40060000 0a000001 0a000002"), "IP bad-hlen 16");
  assert.equal(line("30"), "IP3 [unknown IP version]");
  assert.equal(line("60".padEnd(80, "0")).slice(0, 10), "IP6 :: > :");
  assert.equal(line("00".repeat(20), {}, 9), "PPP, length 20: not decoded");
});

test("packets nested without end are followed only so far", () => {
  const packets = Buffer.alloc(40 * 20);
  for (let i = 0; i < 40; i++) {
    packets.set([0x45, 0, (800 - i * 20) >> 8, (800 - i * 20) & 255, 0, 0, 0, 0, 1, 4], i * 20);
  }
  assert.match(line(packets.toString("hex")), /\[nested too deeply\]$/);
});

test("hexadecimal dumps, with and without text", () => {
  const bytes = Buffer.from("abcdefghijklmnopq ~\x7f");
  assert.equal(
    printHex(bytes, 0, 20, true),
    "\n\t0x0000:  6162 6364 6566 6768 696a 6b6c 6d6e 6f70  abcdefghijklmnop" +
      "\n\t0x0010:  7120 7e7f                                q.~.",
  );
  assert.equal(printHex(bytes, 1, 4, false), "\n\t0x0000:  6263 64");
});

test("times in their forms", () => {
  assert.equal(new TimePrinter("none").print(1, 2), "");
  assert.equal(new TimePrinter("epoch").print(1418145369, 924505488), "1418145369.924505 ");
  assert.equal(new TimePrinter("epoch", 9).print(1, 5), "1.000000005 ");
  assert.match(new TimePrinter("date").print(86400 * 365, 1000), /^197[01]-\d\d-\d\d \d\d:00:00\./);
  const delta = new TimePrinter("delta");
  assert.equal(delta.print(100, 900_000_000), " 00:00:00.000000 ");
  assert.equal(delta.print(3702, 100_000_000), " 01:00:01.200000 ");
  assert.equal(delta.print(3700, 200_000_000), "-00:00:01.900000 ");
});

const OPTIONS: Partial<PrintOptions>[] = [
  {},
  { verbose: true },
  { linkHeader: true, verbose: true },
  { quiet: true },
];

test("no bytes make a printer throw: random packets of every link type", () => {
  const types = fc.constantFrom(0, 1, 101, 108, 113, 276, 105);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), types, fc.nat(3), (bytes, type, option) => {
      line(Buffer.from(bytes).toString("hex"), OPTIONS[option], type);
    }),
    { numRuns: 2000 },
  );
});

test("no damage to a real packet makes a printer throw, nor does cutting it anywhere", () => {
  const packets: CapturedPacket[] = [];
  for (const name of readdirSync(VECTORS, { recursive: true }).map(String)) {
    if (!/\.pcap(ng)?$/.test(name)) continue;
    const reader = new CaptureReader();
    reader.push(readFileSync(new URL(name, VECTORS)));
    reader.end();
    for (let n = 0; n < 12 && reader.next(); n++) {
      const copy = Object.assign(new CapturedPacket(), reader.packet);
      copy.bytes = reader.packet.bytes.slice(copy.at, copy.end);
      copy.at = 0;
      copy.end = copy.bytes.length;
      packets.push(copy);
    }
  }
  const damage = fc.array(fc.tuple(fc.nat(150), fc.nat(255)), { maxLength: 3 });
  const printers = OPTIONS.map((o) => new PacketPrinter(o));
  fc.assert(
    fc.property(fc.nat(packets.length - 1), damage, fc.nat(200), (index, places, cutTo) => {
      const packet = Object.assign(new CapturedPacket(), packets[index]!);
      packet.bytes = packet.bytes.slice();
      for (const [at, value] of places) if (at < packet.end) packet.bytes[at] = value;
      packet.end = Math.min(packet.end, cutTo);
      for (const printer of printers) printer.line(packet);
    }),
    { numRuns: 3000 },
  );
});
