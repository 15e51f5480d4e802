/** The packets of a capture, in memory, those that no XDP program sees included. */

import { EbpfError } from "../../../ebpf/ebpf-error.js";
import { CapturedPacket, type CaptureInterface } from "../../../wire/capture-file.js";
import { CaptureReader } from "../../../wire/capture-reader.js";
import { PacketPrinter } from "../../../wire/print.js";
import { isFrame, timeOf } from "../capture-files.js";
import { readBytes } from "../object-file.js";
import { PageError } from "./page-error.js";

/** More are not read: the page says so. */
export const MAX_PACKETS = 200_000;
const CHUNK_BYTES = 1 << 20;

export class Captured {
  readonly packets: CapturedPacket[] = [];
  /** There are more packets than are kept. */
  readonly isCut: boolean;
  /** Why reading stopped before the end; null: it did not. */
  readonly complaint: string | null;
  readonly interfaces: readonly CaptureInterface[];
  private readonly printer = new PacketPrinter();

  /** Throws `PageError` when there is nothing to see. */
  constructor(file: Uint8Array) {
    const reader = new CaptureReader();
    const take = (): boolean => {
      while (reader.next()) {
        if (this.packets.length === MAX_PACKETS) return false;
        const { packet } = reader;
        const bytes = packet.bytes.slice(packet.at, packet.end);
        const kept = Object.assign(new CapturedPacket(), packet, {
          bytes,
          at: 0,
          end: bytes.length,
        });
        this.packets.push(kept);
      }
      return true;
    };
    let isWhole = true;
    for (let at = 0; at < file.length && isWhole && reader.error === null; at += CHUNK_BYTES) {
      reader.push(file.subarray(at, at + CHUNK_BYTES));
      isWhole = take();
    }
    if (isWhole && reader.error === null) {
      reader.end();
      isWhole = take();
    }
    this.isCut = !isWhole;
    this.interfaces = reader.interfaces;
    const { error } = reader;
    this.complaint = error === null ? null : `at byte ${error.atByte}: ${error.message}`;
    if (this.packets.length > 0) return;
    throw new PageError(
      "capture",
      this.complaint ?? "the capture has no packets",
      "Choose a pcap or pcapng file of Ethernet frames, as tcpdump -w and Wireshark write them.",
    );
  }

  /** Whether a program gets to see the packet: whole Ethernet frames. */
  isSeen(n: number): boolean {
    return isFrame(this.packets[n]!);
  }

  /** Nanoseconds since 1970. */
  timeOf(n: number): bigint {
    return timeOf(this.packets[n]!);
  }

  /** Seconds after the first packet. */
  secondsOf(n: number): number {
    return Number(this.timeOf(n) - this.timeOf(0)) / 1e9;
  }

  line(n: number): string {
    return this.printer.line(this.packets[n]!);
  }
}

/** The packets of a file of the command line. Throws `EbpfError` EINVAL with its name, and the system's errors. */
export function capturedOf(file: string): Captured {
  try {
    return new Captured(readBytes(file));
  } catch (error) {
    if (error instanceof PageError) throw new EbpfError("EINVAL", `${file}: ${error.message}`);
    throw error;
  }
}
