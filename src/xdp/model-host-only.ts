/** Maps that live on the host alone: packets that use them run there, and nothing is sent but the packets. */
import { Cells, NIC, type Side } from "./consistency.js";
import { BaseModel } from "./model-base.js";

export class HostOnlyModel extends BaseModel {
  readonly name = "host-only";
  readonly contract = "atomic";
  private readonly cells = new Cells();

  override mayUse(): boolean {
    return false;
  }

  read(side: Side, cell: number, done: (value: number) => void): void {
    expectHost(side);
    done(this.cells.get(cell));
  }

  write(side: Side, cell: number, value: number, done: () => void): void {
    expectHost(side);
    this.store(this.cells, cell, value);
    done();
  }

  add(side: Side, cell: number, amount: number, done: () => void): void {
    expectHost(side);
    this.increase(this.cells, cell, amount);
    done();
  }
}

function expectHost(side: Side): void {
  if (side === NIC) throw new Error("a packet on the NIC uses a map that only the host has");
}
