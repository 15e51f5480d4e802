/** Interfaces by their index, which may be any number: that of the kernel's interface, where there is one. */
import type { Interface } from "./interface.js";

/** Indices below are looked up in a list, as most frames' are; the others in a map, which takes longer. */
const LISTED = 256;

export class InterfaceNumbers {
  private readonly listed: (Interface | null)[] = [null];
  private readonly others = new Map<number, Interface>();
  private next = 1;

  /** The index of an interface to come: the wanted one if it is free, or (0: none is wanted) one never used. */
  choose(wanted: number): number {
    return wanted > 0 && this.at(wanted) === null ? wanted : this.next;
  }

  set(iface: Interface): void {
    const { index } = iface;
    if (index >= LISTED) this.others.set(index, iface);
    else {
      while (this.listed.length < index) this.listed.push(null);
      this.listed[index] = iface;
    }
    if (index < LISTED && index >= this.next) this.next = index + 1;
    while (this.at(this.next) !== null) this.next++;
  }

  delete(iface: Interface): void {
    if (iface.index >= LISTED) this.others.delete(iface.index);
    else this.listed[iface.index] = null;
  }

  /** Hot path. */
  at(index: number): Interface | null {
    const found = index < LISTED ? this.listed[index] : this.others.get(index);
    return found ?? null;
  }
}
