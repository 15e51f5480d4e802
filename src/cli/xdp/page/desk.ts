/** What lies on the page: an object and a capture, and what was found out about them. */
import type { PolicyName } from "../../../xdp/cache-policies.js";
import type { AnalysisInput, PacketPage, PacketRow, Report } from "./analysis.js";
import { Analyst } from "./analyst.js";
import type { CacheStory } from "./cache-story.js";
import type { PacketEffect } from "./packet-detail.js";
import { PageError, type PageProblem, problemOf } from "./page-error.js";

export interface NamedFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface DeskOptions extends Pick<AnalysisInput, "btf" | "maps" | "maxEntries"> {
  readonly program: string | null;
  readonly object: NamedFile | null;
  readonly capture: NamedFile | null;
}

/** What the page starts from. */
export interface Overview {
  /** Changes with every file: answers about older ones are not to be had any more. */
  readonly revision: number;
  readonly object: string | null;
  readonly capture: string | null;
  /** null: there is nothing to report yet, or a problem. */
  readonly report: Report | null;
  readonly problem: PageProblem | null;
}

export class Desk {
  private readonly analyst: Analyst;
  private readonly options: DeskOptions;
  private object: NamedFile | null;
  private capture: NamedFile | null;
  private program: string | null;
  private isOwnObject = true;
  private revision = 1;
  private opened: Promise<Report> | null = null;

  constructor(options: DeskOptions, analyst: Analyst = new Analyst()) {
    this.options = options;
    this.analyst = analyst;
    ({ object: this.object, capture: this.capture, program: this.program } = options);
  }

  putObject(file: NamedFile): void {
    this.object = file;
    this.program = null;
    this.isOwnObject = false;
    this.changed();
  }

  putCapture(file: NamedFile): void {
    this.capture = file;
    this.changed();
  }

  choose(program: string): void {
    this.program = program;
    this.changed();
  }

  private changed(): void {
    this.revision++;
    this.opened = null;
  }

  async overview(): Promise<Overview> {
    const { revision } = this;
    const about = {
      revision,
      object: this.object?.name ?? null,
      capture: this.capture?.name ?? null,
    };
    if (this.object === null || this.capture === null)
      return { ...about, report: null, problem: null };
    try {
      return { ...about, report: await this.open(), problem: null };
    } catch (error) {
      return { ...about, report: null, problem: problemOf(error) };
    }
  }

  private open(): Promise<Report> {
    const { object, capture, program, options, isOwnObject } = this;
    if (object === null || capture === null) {
      throw new PageError("request", "nothing is loaded", "Choose an object and a capture.");
    }
    // Maps and sizes on the command line are those of the object on the command line.
    const { maps, maxEntries } = isOwnObject ? options : { maps: [], maxEntries: {} };
    const { btf } = options;
    const { name, bytes } = object;
    const input = { name, object: bytes, capture: capture.bytes, program, btf, maps, maxEntries };
    this.opened ??= this.analyst.ask({ kind: "open", input }) as Promise<Report>;
    return this.opened;
  }

  async rows(
    revision: number,
    from: number,
    count: number,
    path: number | null,
  ): Promise<PacketPage> {
    await this.ready(revision);
    return (await this.analyst.ask({ kind: "rows", from, count, path })) as PacketPage;
  }

  async packet(revision: number, n: number): Promise<PacketRow & { effect: PacketEffect | null }> {
    await this.ready(revision);
    const found = await this.analyst.ask({ kind: "packet", n });
    return found as PacketRow & { effect: PacketEffect | null };
  }

  async cache(revision: number, policy: PolicyName, entries: number): Promise<CacheStory> {
    await this.ready(revision);
    return (await this.analyst.ask({ kind: "cache", policy, entries })) as CacheStory;
  }

  private async ready(revision: number): Promise<void> {
    if (revision !== this.revision) {
      throw new PageError("request", "other files were loaded meanwhile", "Reload the page.");
    }
    // A worker that was stopped for a packet is started again for the next question.
    if (!this.analyst.isAlive) this.opened = null;
    await this.open();
  }

  close(): void {
    this.analyst.stop("the server ends");
  }
}
