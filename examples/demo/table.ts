/** The demo's table: one line a contestant, the fastest figure of each column marked. */
import type { Result } from "./work.js";

interface Column {
  readonly title: string;
  readonly value: (r: Result) => number;
  readonly text: (v: number) => string;
  readonly smallerIsBetter: boolean;
}

const COLUMNS: readonly Column[] = [
  {
    title: "UDP 64 B, half round trip",
    value: (r) => r.udpHalfRoundTripUs,
    text: (v) => `${v.toFixed(1)} us`,
    smallerIsBetter: true,
  },
  {
    title: "TCP transfer",
    value: (r) => r.tcpGbitPerS,
    text: (v) => `${v.toFixed(1)} Gbit/s`,
    smallerIsBetter: false,
  },
  {
    title: "HTTP request",
    value: (r) => r.httpUs,
    text: (v) => `${v.toFixed(0)} us`,
    smallerIsBetter: true,
  },
];

/** The last result is the baseline; the others' figures carry how many times better they are. */
export function formatTable(results: readonly Result[]): string {
  const baseline = results.at(-1)!;
  const rows = results.map((r) => [r.name, ...COLUMNS.map((c) => cell(c, r, baseline))]);
  const all = [["", ...COLUMNS.map((c) => c.title)], ...rows];
  const widths = all[0]!.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  return all
    .map((row) =>
      row
        .map((text, i) => text.padEnd(widths[i]!))
        .join("   ")
        .trimEnd(),
    )
    .join("\n");
}

function cell(column: Column, result: Result, baseline: Result): string {
  const [ours, theirs] = [column.value(result), column.value(baseline)];
  if (result === baseline) return column.text(ours);
  const times = column.smallerIsBetter ? theirs / ours : ours / theirs;
  return `${column.text(ours)} (${times.toFixed(1)}x)`;
}
