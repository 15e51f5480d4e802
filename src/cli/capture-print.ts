/** Packets as the lines and the JSON objects that `millrace capture` prints. */
import type { CapturedPacket, CaptureInterface } from "../wire/capture-file.js";
import * as ethernet from "../wire/ethernet.js";
import * as ipProtocol from "../wire/ip-protocol.js";
import * as linkType from "../wire/link-type.js";
import { PacketFields } from "../wire/packet-fields.js";
import { PacketPrinter } from "../wire/print.js";
import { printHex } from "../wire/print-hex.js";
import { type TimeForm, TimePrinter } from "../wire/print-time.js";

/** The options of the command that shape what is printed, by their letters. */
export interface CaptureOptions {
  readonly e?: boolean;
  readonly v?: boolean;
  readonly q?: boolean;
  readonly S?: boolean;
  readonly t: number;
  readonly x: number;
  readonly X: number;
  readonly nano?: boolean;
  readonly json?: boolean;
}

const TIME_FORMS: readonly TimeForm[] = ["clock", "none", "epoch", "delta", "date"];

const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [ipProtocol.TCP, "tcp"],
  [ipProtocol.UDP, "udp"],
  [ipProtocol.ICMPV4, "icmp"],
  [ipProtocol.ICMPV6, "icmp6"],
  [ipProtocol.IGMP, "igmp"],
]);

export class CapturePrinter {
  private readonly options: CaptureOptions;
  private readonly printer: PacketPrinter;
  private readonly times: TimePrinter;
  private readonly fields = new PacketFields();

  constructor(options: CaptureOptions) {
    this.options = options;
    this.printer = new PacketPrinter({
      linkHeader: options.e ?? false,
      verbose: options.v ?? false,
      quiet: options.q ?? false,
      absoluteSequence: options.S ?? false,
    });
    const form = TIME_FORMS[Math.min(options.t, TIME_FORMS.length - 1)]!;
    this.times = new TimePrinter(form, options.nano ? 9 : 6);
  }

  /** The packet as text, newline included. */
  print(packet: CapturedPacket, interfaces: readonly CaptureInterface[]): string {
    if (this.options.json) {
      return `${JSON.stringify(this.toObject(packet, interfaces))}\n`;
    }
    const time = this.times.print(packet.seconds, packet.nanos);
    return `${time}${this.printer.line(packet)}${this.dump(packet)}\n`;
  }

  private dump(packet: CapturedPacket): string {
    const { x, X } = this.options;
    if (x === 0 && X === 0) return "";
    const isWhole = x > 1 || X > 1;
    const at = isWhole ? packet.at : this.printer.networkAt(packet);
    return printHex(packet.bytes, at, packet.end, X > 0);
  }

  /** Fields that are not known are left out. */
  private toObject(packet: CapturedPacket, interfaces: readonly CaptureInterface[]): object {
    const { fields } = this;
    fields.read(packet);
    const about = interfaces[packet.interfaceId];
    const { bytes: b, at } = packet;
    return {
      time: `${packet.seconds}.${String(packet.nanos).padStart(9, "0")}`,
      interface: about?.name || undefined,
      link: linkType.nameOf(packet.linkType),
      length: packet.lengthBytes,
      captured: packet.end - packet.at,
      ethernet: fields.hasEthernet
        ? {
            src: ethernet.formatAddress(b, at + ethernet.SRC),
            dst: ethernet.formatAddress(b, at + ethernet.DST),
          }
        : undefined,
      vlan: known(fields.vlanId),
      protocol: this.protocol(),
      src: fields.hasAddresses ? fields.src.toString() : undefined,
      dst: fields.hasAddresses ? fields.dst.toString() : undefined,
      srcPort: known(fields.srcPort),
      dstPort: known(fields.dstPort),
      comment: packet.comment || undefined,
      text: this.printer.line(packet),
    };
  }

  private protocol(): string | undefined {
    const { fields } = this;
    if (fields.etherType === ethernet.TYPE_ARP) return "arp";
    if (fields.protocol < 0) return undefined;
    return PROTOCOL_NAMES.get(fields.protocol) ?? `ip-proto-${fields.protocol}`;
  }
}

const known = (value: number): number | undefined => (value < 0 ? undefined : value);
