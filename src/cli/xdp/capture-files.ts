/** The packets of one or several capture files, one file after the other. */
import type { CapturedPacket, CaptureInterface } from "../../wire/capture-file.js";
import * as linkType from "../../wire/link-type.js";
import { FileSource, type PacketSource } from "../packet-source.js";

const SHORTEST_BYTES = 14;
/** More has no room in front of a program. */
const LONGEST_BYTES = 256 * 1024;

/** Whether a program gets to see a packet: whole Ethernet frames. */
export const isFrame = ({ linkType: link, at, end }: CapturedPacket): boolean =>
  link === linkType.EN10MB && end - at >= SHORTEST_BYTES && end - at <= LONGEST_BYTES;

/** What is wrong when no packet of several was one. */
export const noFrames = (files: readonly string[], skipped: number): string =>
  `${files.join(", ")}: no packet is a whole Ethernet frame (${skipped} are not), and programs see nothing else`;

/** When a packet was captured, nanoseconds since 1970: the time that programs see. */
export const timeOf = ({ seconds, nanos }: CapturedPacket): bigint =>
  BigInt(seconds) * 1_000_000_000n + BigInt(nanos);

export class CaptureFiles implements PacketSource {
  readonly name: string;
  private readonly done: CaptureInterface[] = [];
  private readonly files: readonly string[];
  private readonly standardInput: AsyncIterable<Uint8Array>;
  private current: FileSource | null = null;

  constructor(files: readonly string[], standardInput: AsyncIterable<Uint8Array>) {
    this.name = files.join(", ");
    this.files = files;
    this.standardInput = standardInput;
  }

  /** Those of all files so far. */
  get interfaces(): readonly CaptureInterface[] {
    return this.current === null ? this.done : [...this.done, ...this.current.interfaces];
  }

  /** Stops at the first file that cannot be read to its end; the complaint is about that one. */
  async run(
    visit: (packet: CapturedPacket) => boolean,
    pause: () => Promise<boolean>,
    stop: AbortSignal,
  ): Promise<string | null> {
    let goesOn = true;
    for (const file of this.files) {
      const source = new FileSource(file, this.standardInput);
      this.current = source;
      const before = this.done.length;
      const complaint = await source.run(
        (packet) => {
          packet.interfaceId += before;
          goesOn = visit(packet);
          return goesOn;
        },
        async () => {
          goesOn = await pause();
          return goesOn;
        },
        stop,
      );
      this.done.push(...source.interfaces);
      this.current = null;
      if (complaint !== null || !goesOn || stop.aborted) return complaint;
    }
    return null;
  }
}
