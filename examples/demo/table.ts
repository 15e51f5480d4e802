/**
 * The demo's table: one line a contestant, the first the baseline; the others' figures carry how
 * many times faster or slower they are.
 */
import type { Result } from "./work.js";

interface Column {
  readonly title: string;
  readonly what: string;
  readonly value: (r: Result) => number;
  readonly text: (v: number) => string;
  readonly smallerIsBetter: boolean;
}

const inMicroseconds = (v: number): string => `${v < 10 ? v.toFixed(1) : v.toFixed(0)} us`;

const COLUMNS: readonly Column[] = [
  {
    title: "UDP round trip",
    what: "64 bytes",
    value: (r) => r.udpRoundTripUs,
    text: inMicroseconds,
    smallerIsBetter: true,
  },
  {
    title: "TCP transfer",
    what: "bulk, one way",
    value: (r) => r.tcpGbitPerS,
    text: (v) => `${v.toFixed(1)} Gbit/s`,
    smallerIsBetter: false,
  },
  {
    title: "HTTP request",
    what: "GET, kept alive",
    value: (r) => r.httpRequestUs,
    text: inMicroseconds,
    smallerIsBetter: true,
  },
];

const Style = { BOLD: 1, RED: 31, GREEN: 32, DIM: 2 } as const;

/** A cell's text and how to paint it. */
interface Cell {
  readonly text: string;
  readonly style: number | null;
}

const plain = (text: string): Cell => ({ text, style: null });

/** The first result is the baseline. */
export function formatTable(results: readonly Result[], hasColor: boolean): string {
  const baseline = results[0]!;
  const rows: Cell[][] = [
    [plain(""), ...COLUMNS.map((c) => ({ text: c.title, style: Style.BOLD }))],
    [plain(""), ...COLUMNS.map((c) => ({ text: c.what, style: Style.DIM }))],
  ];
  for (const r of results) {
    rows.push([plain(r.name), ...COLUMNS.map((c) => figure(c, c.value(r), c.value(baseline)))]);
    if (r.polledUdpRoundTripUs === null) continue;
    const polled = figure(COLUMNS[0]!, r.polledUdpRoundTripUs, baseline.udpRoundTripUs);
    rows.push([plain("  the same, polled sockets"), polled]);
  }
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]?.text.length ?? 0)));
  return rows.map((row) => line(row, widths, hasColor)).join("\n");
}

/** `12 us  4.8x faster`; the baseline's figures without the rest. */
function figure(column: Column, ours: number, theirs: number): Cell {
  const text = column.text(ours);
  if (ours === theirs) return plain(text);
  const times = column.smallerIsBetter ? theirs / ours : ours / theirs;
  if (times > 0.95 && times < 1.05) return plain(`${text}  the same`);
  const isFaster = times >= 1;
  const ratio = isFaster ? times : 1 / times;
  const words = `${ratio.toFixed(ratio < 10 ? 1 : 0)}x ${isFaster ? "faster" : "slower"}`;
  return { text: `${text}  ${words}`, style: isFaster ? Style.GREEN : Style.RED };
}

function line(row: readonly Cell[], widths: readonly number[], hasColor: boolean): string {
  return row
    .map(({ text, style }, i) => {
      const padding = i === row.length - 1 ? "" : " ".repeat(widths[i]! - text.length);
      const painted = hasColor && style !== null ? `\x1b[${style}m${text}\x1b[0m` : text;
      return painted + padding;
    })
    .join("   ")
    .trimEnd();
}
