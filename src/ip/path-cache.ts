/**
 * Paths by (source constraint, destination, interface). Any change of routes, addresses or links
 * makes all of them stale at once; they are resolved again when next used.
 *
 * Ids carry a generation, so an id that somebody kept past its path's end finds nothing instead of
 * another destination. The cache is bounded: when it is full the oldest row goes.
 */
import type { IpAddress } from "../base/ip-address.js";
import { FlowTable, NO_ROW } from "../ring/flow-table.js";
import type { Path } from "./path.js";

export const MAX_PATHS = 65_536;
const ROW_BITS = 16;
const ROW_MASK = MAX_PATHS - 1;
const MAX_GENERATION = 0x7fff;

export class PathCache {
  private readonly table: FlowTable;
  private readonly rows: (Path | null)[] = [];
  private readonly generations: number[] = [];
  private readonly freeRows: number[] = [];
  private oldest = 0;

  constructor(secret0: number, secret1: number) {
    this.table = new FlowTable(secret0, secret1);
  }

  get size(): number {
    return this.table.size;
  }

  /** Hot path. The path of this id, or null when it has gone. */
  byId(id: number): Path | null {
    const path = this.rows[id & ROW_MASK];
    return path !== undefined && path !== null && path.id === id ? path : null;
  }

  /** Hot path. A path that is not stale, or null. `src` unspecified: any. */
  find(src: IpAddress, dst: IpAddress, ifIndex: number): Path | null {
    const row = this.table.find(src, dst, ifIndex, 0);
    return row === NO_ROW ? null : this.rows[row]!;
  }

  /** Reserves a row and returns the id that the new path must carry. */
  nextId(): number {
    let row = this.freeRows.pop() ?? -1;
    if (row < 0 && this.rows.length < MAX_PATHS) {
      row = this.rows.length;
      this.rows.push(null);
      this.generations.push(0);
    }
    if (row < 0) {
      row = this.oldest;
      this.oldest = (this.oldest + 1) & ROW_MASK;
      this.evict(row);
    }
    const generation = this.generations[row]! >= MAX_GENERATION ? 1 : this.generations[row]! + 1;
    this.generations[row] = generation;
    return ((generation << ROW_BITS) | row) >>> 0;
  }

  /** Adds a path that was made with {@link nextId}. */
  add(src: IpAddress, ifIndex: number, path: Path): void {
    const row = path.id & ROW_MASK;
    this.rows[row] = path;
    this.table.insert(src, path.dst, ifIndex, 0, row);
  }

  /** Grows whenever paths may lead elsewhere than before. */
  version = 0;

  /** Makes every path stale and forgets it. */
  invalidate(): void {
    this.version = (this.version + 1) | 0;
    for (let row = 0; row < this.rows.length; row++) {
      if (this.rows[row] === null) continue;
      this.evict(row);
      this.freeRows.push(row);
    }
  }

  private evict(row: number): void {
    const path = this.rows[row];
    if (path === null || path === undefined) return;
    path.isStale = true;
    this.table.remove(row);
    this.rows[row] = null;
  }

  /** Calls `visit` for each live path; for path MTU changes, which are rare. */
  each(visit: (path: Path) => void): void {
    for (const path of this.rows) if (path !== null) visit(path);
  }
}
