/**
 * Maps that programs only read: a copy on each side, written by the control plane alone.
 *
 * `ReplicatedModel` promises one memory: before a value changes the NIC gives its copy up (hold), so that
 * packets that need it go to the host; then the host changes its own, and the new value goes to the NIC. A
 * write costs three messages and returns after one round trip; meanwhile packets that use the cell, and
 * no others, run on the host.
 *
 * `EpochModel` promises what RCU does: values are pushed in the order of their epochs, a packet sees the old
 * one or the new one, and a write returns when the NIC has it. Two messages a write, and no packet moves.
 */
import { Cells, HOST, NIC, type Side } from "./consistency.js";
import { BaseModel } from "./model-base.js";

abstract class TwoCopies extends BaseModel {
  protected readonly copies: readonly [Cells, Cells] = [new Cells(), new Cells()];
  /** Writes that wait for the one before, by cell. */
  private readonly queues = new Map<number, (() => void)[]>();

  read(side: Side, cell: number, done: (value: number) => void): void {
    done(this.copies[side].get(cell));
  }

  write(): void {
    throw new Error("a program writes a map that is replicated as one that it only reads");
  }

  add(): void {
    this.write();
  }

  override set(cell: number, value: number, done: () => void): void {
    const start = (): void =>
      this.change(cell, value, () => {
        done();
        const queue = this.queues.get(cell)!;
        queue.shift();
        if (queue.length === 0) this.queues.delete(cell);
        else queue[0]!();
      });
    const queue = this.queues.get(cell);
    if (queue !== undefined) queue.push(start);
    else {
      this.queues.set(cell, [start]);
      start();
    }
  }

  /** One write, from its begin to its end. */
  protected abstract change(cell: number, value: number, done: () => void): void;
}

export class ReplicatedModel extends TwoCopies {
  readonly name = "replicated";
  readonly contract = "atomic";
  /** Cells whose value the NIC does not have, and how often it was told so. */
  private readonly held = new Map<number, number>();

  override mayUse(cell: number): boolean {
    return !this.held.has(cell);
  }

  protected change(cell: number, value: number, done: () => void): void {
    const { link, listener } = this.place;
    link.send(HOST, () => {
      this.held.set(cell, (this.held.get(cell) ?? 0) + 1);
      link.send(NIC, () => {
        this.copies[HOST].set(cell, value);
        listener.commitWrite(cell, value);
        link.send(HOST, () => {
          this.copies[NIC].set(cell, value);
          this.release(cell);
        });
        done();
      });
    });
  }

  private release(cell: number): void {
    const times = this.held.get(cell)! - 1;
    if (times === 0) this.held.delete(cell);
    else this.held.set(cell, times);
  }
}

export class EpochModel extends TwoCopies {
  readonly name = "epochs";
  readonly contract = "regular";

  protected change(cell: number, value: number, done: () => void): void {
    const { link } = this.place;
    this.copies[HOST].set(cell, value);
    link.send(HOST, () => {
      this.copies[NIC].set(cell, value);
      link.send(NIC, done);
    });
  }
}
