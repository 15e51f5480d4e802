/**
 * Maps whose key is an index: ARRAY and PERCPU_ARRAY, whose entries are always there, and those that hold
 * references (programs, devices, CPUs, sockets, maps), whose entries may be empty.
 */
import { E2BIG, EEXIST, EINVAL, ENOENT } from "../base/errno.js";
import { expectSizes, LinearMap, type MapPlace } from "./linear-map.js";
import type { MapDefinition } from "./map-definition.js";
import { MapType, UpdateFlag } from "./map-type.js";

/** Kinds whose entries are references: 0 is none. */
const HAS_HOLES: ReadonlySet<number> = new Set([
  MapType.PROG_ARRAY,
  MapType.PERF_EVENT_ARRAY,
  MapType.ARRAY_OF_MAPS,
  MapType.DEVMAP,
  MapType.CPUMAP,
  MapType.XSKMAP,
]);

export class ArrayMap extends LinearMap {
  /** Address of entry 0, and from one to the next. */
  readonly valuesAt: number;
  readonly entryStride: number;
  readonly hasHoles: boolean;
  /** One byte an entry, 1 when it is there; only where there can be holes. */
  readonly presentAt: number;

  constructor(definition: MapDefinition, place: MapPlace) {
    super(definition, place);
    expectSizes(definition, { keyBytes: 4 });
    this.hasHoles = HAS_HOLES.has(definition.type);
    this.entryStride = this.valueStride * this.cpus;
    const what = `the map ${this.name}`;
    this.valuesAt = place.memory.take(this.entryStride * this.maxEntries, what);
    this.presentAt = this.hasHoles ? place.memory.take(this.maxEntries, what) : 0;
    this.count = this.hasHoles ? 0 : this.maxEntries;
    if (definition.initial !== null) this.bytes.set(definition.initial, this.valuesAt);
  }

  lookup(keyAt: number): number {
    return this.at32(this.read32(keyAt));
  }

  /** The value of an index. */
  at32(index: number): number {
    if (index >= this.maxEntries) return 0;
    if (this.hasHoles && this.bytes[this.presentAt + index] === 0) return 0;
    return this.valuesAt + index * this.entryStride + this.cpu * this.cpuStride;
  }

  update(keyAt: number, valueAt: number, flags: number): number {
    const index = this.read32(keyAt);
    if (flags > UpdateFlag.EXIST) return -EINVAL;
    if (index >= this.maxEntries) return -E2BIG;
    if (flags === UpdateFlag.NO_EXIST) return -EEXIST;
    if (this.hasHoles && this.bytes[this.presentAt + index] === 0) {
      this.bytes[this.presentAt + index] = 1;
      this.count++;
      this.touch();
    }
    const to = this.valuesAt + index * this.entryStride + this.cpu * this.cpuStride;
    this.bytes.copyWithin(to, valueAt, valueAt + this.valueBytes);
    return 0;
  }

  delete(keyAt: number): number {
    if (!this.hasHoles) return -EINVAL;
    const index = this.read32(keyAt);
    if (index >= this.maxEntries || this.bytes[this.presentAt + index] === 0) return -ENOENT;
    this.bytes[this.presentAt + index] = 0;
    const at = this.valuesAt + index * this.entryStride;
    this.bytes.fill(0, at, at + this.entryStride);
    this.count--;
    this.touch();
    return 0;
  }

  covers(at: number, lengthBytes: number): boolean {
    const offset = at - this.valuesAt;
    if (offset < 0 || offset >= this.entryStride * this.maxEntries) return false;
    // The kernel rounds values of arrays up to 8 bytes, and no program can tell.
    return (offset % this.valueStride) + lengthBytes <= this.valueStride;
  }

  protected walk(visit: (keyAt: number, valueAt: number) => void): void {
    const key = new Uint8Array(4);
    const view = new DataView(key.buffer);
    for (let index = 0; index < this.maxEntries; index++) {
      if (this.hasHoles && this.bytes[this.presentAt + index] === 0) continue;
      view.setUint32(0, index, true);
      visit(this.putKey(key), this.valuesAt + index * this.entryStride);
    }
  }

  /** Keys need not be aligned. */
  private read32(at: number): number {
    const b = this.bytes;
    return (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0;
  }
}
