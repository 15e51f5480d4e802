/** What most models share: every side may use a cell as it comes, and the control plane is one more user on the host. */
import {
  type AccessKind,
  type Cells,
  type Contract,
  HOST,
  type MapModel,
  type ModelPlace,
  type Side,
} from "./consistency.js";

export abstract class BaseModel implements MapModel {
  abstract readonly name: string;
  abstract readonly contract: Contract;
  protected readonly place: ModelPlace;

  constructor(place: ModelPlace) {
    this.place = place;
  }

  mayUse(_cell: number, _kind: AccessKind): boolean {
    return true;
  }

  acquire(_side: Side, _cell: number, done: () => void): void {
    done();
  }

  abstract read(side: Side, cell: number, done: (value: number) => void): void;
  abstract write(side: Side, cell: number, value: number, done: () => void): void;
  abstract add(side: Side, cell: number, amount: number, done: () => void): void;

  set(cell: number, value: number, done: () => void): void {
    this.write(HOST, cell, value, done);
  }

  get(cell: number, done: (value: number) => void): void {
    this.read(HOST, cell, done);
  }

  /** Changes cells, and says so. */
  protected store(cells: Cells, cell: number, value: number): void {
    cells.set(cell, value);
    this.place.listener.commitWrite(cell, value);
  }

  protected increase(cells: Cells, cell: number, amount: number): void {
    cells.add(cell, amount);
    this.place.listener.commitAdd(cell, amount);
  }
}
