/**
 * Which entries of which maps each packet reads and changes: what consistency models are evaluated on. Maps
 * are watched from outside while a program runs: their lookups, updates and deletions are noted, and what a
 * lookup found is compared with what is there when the packet is done.
 *
 * Variables, which programs use without a lookup, count as used by every packet as far as the program uses
 * them at all.
 */
import type { XdpInstance } from "../ebpf/instance.js";
import type { LinearMap } from "../ebpf/linear-map.js";
import { MapType } from "../ebpf/map-type.js";
import { AccessKind } from "./consistency.js";
import type { MapAccess } from "./consistency-run.js";
import { isAddOnly, type MapUse } from "./map-use.js";

/** Maps whose entries say where packets or tail calls go: their lookups are by helpers. */
const TABLES: ReadonlySet<number> = new Set([
  MapType.PROG_ARRAY,
  MapType.DEVMAP,
  MapType.DEVMAP_HASH,
  MapType.CPUMAP,
  MapType.XSKMAP,
  MapType.PERF_EVENT_ARRAY,
  MapType.RINGBUF,
]);

/** A value that a packet found. */
interface Found {
  readonly map: number;
  readonly cell: number;
  readonly at: number;
  readonly before: Uint8Array;
}

export class AccessLog {
  /** Of the packet since {@link begin}. */
  private accesses: MapAccess[] = [];
  private found: Found[] = [];
  private readonly maps: readonly LinearMap[];
  private readonly uses: readonly MapUse[];
  private readonly bytes: Uint8Array;
  /** By map and key: the cell's number. */
  private readonly cells = new Map<string, number>();
  private isOn = false;

  /** `uses`: of each of the instance's maps. Watches the maps from now on. */
  constructor(instance: XdpInstance, uses: readonly MapUse[]) {
    const { runtime } = instance;
    this.maps = runtime.maps;
    this.bytes = runtime.bytes;
    this.uses = uses;
    for (const [index, map] of runtime.maps.entries()) {
      if (!TABLES.has(map.type)) this.watch(map, index);
    }
  }

  /** Before a packet. */
  begin(): void {
    this.accesses = [];
    this.found = [];
    this.isOn = true;
    for (const [index, map] of this.maps.entries()) {
      if (map.name.startsWith(".") && isUsed(this.uses[index]!)) map.lookup(this.zeroKey(map));
    }
  }

  /** After it: what it did, in order; changes of values that were found come last. */
  end(): MapAccess[] {
    this.isOn = false;
    for (const { map, cell, at, before } of this.found) {
      const use = this.uses[map]!;
      const isSame = before.every((byte, n) => this.bytes[at + n] === byte);
      if (!isSame) this.note(map, cell, isAddOnly(use) ? AccessKind.ADD : AccessKind.WRITE);
    }
    return this.accesses;
  }

  /** Cells so far. */
  get cellCount(): number {
    return this.cells.size;
  }

  private watch(map: LinearMap, index: number): void {
    const lookup = map.lookup.bind(map);
    const update = map.update.bind(map);
    const remove = map.delete.bind(map);
    map.lookup = (keyAt) => {
      const at = lookup(keyAt);
      if (this.isOn) this.lookedUp(map, index, keyAt, at);
      return at;
    };
    map.update = (keyAt, valueAt, flags) => {
      if (this.isOn) this.note(index, this.cellOf(map, index, keyAt), AccessKind.WRITE);
      return update(keyAt, valueAt, flags);
    };
    map.delete = (keyAt) => {
      if (this.isOn) this.note(index, this.cellOf(map, index, keyAt), AccessKind.WRITE);
      return remove(keyAt);
    };
  }

  private lookedUp(map: LinearMap, index: number, keyAt: number, at: number): void {
    const cell = this.cellOf(map, index, keyAt);
    if (!isAddOnly(this.uses[index]!)) this.note(index, cell, AccessKind.READ);
    if (at === 0 || this.found.some((one) => one.at === at)) return;
    this.found.push({ map: index, cell, at, before: this.bytes.slice(at, at + map.valueBytes) });
  }

  private note(map: number, cell: number, kind: AccessKind): void {
    this.accesses.push({ map, cell, kind });
  }

  private cellOf(map: LinearMap, index: number, keyAt: number): number {
    const key = this.bytes.subarray(keyAt, keyAt + map.keyBytes);
    const name = `${index} ${Buffer.from(key).toString("latin1")}`;
    let cell = this.cells.get(name);
    if (cell === undefined) {
      cell = this.cells.size;
      this.cells.set(name, cell);
    }
    return cell;
  }

  /** Address of the key 0: the map's own scratch key, which `get` fills. */
  private zeroKey(map: LinearMap): number {
    let keyAt = 0;
    const wasOn = this.isOn;
    this.isOn = false;
    const watched = map.lookup;
    map.lookup = (at) => {
      keyAt = at;
      return 0;
    };
    map.get(new Uint8Array(map.keyBytes));
    map.lookup = watched;
    this.isOn = wasOn;
    return keyAt;
  }
}

const isUsed = (use: MapUse): boolean =>
  use.reads || use.stores || use.adds || use.atomics || use.lookups;
