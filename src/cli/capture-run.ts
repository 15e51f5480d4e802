/** One run of `millrace capture`: packets from a source through the filter to lines or a file. */
import type { CapturedPacket } from "../wire/capture-file.js";
import * as linkType from "../wire/link-type.js";
import type { PacketFilter } from "../wire/packet-filter.js";
import { type CaptureOptions, CapturePrinter } from "./capture-print.js";
import { CaptureFileWriter, type FileFormat, formatOf } from "./capture-write.js";
import type { PacketSource } from "./packet-source.js";
import { DONE, FAILED, isSystemError, systemText, type World } from "./world.js";

export interface RunOptions extends CaptureOptions {
  readonly write?: string;
  readonly format?: FileFormat;
  readonly count?: number;
  readonly print?: boolean;
}

/** Text is handed to the output when it is this long, and after each burst of packets. */
const FULL_TEXT = 64 * 1024;

export class CaptureRun {
  private readonly source: PacketSource;
  private readonly filter: PacketFilter;
  private readonly options: RunOptions;
  private readonly world: World;
  private readonly printer: CapturePrinter | null;
  private writer: CaptureFileWriter | null = null;
  private text: string[] = [];
  private textLength = 0;
  private seen = 0;
  private taken = 0;
  /** Why packets cannot be written; ends the run. */
  private complaint: string | null = null;
  private isAnnounced = false;

  constructor(source: PacketSource, filter: PacketFilter, options: RunOptions, world: World) {
    this.source = source;
    this.filter = filter;
    this.options = options;
    this.world = world;
    const prints = options.write === undefined || options.print === true;
    this.printer = prints ? new CapturePrinter(options) : null;
  }

  /** Returns the exit status. */
  async run(): Promise<number> {
    const { source, world } = this;
    try {
      this.openWriter();
      const complaint = await source.run(
        (packet) => this.take(packet),
        () => this.pause(),
        world.stop,
      );
      this.complaint ??= complaint;
      await this.announce();
      await this.writeText();
      await this.writer?.finish(source.interfaces);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.complaint ??= systemText(error, this.options.write);
    }
    return this.summarise();
  }

  private openWriter(): void {
    const { write, format } = this.options;
    if (write === undefined) return;
    this.writer = new CaptureFileWriter(write, format ?? formatOf(write), this.world);
  }

  /** One packet; false when the run has enough. */
  private take(packet: CapturedPacket): boolean {
    const { source } = this;
    this.seen++;
    if (!this.filter.matches(packet)) return true;
    this.complaint = this.writer?.add(packet, source.interfaces) ?? null;
    if (this.complaint !== null) return false;
    this.taken++;
    if (this.printer !== null) {
      const text = this.printer.print(packet, source.interfaces);
      this.text.push(text);
      this.textLength += text.length;
    }
    return this.taken !== this.options.count;
  }

  private async pause(): Promise<boolean> {
    await this.announce();
    const hasReader = this.textLength === 0 || (await this.writeText());
    return hasReader && (await (this.writer?.flush() ?? true));
  }

  /** Says once, before the first line, what is read. */
  private async announce(): Promise<void> {
    const first = this.source.interfaces[0];
    if (this.isAnnounced || first === undefined) return;
    this.isAnnounced = true;
    const kind = `${linkType.nameOf(first.linkType)} (${linkType.meaningOf(first.linkType)})`;
    const name = this.source.name === "-" ? "the standard input" : this.source.name;
    await this.world.err.write(`reading from ${name}, link-type ${kind}\n`);
  }

  private async writeText(): Promise<boolean> {
    const all = this.text;
    this.text = [];
    this.textLength = 0;
    for (let from = 0; from < all.length; ) {
      let part = "";
      while (from < all.length && part.length < FULL_TEXT) part += all[from++];
      if (!(await this.world.out.write(part))) return false;
    }
    return true;
  }

  private async summarise(): Promise<number> {
    const hasBegun = this.complaint === null || this.seen > 0;
    const lines = hasBegun ? [plural(this.taken, "captured")] : [];
    if (this.seen !== this.taken) lines.push(plural(this.seen, "received by filter"));
    const dropped = this.source.interfaces.reduce((sum, i) => sum + Math.max(0, i.dropped), 0);
    if (dropped > 0) lines.push(plural(dropped, "dropped"));
    if (this.complaint !== null) lines.push(`millrace capture: ${this.complaint}`);
    await this.world.err.write(`${lines.join("\n")}\n`);
    return this.complaint === null ? DONE : FAILED;
  }
}

const plural = (n: number, what: string): string => `${n} packet${n === 1 ? "" : "s"} ${what}`;
