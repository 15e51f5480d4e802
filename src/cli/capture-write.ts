/** The file that `millrace capture -w` writes. */
import { closeSync, openSync, writeSync } from "node:fs";
import type { CapturedPacket, CaptureInterface, CaptureWriter } from "../wire/capture-file.js";
import * as linkType from "../wire/link-type.js";
import { PcapWriter } from "../wire/pcap.js";
import { PcapngWriter } from "../wire/pcapng-writer.js";
import type { World } from "./world.js";

export type FileFormat = "pcap" | "pcapng";

/** pcap for names that end in `.pcap` or `.cap`, otherwise pcapng. */
export function formatOf(name: string): FileFormat {
  return /\.p?cap$/i.test(name) ? "pcap" : "pcapng";
}

/**
 * Writes packets to a file, or to the standard output when the name is `-`. Bytes are collected
 * until `flush`. A pcap file is begun by its first packet, whose link type all must have.
 */
export class CaptureFileWriter {
  private readonly name: string;
  private readonly format: FileFormat;
  private readonly world: World;
  private readonly fd: number;
  private writer: CaptureWriter | null = null;
  private pcapng: PcapngWriter | null = null;
  private declared = 0;
  private firstLinkType = -1;

  /** Opens the file; throws Node's system error when that is refused. */
  constructor(name: string, format: FileFormat, world: World) {
    this.name = name;
    this.format = format;
    this.world = world;
    this.fd = name === "-" ? -1 : openSync(name, "w");
  }

  /** Appends a packet; the complaint when it does not fit the format, else null. */
  add(packet: CapturedPacket, interfaces: readonly CaptureInterface[]): string | null {
    if (this.format === "pcap") return this.addToPcap(packet);
    this.begin(interfaces).add(packet);
    return null;
  }

  /** Writes what was collected; false when nobody reads the standard output any more. */
  flush(): Promise<boolean> {
    if (this.writer === null || this.writer.pendingBytes === 0) return Promise.resolve(true);
    const bytes = this.writer.take();
    if (this.fd < 0) return this.world.out.write(bytes.slice());
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.fd, bytes, at);
    } catch (error) {
      (error as NodeJS.ErrnoException).path ??= this.name;
      throw error;
    }
    return Promise.resolve(true);
  }

  /** Writes the counts of interfaces that have some and the rest of the file, and closes it. */
  async finish(interfaces: readonly CaptureInterface[]): Promise<void> {
    if (this.format === "pcapng") this.addCounts(this.begin(interfaces), interfaces);
    else this.writer ??= new PcapWriter({ linkType: interfaces[0]?.linkType ?? linkType.EN10MB });
    await this.flush();
    if (this.fd >= 0) closeSync(this.fd);
  }

  private addToPcap(packet: CapturedPacket): string | null {
    if (this.writer === null) {
      this.firstLinkType = packet.linkType;
      this.writer = new PcapWriter({ linkType: packet.linkType });
    }
    if (packet.linkType !== this.firstLinkType) {
      const [one, other] = [linkType.nameOf(this.firstLinkType), linkType.nameOf(packet.linkType)];
      return `${this.name}: a pcap file holds one link type, these packets have ${one} and ${other}; write pcapng instead (--format pcapng)`;
    }
    this.writer.add(packet);
    return null;
  }

  /** The pcapng writer, which knows all interfaces so far. */
  private begin(interfaces: readonly CaptureInterface[]): PcapngWriter {
    this.pcapng ??= new PcapngWriter("millrace capture");
    this.writer = this.pcapng;
    for (; this.declared < interfaces.length; this.declared++) {
      this.pcapng.addInterface(interfaces[this.declared]!);
    }
    return this.pcapng;
  }

  private addCounts(writer: PcapngWriter, interfaces: readonly CaptureInterface[]): void {
    const nowMs = Date.now();
    const seconds = Math.floor(nowMs / 1000);
    const nanos = (nowMs - seconds * 1000) * 1_000_000;
    for (const [id, { received, dropped }] of interfaces.entries()) {
      if (received < 0) continue;
      writer.addCounts(id, { received, dropped: Math.max(0, dropped), seconds, nanos });
    }
  }
}
