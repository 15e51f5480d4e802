/**
 * Per-CPU maps: the NIC is one more CPU, with values of its own, exactly as the kernel means it. Nothing is
 * sent. The control plane reads all values; its reads of the NIC's take a round trip and are not counted
 * here, as the kernel promises nothing about them either.
 *
 * Each side's values are cells of their own: even numbers are the host's, odd ones the NIC's.
 */
import { Cells, HOST, type MapModel, type ModelPlace, type Side } from "./consistency.js";

export class PerCpuModel implements MapModel {
  readonly name = "per-cpu";
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

  read(_side: Side, cell: number, done: (value: number) => void): void {
    done(this.cells.get(cell));
  }

  write(_side: Side, cell: number, value: number, done: () => void): void {
    this.cells.set(cell, value);
    this.place.listener.commitWrite(cell, value);
    done();
  }

  add(_side: Side, cell: number, amount: number, done: () => void): void {
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

/** The cell of a side. */
export const cellOfCpu = (side: Side, cell: number): number => 2 * cell + side;
