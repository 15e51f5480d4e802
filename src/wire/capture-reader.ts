/**
 * Reads a capture file of either format, recognised by its first bytes, in chunks of any size: a
 * 10 GB file and a pipe are read the same way.
 *
 *     reader.push(chunk); while (reader.next()) use(reader.packet);   // for every chunk
 *     reader.end();       while (reader.next()) use(reader.packet);   // then look at reader.error
 *
 * Bad input is never an exception: `next` returns false and `error` says where and why. Packets
 * before the place of the error have all been returned.
 */
import type { Bytes } from "../base/bytes.js";
import type { CaptureError, CaptureInterface, CaptureParser } from "./capture-file.js";
import { CapturedPacket, CaptureInput } from "./capture-file.js";
import { looksLikePcap, PcapParser } from "./pcap.js";
import { looksLikePcapng, PcapngParser } from "./pcapng.js";

export class CaptureReader {
  /** The current packet; valid, bytes included, until the reader is called again. */
  readonly packet: CapturedPacket = new CapturedPacket();
  private readonly input = new CaptureInput();
  private parser: CaptureParser | null = null;
  private ownError: CaptureError | null = null;

  /** The interfaces seen so far, over all sections of the file. */
  get interfaces(): readonly CaptureInterface[] {
    return this.parser?.interfaces ?? [];
  }

  /** Why reading stopped; null while all is well. */
  get error(): CaptureError | null {
    return this.ownError ?? this.parser?.error ?? null;
  }

  /** Adds bytes of the file. Copies them. */
  push(chunk: Bytes): void {
    if (this.error === null) this.input.push(chunk);
  }

  /** Says that all bytes were pushed; what is incomplete from now on is an error. */
  end(): void {
    this.input.isEnded = true;
  }

  /** Moves on to the next packet; false when there is none (yet). */
  next(): boolean {
    if (this.parser === null) this.parser = this.recognise();
    return this.parser?.next(this.packet) ?? false;
  }

  private recognise(): CaptureParser | null {
    const { input } = this;
    if (this.ownError !== null) return null;
    if (input.readyBytes < 4) {
      if (input.isEnded) {
        const got = input.readyBytes === 0 ? "an empty file" : `${input.readyBytes} bytes`;
        this.ownError = { atByte: 0, message: `expected a pcap or pcapng file, got ${got}` };
      }
      return null;
    }
    if (looksLikePcapng(input.bytes, 0)) return new PcapngParser(input);
    if (looksLikePcap(input.bytes, 0)) return new PcapParser(input);
    this.ownError = { atByte: 0, message: foreign(input.bytes) };
    return null;
  }
}

/** What a file that is no capture probably is. */
function foreign(b: Bytes): string {
  const wanted = "expected a pcap or pcapng file, got";
  if (b[0] === 0x1f && b[1] === 0x8b) return `${wanted} gzip data; unpack it first (zcat FILE)`;
  if (b[0] === 0x28 && b[1] === 0xb5) return `${wanted} zstd data; unpack it first (zstdcat FILE)`;
  const start = [b[0]!, b[1]!, b[2]!, b[3]!].map((v) => v.toString(16).padStart(2, "0")).join(" ");
  return `${wanted} one that begins with ${start}`;
}
