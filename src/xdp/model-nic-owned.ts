/**
 * Maps that live on the NIC alone: packets there use them at once; packets on the host, and the control
 * plane, ask the NIC for every access, a round trip each.
 */
import { Cells, HOST, type MapModel, type ModelPlace, NIC, type Side } from "./consistency.js";

export class NicOwnedModel implements MapModel {
  readonly name = "nic-owned";
  readonly contract = "atomic";
  private readonly cells = new Cells();
  private readonly place: ModelPlace;

  constructor(place: ModelPlace) {
    this.place = place;
  }

  mayUse(): boolean {
    return true;
  }

  acquire(_side: Side, _cell: number, done: () => void): void {
    done();
  }

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
    const change = (): void => {
      this.cells.set(cell, value);
      this.place.listener.commitWrite(cell, value);
    };
    this.onNic(side, change, done);
  }

  add(side: Side, cell: number, amount: number, done: () => void): void {
    const change = (): void => {
      this.cells.add(cell, amount);
      this.place.listener.commitAdd(cell, amount);
    };
    this.onNic(side, change, done);
  }

  set(cell: number, value: number, done: () => void): void {
    this.write(HOST, cell, value, done);
  }

  get(cell: number, done: (value: number) => void): void {
    this.read(HOST, cell, done);
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
