/**
 * Maps whose cells belong to one side at a time, which is the side that their flow's packets run on: whoever
 * has a cell uses it without asking. The other one asks for it, and gets it with its value: two messages
 * each time that a flow changes sides (its trace was installed, or given up).
 *
 * The link keeps its order, so a side that gives a cell away and asks for it again is understood: the cell
 * arrives before the question.
 */
import { Cells, HOST, otherSide, type Side } from "./consistency.js";
import { BaseModel } from "./model-base.js";

export class FlowOwnedModel extends BaseModel {
  readonly name = "flow-owned";
  readonly contract = "atomic";
  /** Cells that changed sides. */
  migrations = 0;
  private readonly copies: readonly [Cells, Cells] = [new Cells(), new Cells()];
  /** Cells that each side has; the host has those that nobody has asked for. */
  private readonly owned: readonly [Set<number>, Set<number>] = [new Set(), new Set()];
  private readonly known = new Set<number>();
  /** What waits for a cell on each side. */
  private readonly waiting: readonly [Map<number, (() => void)[]>, Map<number, (() => void)[]>] = [
    new Map(),
    new Map(),
  ];

  override acquire(side: Side, cell: number, done: () => void): void {
    if (!this.known.has(cell)) {
      this.known.add(cell);
      this.owned[HOST].add(cell);
    }
    if (this.owned[side].has(cell)) {
      done();
      return;
    }
    const queue = this.waiting[side].get(cell);
    if (queue !== undefined) {
      queue.push(done);
      return;
    }
    this.waiting[side].set(cell, [done]);
    this.place.link.send(side, () => this.giveAway(otherSide(side), cell));
  }

  read(side: Side, cell: number, done: (value: number) => void): void {
    this.acquire(side, cell, () => done(this.copies[side].get(cell)));
  }

  write(side: Side, cell: number, value: number, done: () => void): void {
    this.acquire(side, cell, () => {
      this.store(this.copies[side], cell, value);
      done();
    });
  }

  add(side: Side, cell: number, amount: number, done: () => void): void {
    this.acquire(side, cell, () => {
      this.increase(this.copies[side], cell, amount);
      done();
    });
  }

  private giveAway(from: Side, cell: number): void {
    const to = otherSide(from);
    const value = this.copies[from].get(cell);
    this.owned[from].delete(cell);
    this.migrations++;
    this.place.link.send(from, () => {
      this.copies[to].set(cell, value);
      this.owned[to].add(cell);
      const queue = this.waiting[to].get(cell) ?? [];
      this.waiting[to].delete(cell);
      for (const done of queue) done();
    });
  }
}
