/**
 * Per-CPU maps: the NIC is one more CPU, with values of its own, exactly as the kernel means it. Nothing is
 * sent. The control plane reads all values; its reads of the NIC's take a round trip and are not counted
 * here, as the kernel promises nothing about them either.
 *
 * Each side's values are cells of their own: even numbers are the host's, odd ones the NIC's.
 */
import { Cells, type Side } from "./consistency.js";
import { BaseModel } from "./model-base.js";

export class PerCpuModel extends BaseModel {
  readonly name = "per-cpu";
  readonly contract = "atomic";
  private readonly cells = new Cells();

  read(_side: Side, cell: number, done: (value: number) => void): void {
    done(this.cells.get(cell));
  }

  write(_side: Side, cell: number, value: number, done: () => void): void {
    this.store(this.cells, cell, value);
    done();
  }

  add(_side: Side, cell: number, amount: number, done: () => void): void {
    this.increase(this.cells, cell, amount);
    done();
  }
}

/** The cell of a side. */
export const cellOfCpu = (side: Side, cell: number): number => 2 * cell + side;
