/** The tables of `millrace xdp eval`, as text or Markdown. Numbers T3 to T7 are those of docs/xdp-evaluation.md. */
import type { HitRow, ProgramEvaluation } from "../../xdp/evaluation-report.js";

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  /** Cells; the first is text, the others are aligned right. */
  readonly rows: readonly (readonly string[])[];
  /** The last column is text, too. */
  readonly endsInText?: boolean;
}

const percent = (share: number, digits = 2): string => (100 * share).toFixed(digits);
const fixed = (value: number, digits = 1): string => value.toFixed(digits);
const whole = (value: number): string => value.toFixed(0);

/** Every table that the evaluations have something for. */
export function evaluationTables(all: readonly ProgramEvaluation[]): Table[] {
  const tables = [
    pathsTable(all, "ordinary"),
    pathsTable(all, "hostile"),
    reasonsTable(all),
    ...hitTables(all),
    vliwTable(all),
    machinesTable(all),
    nicTable(all),
    stateTable(all),
    attackTable(all),
  ];
  return tables.filter(({ rows }) => rows.length > 0);
}

export function asText(tables: readonly Table[]): string {
  return tables.map(textOf).join("\n");
}

export function asMarkdown(tables: readonly Table[]): string {
  return tables
    .map(({ title, columns, rows }) => {
      const lines = [columns, columns.map((_, n) => (n === 0 ? "---" : "---:")), ...rows];
      return `### ${title}\n\n${lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n")}\n`;
    })
    .join("\n");
}

function textOf({ title, columns, rows, endsInText }: Table): string {
  const widths = columns.map((column, n) =>
    Math.max(column.length, ...rows.map((row) => row[n]!.length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, n) => {
        const isText = n === 0 || (endsInText === true && n === columns.length - 1);
        return isText ? cell.padEnd(widths[n]!) : cell.padStart(widths[n]!);
      })
      .join("  ")
      .trimEnd();
  return `${title}\n${[columns, ...rows].map(line).join("\n")}\n`;
}

const nameOf = (one: ProgramEvaluation): string =>
  one.object === one.program ? one.program : `${one.object} ${one.program}`;

function pathsTable(all: readonly ProgramEvaluation[], traffic: "ordinary" | "hostile"): Table {
  return {
    title: `T3 Paths and traces, ${traffic} packets`,
    columns: [
      "program",
      "packets",
      "paths",
      "traces",
      "90/99/99.9 %",
      "host only %",
      "instructions",
      "atoms",
      "TCAM bits",
      "of all",
      "ternary %",
    ],
    rows: all.flatMap((one) => {
      const paths = one.paths?.[traffic];
      if (paths === null || paths === undefined) return [];
      return [
        [
          nameOf(one),
          String(paths.packets),
          String(paths.paths),
          String(paths.merged),
          paths.cover.join("/"),
          percent(paths.hostOnly),
          fixed(paths.executed),
          fixed(paths.atoms),
          whole(paths.tcamBits),
          whole(paths.tcamBitsOfAll),
          percent(paths.ternary, 0),
        ],
      ];
    }),
  };
}

function reasonsTable(all: readonly ProgramEvaluation[]): Table {
  return {
    title: "T3 Why packets are the host's",
    columns: ["program", "traffic", "packets", "why"],
    endsInText: true,
    rows: all.flatMap((one) =>
      (["ordinary", "hostile"] as const).flatMap((traffic) =>
        (one.paths?.[traffic]?.hostReasons ?? []).map(({ packets, reason, source }) => [
          nameOf(one),
          traffic,
          String(packets),
          source === null ? reason : `${reason} (${source})`,
        ]),
      ),
    ),
  };
}

const UNITS = [
  ["ordinary", "merged"],
  ["ordinary", "path"],
  ["hostile", "merged"],
  ["hostile", "path"],
] as const;

/** Tables for each kind of traffic and unit: a line a program and policy, a column a size. */
function hitTables(all: readonly ProgramEvaluation[]): Table[] {
  return UNITS.flatMap(([traffic, unit]) => {
    const what = `${traffic} packets, ${unit === "merged" ? "an entry a trace" : "an entry a path"}`;
    const rowsOf = (one: ProgramEvaluation): readonly HitRow[] =>
      one.cache.filter((row) => row.unit === unit && row.traffic === traffic);
    return [
      hitTable(all, rowsOf, "entries", `T3 Hits in percent by entries, ${what}`),
      bitsTable(all, rowsOf, `T3 TCAM bits in use at most, by entries, ${what}, any policy`),
      hitTable(all, rowsOf, "tcamBits", `T3 Hits in percent by TCAM bits, ${what}`),
    ];
  });
}

type RowsOf = (one: ProgramEvaluation) => readonly HitRow[];
type Capacity = "entries" | "tcamBits";

function sizesOf(all: readonly ProgramEvaluation[], rowsOf: RowsOf, of: Capacity): number[] {
  return [...new Set(all.flatMap((one) => rowsOf(one).flatMap((row) => row[of] ?? [])))];
}

function hitTable(
  all: readonly ProgramEvaluation[],
  rowsOf: RowsOf,
  of: Capacity,
  title: string,
): Table {
  const sizes = sizesOf(all, rowsOf, of);
  return {
    title,
    columns: ["program", "policy", ...sizes.map(String)],
    rows: all.flatMap((one) => {
      const rows = rowsOf(one).filter((row) => row[of] !== undefined);
      return [...new Set(rows.map(({ policy }) => policy))].map((policy) => [
        nameOf(one),
        policy,
        ...sizes.map((size) => {
          const row = rows.find((r) => r.policy === policy && r[of] === size);
          return row === undefined ? "" : percent(row.hitRate);
        }),
      ]);
    }),
  };
}

/** How large a TCAM for so many entries has to be: of all policies the one that needs most. */
function bitsTable(all: readonly ProgramEvaluation[], rowsOf: RowsOf, title: string): Table {
  const sizes = sizesOf(all, rowsOf, "entries");
  return {
    title,
    columns: ["program", ...sizes.map(String)],
    rows: all.flatMap((one) => {
      const rows = rowsOf(one);
      if (rows.length === 0) return [];
      const most = (size: number): number =>
        Math.max(...rows.filter((r) => r.entries === size).map((r) => r.mostTcamBits));
      return [[nameOf(one), ...sizes.map((size) => String(most(size)))]];
    }),
  };
}

function vliwTable(all: readonly ProgramEvaluation[]): Table {
  return {
    title: "T5 Cycles a packet: 4 lanes, 2 memory ports, lookup 4 cycles, 156.25 MHz",
    columns: [
      "program",
      "words",
      "rows",
      "executed",
      "operations",
      "cycles",
      "executed/cycle",
      "Mpps",
    ],
    rows: all.flatMap((one) => {
      const { vliw } = one;
      if (vliw === null) return [];
      return [
        [
          nameOf(one),
          String(vliw.programInstructions),
          String(vliw.programRows),
          fixed(vliw.executed),
          fixed(vliw.operations),
          fixed(vliw.cycles),
          fixed(vliw.executed / vliw.cycles),
          fixed(vliw.mpps),
        ],
      ];
    }),
  };
}

function machinesTable(all: readonly ProgramEvaluation[]): Table {
  const { machines } = all.find((one) => one.machines.length > 0) ?? { machines: [] };
  return {
    title: "T5 Cycles a packet by lanes and cycles of a lookup",
    columns: ["program", ...machines.map((m) => `${m.lanes} lanes, ${m.lookupCycles}`)],
    rows: all
      .filter((one) => one.machines.length > 0)
      .map((one) => [nameOf(one), ...one.machines.map(({ cycles }) => fixed(cycles))]),
  };
}

function nicTable(all: readonly ProgramEvaluation[]): Table {
  return {
    title: "The NIC and its host: LRU, an entry a trace",
    columns: [
      "program",
      "on NIC %",
      "on host %",
      "lost",
      "NIC load %",
      "host load %",
      "NIC p50 ns",
      "p99",
      "host p50 ns",
      "p99",
      "PCIe bytes/packet",
    ],
    rows: all.flatMap((one) => {
      const { nic } = one;
      if (nic === null) return [];
      return [
        [
          nameOf(one),
          percent(nic.onNic / nic.packets),
          percent(nic.onHost / nic.packets),
          String(nic.lostOnHost + nic.lostOnNic),
          percent(nic.nicLoad, 1),
          percent(nic.hostLoad, 1),
          whole(nic.nicLatencyNs.p50),
          whole(nic.nicLatencyNs.p99),
          whole(nic.hostLatencyNs.p50),
          whole(nic.hostLatencyNs.p99),
          fixed(nic.pcieBytes / nic.packets),
        ],
      ];
    }),
  };
}

function stateTable(all: readonly ProgramEvaluation[]): Table {
  return {
    title: "T6 Maps on two sides",
    columns: [
      "program",
      "map",
      "model",
      "updates/s",
      "reads/packet",
      "writes/packet",
      "messages/packet",
      "to host",
      "wait ns/packet",
      "stale",
    ],
    rows: all.flatMap((one) =>
      one.state.map((row) => [
        nameOf(one),
        row.map,
        row.model,
        String(row.updatesPerS),
        fixed(row.readsPerPacket, 2),
        fixed(row.writesPerPacket, 2),
        fixed(row.messagesPerPacket, 4),
        String(row.redirected),
        fixed(row.waitNs),
        String(row.staleReads + row.misplaced),
      ]),
    ),
  };
}

function attackTable(all: readonly ProgramEvaluation[]): Table {
  return {
    title: "T7 Thrash attack: one packet a path, round and round, between ordinary packets",
    columns: [
      "program",
      "entry",
      "policy",
      "host % before",
      "during",
      "after",
      "host load %",
      "lost",
      "installed",
      "recovery, packets",
    ],
    rows: all.flatMap((one) =>
      one.attack.map((row) => [
        nameOf(one),
        row.unit === "path" ? "path" : "trace",
        row.policy,
        percent(row.missBefore),
        percent(row.missDuring),
        percent(row.missAfter),
        percent(row.hostLoad, 1),
        String(row.lost),
        String(row.installed),
        String(row.recoveryPackets),
      ]),
    ),
  };
}
