/** Maps that live on the host alone: packets that use them run there, and nothing is sent but the packets. */
import { Cells, HOST, type MapModel, type ModelPlace, NIC, type Side } from "./consistency.js";

export class HostOnlyModel implements MapModel {
  readonly name = "host-only";
  readonly contract = "atomic";
  private readonly cells = new Cells();
  private readonly place: ModelPlace;

  constructor(place: ModelPlace) {
    this.place = place;
  }

  mayUse(): boolean {
    return false;
  }

  acquire(_side: Side, _cell: number, done: () => void): void {
    done();
  }

  read(side: Side, cell: number, done: (value: number) => void): void {
    expectHost(side);
    done(this.cells.get(cell));
  }

  write(side: Side, cell: number, value: number, done: () => void): void {
    expectHost(side);
    this.cells.set(cell, value);
    this.place.listener.commitWrite(cell, value);
    done();
  }

  add(side: Side, cell: number, amount: number, done: () => void): void {
    expectHost(side);
    this.cells.add(cell, amount);
    this.place.listener.commitAdd(cell, amount);
    done();
  }

  set(cell: number, value: number, done: () => void): void {
    this.write(HOST, cell, value, done);
  }

  get(cell: number, done: (value: number) => void): void {
    this.read(HOST, cell, done);
  }
}

function expectHost(side: Side): void {
  if (side === NIC) throw new Error("a packet on the NIC uses a map that only the host has");
}
