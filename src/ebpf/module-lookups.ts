/** Lookups that a compiled program has itself, one function a map. */
import type { LinearMap } from "./linear-map.js";
import { type LookupFunction, lookupFunction } from "./wasm-map.js";

export class ModuleLookups {
  readonly bodies: LookupFunction[] = [];
  private readonly numbers = new Map<LinearMap, number>();
  private readonly first: number;
  private readonly cpuAt: number;

  constructor(first: number, cpuAt: number) {
    this.first = first;
    this.cpuAt = cpuAt;
  }

  /** The function's index; -1 when JavaScript does it. */
  indexOf(map: LinearMap): number {
    const known = this.numbers.get(map);
    if (known !== undefined) return known;
    const body = lookupFunction(map, this.cpuAt);
    const index = body === null ? -1 : this.first + this.bodies.length;
    if (body !== null) this.bodies.push(body);
    this.numbers.set(map, index);
    return index;
  }
}
