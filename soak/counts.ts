/** What an engine holds: by its own word, and by the kernel's. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { askEngine } from "../src/cli/stat-client.js";
import type { StatEngine, StatSocket } from "../src/engine/stat-message.js";

/** Counters of the engine's line that must be as before once everybody has gone. */
const HELD = [
  "engine.sessions",
  "engine.sockets",
  "engine.kernelSockets",
  "engine.regions",
  "engine.sharedBytes",
  "stack.freeSmallSlots",
  "stack.freeBigSlots",
  "stack.flows",
  "stack.timers",
  "stack.tcpRows",
  "stack.tcpOrphans",
  "stack.tcpPorts",
  "stack.udpEndpoints",
] as const;
/** Those that a connection in TIME-WAIT is part of. */
const IN_TIME_WAIT: readonly string[] = ["stack.flows", "stack.timers", "stack.tcpRows"];
const TIME_WAITS = "stack.tcpTimeWaits";

export type Counts = Readonly<Record<string, number>>;

/** Asks the engine, and looks into /proc/PID. Throws when it does not answer. */
export async function countsOf(pid: number, statPath: string): Promise<Counts> {
  const lines = await askEngine(statPath, { brief: true });
  const engine = lines?.[0] as StatEngine | undefined;
  if (engine === undefined) throw new Error("the engine is gone");
  const { counters } = engine;
  const counts: Record<string, number> = {};
  for (const name of [...HELD, TIME_WAITS]) counts[name] = counters[name] ?? 0;
  const links = linksOf(pid);
  counts["kernel.descriptors"] = links.filter((link) => !link.startsWith("socket:")).length;
  counts["kernel.sockets"] = links.length - counts["kernel.descriptors"];
  counts["kernel.sharedMemory"] = links.filter((link) => link.startsWith("/memfd:")).length;
  counts["kernel.companions"] = companionsAmong(links);
  counts["kernel.mappings"] = mappingsOf(pid);
  counts.rssBytes = rssOf(pid);
  counts.heapBytes = counters["engine.heapBytes"] ?? 0;
  counts.externalBytes = counters["engine.externalBytes"] ?? 0;
  return counts;
}

/** Reasons that are told: those of most sockets. */
const REASONS = 4;

/**
 * Why sockets stay with the kernel, and whose those are that the engine serves: the reason is often that it has no room,
 * and who has it. A socket without a holder waits in a listener, or its program is dead and it is not cleaned up yet.
 */
export async function straysOf(statPath: string): Promise<string> {
  const lines = (await askEngine(statPath, {})) ?? [];
  const sockets = lines.filter((line): line is StatSocket => line.kind === "socket");
  const reasons = new Map<string, number>();
  let served = 0;
  let unheld = 0;
  let waiting = 0;
  for (const { accelerated, holders, reason, state, recvQ } of sockets) {
    if (!accelerated) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    else served++;
    if (accelerated && holders.length === 0) unheld++;
    if (accelerated && state === "LISTEN") waiting += recvQ;
  }
  const first = [...reasons].sort(([, a], [, b]) => b - a).slice(0, REASONS);
  const told = first.map(([reason, n]) => `${n} ${JSON.stringify(reason)}`).join(", ");
  return `${told} (of ${served} served, ${unheld} without a program, ${waiting} of those to be accepted)`;
}

function linksOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((fd) => {
    try {
      return [readlinkSync(`${folder}/${fd}`)];
    } catch {
      return []; // closed meanwhile
    }
  });
}

/** Sockets of IP that the engine holds in the kernel, beside those that it serves. */
function companionsAmong(links: readonly string[]): number {
  const inodes = new Set<string>();
  for (const table of ["tcp", "tcp6", "udp", "udp6"]) {
    for (const line of readFileSync(`/proc/net/${table}`, "utf8").split("\n").slice(1)) {
      inodes.add(`socket:[${line.trim().split(/\s+/)[9]}]`);
    }
  }
  return links.filter((link) => inodes.has(link)).length;
}

function mappingsOf(pid: number): number {
  return readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .filter((line) => line.includes("/memfd:millrace")).length;
}

function rssOf(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1] ?? 0) * 1_024;
}

/** Whether all programs' things are gone, connections in TIME-WAIT included unless those may stay. */
export function isAtRest(counts: Counts, mayWait: boolean): boolean {
  const timeWaits = counts[TIME_WAITS]!;
  if (timeWaits > 0 && !mayWait) return false;
  return (
    counts["engine.sessions"] === 0 &&
    counts["engine.sockets"] === 0 &&
    counts["stack.tcpRows"] === timeWaits
  );
}

/** What differs, in words; what TIME-WAIT holds is taken out. `slack`: bytes by which some may grow. */
export function leaksBetween(before: Counts, after: Counts, slack: Counts): string[] {
  const leaks: string[] = [];
  for (const name of Object.keys(before)) {
    if (name === TIME_WAITS || name in slack) continue;
    const was = held(before, name);
    const is = held(after, name);
    if (was === is) continue;
    // A port is held by one connection in TIME-WAIT, or by several.
    if (name === "stack.tcpPorts" && is <= after[TIME_WAITS]!) continue;
    leaks.push(`${name}: ${was} before, ${is} after`);
  }
  for (const [name, most] of Object.entries(slack)) {
    const grown = after[name]! - before[name]!;
    if (grown > most) leaks.push(`${name}: ${grown} more than before`);
  }
  return leaks;
}

const held = (counts: Counts, name: string): number =>
  counts[name]! - (IN_TIME_WAIT.includes(name) ? counts[TIME_WAITS]! : 0);
