/**
 * Maps of a program whose packets run on two sides, host and NIC, with memories of their own and a link
 * (PCIe) between them. A model says where a map's cells live and what is sent when; cells are a map's values,
 * by number, and hold numbers here.
 *
 * A packet on the NIC matches and runs in one step: first it makes sure that it may use all its cells
 * ({@link MapModel.mayUse}, else the whole packet goes to the host) and has them ({@link MapModel.acquire}),
 * then it runs without anything in between. Packets on the host are as on any CPU of the kernel: each access
 * is atomic, others may come between two of them.
 *
 * What a model promises is its contract; an oracle (consistency-oracle.ts) that sees every access checks it:
 *
 * | contract | what a read gives |
 * |---|---|
 * | atomic | the value at one moment between its begin and its end, of one memory that all share |
 * | regular | the last value whose write has ended, or one whose write is under way; never an older one than before on this side. What the kernel promises for RCU |
 * | counter | a sum with all additions that ended before the read began, and none that began after its end |
 */
import type { VirtualTime } from "./virtual-time.js";

export const HOST = 0;
export const NIC = 1;
export type Side = typeof HOST | typeof NIC;
export const otherSide = (side: Side): Side => (side === HOST ? NIC : HOST);

export const AccessKind = { READ: 0, WRITE: 1, ADD: 2 } as const;
export type AccessKind = (typeof AccessKind)[keyof typeof AccessKind];

export type Contract = "atomic" | "regular" | "counter";

/** Told by models of the moment at which a change takes effect. */
export interface CommitListener {
  commitWrite(cell: number, value: number): void;
  commitAdd(cell: number, amount: number): void;
}

export interface MapModel {
  readonly name: string;
  readonly contract: Contract;

  /** Whether a packet may use a cell on the NIC now; otherwise it runs on the host. */
  mayUse(cell: number, kind: AccessKind): boolean;
  /** Makes a side have a cell, which may take messages; `done` is called when it has. */
  acquire(side: Side, cell: number, done: () => void): void;

  read(side: Side, cell: number, done: (value: number) => void): void;
  write(side: Side, cell: number, value: number, done: () => void): void;
  add(side: Side, cell: number, amount: number, done: () => void): void;

  /** The control plane's write, on the host; `done` when it has returned. */
  set(cell: number, value: number, done: () => void): void;
  /** The control plane's read, on the host. */
  get(cell: number, done: (value: number) => void): void;
}

/** What models are made of: time, the link, and who is told of changes. */
export interface ModelPlace {
  readonly time: VirtualTime;
  readonly link: Link;
  readonly listener: CommitListener;
}

/** PCIe between the two sides: messages arrive in their order, after a time. */
export class Link {
  readonly time: VirtualTime;
  /** Messages by the side that sent them. */
  readonly sent: [host: number, nic: number] = [0, 0];
  private readonly latencyNs: (side: Side) => number;
  /** When the last message of each side arrives. */
  private readonly lastAt: [number, number] = [0, 0];

  /** `latencyNs` may differ from message to message. */
  constructor(time: VirtualTime, latencyNs: (side: Side) => number) {
    this.time = time;
    this.latencyNs = latencyNs;
  }

  get messages(): number {
    return this.sent[HOST] + this.sent[NIC];
  }

  /** Sends from a side: `arrived` runs at the other one. */
  send(from: Side, arrived: () => void): void {
    this.sent[from]++;
    const at = Math.max(this.time.now + this.latencyNs(from), this.lastAt[from]);
    this.lastAt[from] = at;
    this.time.after(at - this.time.now, arrived);
  }
}

/** A memory of cells, 0 at first. */
export class Cells {
  private readonly values = new Map<number, number>();

  get(cell: number): number {
    return this.values.get(cell) ?? 0;
  }

  set(cell: number, value: number): void {
    this.values.set(cell, value);
  }

  add(cell: number, amount: number): void {
    this.set(cell, this.get(cell) + amount);
  }
}
