/** How `millrace stat` prints sockets: exasock-stat's columns, as wide as what stands in them. */
import type { StatSocket } from "../engine/stat-message.js";

export interface TableOptions {
  readonly extend: boolean;
  readonly why: boolean;
  readonly internals: boolean;
  /** Title and headings. */
  readonly header: boolean;
  /** `servers and established`, `w/o servers`, `only servers`. */
  readonly which: string;
  readonly userName: (uid: number) => string;
}

/** From ss(8)'s words to RFC 9293's. */
const STATE_NAMES: Readonly<Record<string, string>> = {
  ESTAB: "ESTABLISHED",
  "SYN-RECV": "SYN-RECEIVED",
  UNCONN: "-",
};

const HEADINGS = [
  "Proto",
  "Recv-Q",
  "Send-Q",
  "Local Address",
  "Foreign Address",
  "State",
  "Path",
] as const;
const WIDTHS = [5, 8, 8, 24, 24, 12, 8, 12, 10, 8] as const;

export const isListening = (s: StatSocket): boolean =>
  s.protocol === "tcp" ? s.state === "LISTEN" : s.remotePort === 0;

const stateText = (s: StatSocket): string => STATE_NAMES[s.state] ?? s.state;

/** `*:*`, `0.0.0.0:53`, `10.0.0.1:53`, `[fd00::1]:53`: as `ss` has it. */
function endpointText(address: string, port: number): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port === 0 ? "*" : port}`;
}

const local = (s: StatSocket): string => endpointText(s.localAddress, s.localPort);
const remote = (s: StatSocket): string => endpointText(s.remoteAddress, s.remotePort);
const pathText = (s: StatSocket): string => (s.accelerated ? "millrace" : "kernel");
const holdersText = (s: StatSocket): string =>
  s.holders.map(({ pid, fd }) => `${pid}:${fd}`).join(",") || "-";
const programsText = (s: StatSocket): string =>
  [...new Set(s.holders.map(({ program }) => program))].join(",") || "-";

/** Of listeners the longest queue; the kernel's tables do not say it of its own. */
const sendQText = (s: StatSocket): string =>
  s.state === "LISTEN" && !s.accelerated ? "N/A" : String(s.sendQ);

function cellsOf(s: StatSocket, o: TableOptions): string[] {
  const cells = [s.protocol.toUpperCase(), String(s.recvQ), sendQText(s)];
  cells.push(local(s), remote(s), stateText(s), pathText(s));
  if (o.extend) cells.push(o.userName(s.uid), holdersText(s), programsText(s));
  if (o.why) cells.push(s.reason);
  return cells;
}

/** TCP listeners, TCP connections, UDP without a peer, UDP with one. */
function rank(s: StatSocket): number {
  return (s.protocol === "tcp" ? 0 : 2) + (isListening(s) ? 0 : 1);
}

/** The whole table, with its title. */
export function formatTable(sockets: readonly StatSocket[], o: TableOptions): string {
  const headings: string[] = [...HEADINGS];
  if (o.extend) headings.push("User", "PID:FD", "Program");
  if (o.why) headings.push("Why");
  const sorted = [...sockets].sort((a, b) => rank(a) - rank(b));
  const rows = sorted.map((socket) => cellsOf(socket, o));
  const widths = headings.map((heading, i) =>
    Math.max(heading.length, WIDTHS[i] ?? 0, ...rows.map((row) => row[i]!.length)),
  );
  const line = (cells: readonly string[]): string =>
    ` ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")}`.trimEnd();
  const lines: string[] = [];
  if (o.header) lines.push(`Sockets of programs under Millrace (${o.which}):`, line(headings));
  for (const [i, row] of rows.entries()) {
    lines.push(line(row));
    if (o.internals) lines.push(...internals(sorted[i]!, "     "));
  }
  return lines.map((text) => `${text}\n`).join("");
}

/** One socket, all of it. */
export function formatSocket(s: StatSocket, pidFd: string, o: TableOptions): string {
  const lines = [
    `Socket (PID:FD): ${pidFd}`,
    `    Proto: ${s.protocol.toUpperCase()}  State: ${stateText(s)}  Path: ${pathText(s)}`,
    `    Why: ${s.reason}`,
    `    Local Address: ${local(s)}`,
    `    Foreign Address: ${remote(s)}`,
    `    Recv-Q: ${s.recvQ}  Send-Q: ${sendQText(s)}`,
    `    User: ${o.userName(s.uid)}  Program: ${programsText(s)}`,
  ];
  if (o.internals) lines.push(...internals(s, "    "));
  return `${lines.join("\n")}\n`;
}

/** The block of `-i`. */
function internals(s: StatSocket, indent: string): string[] {
  if (!s.accelerated) return [];
  const lines = [`Rx Bytes: ${s.rxBytes}  Tx Bytes: ${s.txBytes}  Drops: ${s.drops}`];
  const t = s.tcp;
  if (t !== undefined && s.state !== "LISTEN") {
    const get = (name: string): number => t[name] ?? 0;
    lines.push(
      `Tx Acked: ${get("bytesAcked")}  Segments (Tx,Rx): ${get("segsOut")},${get("segsIn")}`,
      `Retransmitted Segments: ${get("totalRetrans")}  Retransmitted Bytes: ${get("bytesRetrans")}`,
      `Window (peer,local): ${get("sndWndBytes")},${get("rcvWndBytes")}  Scale (peer,local): ${get("sndWscale")},${get("rcvWscale")}`,
      `Congestion Window: ${get("sndCwnd")}  Slow Start Threshold: ${get("sndSsthresh")}  MSS (Tx,Rx): ${get("sndMss")},${get("rcvMss")}`,
      `RTT: ${get("rttUs")} us  Variation: ${get("rttVarUs")} us  RTO: ${get("rtoUs")} us`,
    );
  }
  return [`${indent.slice(0, -4)} internal diagnostics:`, ...lines.map((line) => indent + line)];
}
