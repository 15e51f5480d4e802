/**
 * Packets as text, one line each (more with `verbose`), in the words of tcpdump, which people and
 * scripts know: `IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [S], seq 1, win 64240, length 0`.
 *
 * Decoded: Ethernet with VLAN tags, raw IP, BSD loopback, Linux cooked; ARP, IPv4, IPv6 with
 * extension headers, TCP with options, UDP, ICMP, ICMPv6 with ND and MLD, IGMP. What UDP and TCP
 * carry is not; other link types are named and not decoded. Never throws, whatever the bytes.
 */
import type { CapturedPacket } from "./capture-file.js";
import type { PrintContext, PrintOptions } from "./print-context.js";
import { linkHeaderBytes, printLink } from "./print-link.js";
import { SequenceBook } from "./print-tcp-sequence.js";

export type { PrintOptions } from "./print-context.js";

const NOTHING = new Uint8Array(0);

export class PacketPrinter {
  private readonly context: PrintContext;

  constructor(options: Partial<PrintOptions> = {}) {
    this.context = {
      b: NOTHING,
      end: 0,
      options: {
        verbose: options.verbose ?? false,
        quiet: options.quiet ?? false,
        linkHeader: options.linkHeader ?? false,
        absoluteSequence: options.absoluteSequence ?? false,
      },
      sequences: new SequenceBook(),
      depth: 0,
      ipAt: 0,
      family: 4,
      isFragment: false,
    };
  }

  /** The packet as text, without time and newline. Borrows the packet for the call. */
  line(packet: CapturedPacket): string {
    const c = this.context;
    c.b = packet.bytes;
    c.end = packet.end;
    c.depth = 0;
    return printLink(c, packet.linkType, packet.at, packet.lengthBytes);
  }

  /** Where the packet's network-layer header starts, as far as it was captured. */
  networkAt(packet: CapturedPacket): number {
    return Math.min(
      packet.end,
      packet.at + linkHeaderBytes(packet.linkType, packet.bytes, packet.at, packet.end),
    );
  }
}
