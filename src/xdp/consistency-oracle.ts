/**
 * Checks every access to maps against what one memory, seen by all at once, would allow: a read that it does
 * not allow is stale. Changes take effect when the model says so (commit), which must be between begin and
 * end of what made them, once. See {@link Contract} for what is allowed.
 */
import type { CommitListener, Contract, Side } from "./consistency.js";

/** A read that is under way. */
export interface ReadInProgress {
  readonly cell: number;
  readonly side: Side;
  /** Values that it may give: those of the cell since it began. */
  readonly allowed: Set<number>;
  /** Contract counter: the least sum. */
  readonly least: number;
}

export interface ChangeInProgress {
  readonly cell: number;
  readonly kind: "write" | "add";
  readonly value: number;
  isCommitted: boolean;
}

interface CellHistory {
  value: number;
  /** Contract regular: writes that have begun and not ended. */
  readonly pending: Set<number>;
  /** Contract counter: sums of additions that began, and that ended. */
  begun: number;
  ended: number;
  readonly reads: Set<ReadInProgress>;
  readonly changes: Set<ChangeInProgress>;
  /** By side: the number of the newest value that was read, of those that were ever there. */
  readonly newest: [number, number];
  /** Of each value: its number. */
  readonly versions: Map<number, number>;
}

export class ConsistencyOracle implements CommitListener {
  readonly contract: Contract;
  /** Reads that gave what was not there any more, or not yet. */
  staleReads = 0;
  reads = 0;
  /**
   * Contract regular: reads of an older value than one that the other side has read already. RCU allows
   * them; nothing else does.
   */
  inversions = 0;
  /** Changes that took effect when they had not begun or had ended, or never. */
  misplaced = 0;
  private readonly cells = new Map<number, CellHistory>();

  constructor(contract: Contract) {
    this.contract = contract;
  }

  beginRead(side: Side, cell: number): ReadInProgress {
    const history = this.history(cell);
    const allowed = new Set([history.value, ...history.pending]);
    const read = { cell, side, allowed, least: history.ended };
    history.reads.add(read);
    return read;
  }

  /** Whether the value is one that the read may give. */
  endRead(read: ReadInProgress, value: number): boolean {
    const history = this.history(read.cell);
    history.reads.delete(read);
    this.reads++;
    const isFresh =
      this.contract === "counter"
        ? value >= read.least && value <= history.begun
        : read.allowed.has(value) && this.isInOrder(history, read.side, value);
    if (!isFresh) this.staleReads++;
    return isFresh;
  }

  beginChange(kind: "write" | "add", cell: number, value: number): ChangeInProgress {
    const history = this.history(cell);
    const change = { kind, cell, value, isCommitted: false };
    history.changes.add(change);
    if (kind === "add") history.begun += value;
    else if (this.contract === "regular") {
      history.pending.add(value);
      history.versions.set(value, history.versions.size);
      for (const read of history.reads) read.allowed.add(value);
    }
    return change;
  }

  endChange(change: ChangeInProgress): void {
    const history = this.history(change.cell);
    history.changes.delete(change);
    if (change.kind === "add") history.ended += change.value;
    if (this.contract === "regular") {
      history.pending.delete(change.value);
      history.value = change.value;
    } else if (!change.isCommitted) {
      // Of two equal changes under way it does not matter which one the model meant.
      const equal = findChange(history, change.kind, change.value, true);
      if (equal === undefined) this.misplaced++;
      else equal.isCommitted = false;
    }
  }

  commitWrite(cell: number, value: number): void {
    this.commit(cell, "write", value, value);
  }

  commitAdd(cell: number, amount: number): void {
    this.commit(cell, "add", amount, this.history(cell).value + amount);
  }

  /** What one memory would hold now. */
  valueOf(cell: number): number {
    return this.history(cell).value;
  }

  private commit(cell: number, kind: "write" | "add", given: number, value: number): void {
    if (this.contract === "regular") return;
    const history = this.history(cell);
    const change = findChange(history, kind, given, false);
    if (change === undefined) this.misplaced++;
    else change.isCommitted = true;
    history.value = value;
    for (const read of history.reads) read.allowed.add(value);
  }

  /** Contract regular: a side never goes back. */
  private isInOrder(history: CellHistory, side: Side, value: number): boolean {
    if (this.contract !== "regular") return true;
    const version = history.versions.get(value) ?? 0;
    if (version < history.newest[side === 0 ? 1 : 0]) this.inversions++;
    if (version < history.newest[side]) return false;
    history.newest[side] = version;
    return true;
  }

  private history(cell: number): CellHistory {
    let history = this.cells.get(cell);
    if (history === undefined) {
      history = {
        value: 0,
        pending: new Set(),
        begun: 0,
        ended: 0,
        reads: new Set(),
        changes: new Set(),
        newest: [0, 0],
        versions: new Map([[0, 0]]),
      };
      this.cells.set(cell, history);
    }
    return history;
  }
}

function findChange(
  history: CellHistory,
  kind: "write" | "add",
  value: number,
  isCommitted: boolean,
): ChangeInProgress | undefined {
  return [...history.changes].find(
    (one) => one.kind === kind && one.value === value && one.isCommitted === isCommitted,
  );
}
