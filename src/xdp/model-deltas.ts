/**
 * Maps that programs only add to: each side adds to a sum of its own, nothing is sent. Who wants the value is
 * the control plane, which asks the NIC for its part: a round trip a read.
 */
import { Cells, HOST, NIC, type Side } from "./consistency.js";
import { BaseModel } from "./model-base.js";

export class DeltaModel extends BaseModel {
  readonly name = "deltas";
  readonly contract = "counter";
  private readonly parts: readonly [Cells, Cells] = [new Cells(), new Cells()];

  read(): void {
    throw new Error("a program reads a map that is kept as deltas");
  }

  write(): void {
    throw new Error("a program writes a map that is kept as deltas");
  }

  add(side: Side, cell: number, amount: number, done: () => void): void {
    this.increase(this.parts[side], cell, amount);
    done();
  }

  override set(): void {
    this.write();
  }

  override get(cell: number, done: (value: number) => void): void {
    const { link } = this.place;
    link.send(HOST, () => {
      const part = this.partOf(NIC, cell);
      link.send(NIC, () => done(part + this.partOf(HOST, cell)));
    });
  }

  protected partOf(side: Side, cell: number): number {
    return this.parts[side].get(cell);
  }
}
