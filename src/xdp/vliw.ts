/**
 * A list scheduler for a processor with very long instruction words, as hXDP's (M. Brunella and others,
 * hXDP: Efficient Software Packet Processing on FPGA NICs, OSDI 2020): each cycle is a row, which has one
 * place a lane. It takes operations and what they wait for, however they were made: of a whole program's
 * blocks (vliw-program.ts) or of a trace (vliw-trace.ts).
 *
 * Registers are not limited: a trace has no loops and few values that live at once, and results of the row
 * before are forwarded, as in hXDP.
 */

/** What an operation occupies besides a lane, and whose latency it has. */
export type VliwKind =
  | "alu"
  | "multiply"
  | "divide"
  /** Of the packet, the stack, a map's value. */
  | "load"
  | "store"
  /** Finding a key in a map. */
  | "lookup"
  /** Adding or removing one, and every other helper function. */
  | "helper"
  /** A comparison that leaves the trace, or a branch. */
  | "guard"
  | "exit";

export interface VliwMachine {
  /** Operations a row. */
  readonly lanes: number;
  /** Loads and stores a row. */
  readonly memoryPorts: number;
  /** Lookups and helper functions a row. */
  readonly helperPorts: number;
  /** Guards a row; the first that fails decides, as in hXDP's parallel branches. */
  readonly guardsPerRow: number;
  /** Cycles until a result can be used. */
  readonly latency: Readonly<Record<VliwKind, number>>;
  readonly clockMhz: number;
}

/**
 * hXDP's processor on its FPGA: four lanes at 156.25 MHz. Memory has two ports, which is what a block RAM
 * has; a lookup takes four cycles, which hXDP's figures do not charge.
 */
export const HXDP_MACHINE: VliwMachine = {
  lanes: 4,
  memoryPorts: 2,
  helperPorts: 1,
  guardsPerRow: 4,
  latency: {
    alu: 1,
    multiply: 2,
    divide: 8,
    load: 1,
    store: 1,
    lookup: 4,
    helper: 4,
    guard: 1,
    exit: 1,
  },
  clockMhz: 156.25,
};

export interface VliwOperation {
  readonly kind: VliwKind;
  /** For people, as it stands in a row. */
  readonly text: string;
  /** Operations, by their places in the list, whose results it uses: they come before it in the list. */
  readonly needs: readonly number[];
  /** Operations that must start in an earlier row. */
  readonly after?: readonly number[];
  /** Operations that must start in an earlier row or the same one, as readers of what it overwrites. */
  readonly notBefore?: readonly number[];
}

export interface VliwSchedule {
  /** Of each operation. */
  readonly row: readonly number[];
  /** The operations of each row, by lane. */
  readonly rows: readonly (readonly number[])[];
  /** Until the last result is there. */
  readonly cycles: number;
}

/**
 * Schedules operations by their distance to the end, the farthest first. Every operation of a needs, after
 * or notBefore list must come before its user in `operations`.
 */
export function schedule(operations: readonly VliwOperation[], machine: VliwMachine): VliwSchedule {
  const height = heights(operations, machine);
  const order = operations.map((_, n) => n).sort((a, b) => height[b]! - height[a]! || a - b);
  const row = new Array<number>(operations.length).fill(-1);
  const rows: number[][] = [];
  let left = order;
  let cycles = 0;
  while (left.length > 0) {
    const now = rows.length;
    const usage = new Usage(machine);
    const taken: number[] = [];
    // What waits for something of this very row (notBefore) may follow it into the row.
    for (let goesOn = true; goesOn; ) {
      goesOn = false;
      for (const n of left) {
        const operation = operations[n]!;
        if (row[n]! >= 0 || !isReady(operation, operations, row, now, machine)) continue;
        if (!usage.takes(operation.kind)) continue;
        row[n] = now;
        taken.push(n);
        cycles = Math.max(cycles, now + machine.latency[operation.kind]);
        goesOn = true;
      }
    }
    rows.push(taken);
    left = left.filter((n) => row[n]! < 0);
  }
  return { row, rows, cycles };
}

/** What is left of a row. */
class Usage {
  private lanes: number;
  private memory: number;
  private helpers: number;
  private guards: number;

  constructor(machine: VliwMachine) {
    this.lanes = machine.lanes;
    this.memory = machine.memoryPorts;
    this.helpers = machine.helperPorts;
    this.guards = machine.guardsPerRow;
  }

  takes(kind: VliwKind): boolean {
    if (this.lanes === 0) return false;
    if (kind === "load" || kind === "store") {
      if (this.memory === 0) return false;
      this.memory--;
    } else if (kind === "lookup" || kind === "helper") {
      if (this.helpers === 0) return false;
      this.helpers--;
    } else if (kind === "guard") {
      if (this.guards === 0) return false;
      this.guards--;
    }
    this.lanes--;
    return true;
  }
}

function isReady(
  operation: VliwOperation,
  operations: readonly VliwOperation[],
  row: readonly number[],
  now: number,
  machine: VliwMachine,
): boolean {
  for (const n of operation.needs) {
    if (row[n]! < 0 || row[n]! + machine.latency[operations[n]!.kind] > now) return false;
  }
  for (const n of operation.after ?? []) if (row[n]! < 0 || row[n]! >= now) return false;
  for (const n of operation.notBefore ?? []) if (row[n]! < 0) return false;
  return true;
}

/** Cycles from the start of each operation to the end of the longest chain that waits for it. */
function heights(operations: readonly VliwOperation[], machine: VliwMachine): number[] {
  const height = operations.map(({ kind }) => machine.latency[kind]);
  for (let n = operations.length - 1; n >= 0; n--) {
    const { needs, after = [], notBefore = [] } = operations[n]!;
    const raise = (before: number, delay: number): void => {
      if (before >= n)
        throw new RangeError(`operation ${n} waits for ${before}, which comes later`);
      height[before] = Math.max(height[before]!, height[n]! + delay);
    };
    for (const before of needs) raise(before, machine.latency[operations[before]!.kind]);
    for (const before of after) raise(before, 1);
    for (const before of notBefore) raise(before, 0);
  }
  return height;
}

/** The longest text that a place of a printed row has. */
const COLUMN = 30;

/** The rows as hXDP prints them: one line a cycle, one column a lane. */
export function formatRows(
  operations: readonly VliwOperation[],
  { rows }: VliwSchedule,
  lanes: number,
): string[] {
  return rows.map((row, number) => {
    const cells = Array.from({ length: lanes }, (_, lane) => {
      const text = row[lane] === undefined ? "-" : operations[row[lane]!]!.text;
      return (text.length > COLUMN ? `${text.slice(0, COLUMN - 1)}…` : text).padEnd(COLUMN);
    });
    return `${String(number).padStart(4)} | ${cells.join(" | ").trimEnd()}`;
  });
}
