/**
 * Maps that live on the NIC alone: packets there use them at once; packets on the host, and the control
 * plane, ask the NIC for every access, a round trip each.
 */
import { Cells, HOST, NIC, type Side } from "./consistency.js";
import { BaseModel } from "./model-base.js";

export class NicOwnedModel extends BaseModel {
  readonly name = "nic-owned";
  readonly contract = "atomic";
  private readonly cells = new Cells();

  read(side: Side, cell: number, done: (value: number) => void): void {
    let value = 0;
    this.onNic(
      side,
      () => {
        value = this.cells.get(cell);
      },
      () => done(value),
    );
  }

  write(side: Side, cell: number, value: number, done: () => void): void {
    this.onNic(side, () => this.store(this.cells, cell, value), done);
  }

  add(side: Side, cell: number, amount: number, done: () => void): void {
    this.onNic(side, () => this.increase(this.cells, cell, amount), done);
  }

  /** Does something on the NIC; `done` on the side that wants it. */
  private onNic(side: Side, act: () => void, done: () => void): void {
    if (side === NIC) {
      act();
      done();
      return;
    }
    this.place.link.send(HOST, () => {
      act();
      this.place.link.send(NIC, done);
    });
  }
}
