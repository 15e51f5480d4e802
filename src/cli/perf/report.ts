/** What a test found, as text for people and as JSON for programs. */
import type { ClientResult } from "./client.js";
import type { Histogram } from "./histogram.js";
import type { ServerResult } from "./server.js";

/** What was asked for, repeated in every report. */
export interface TestHeader {
  readonly test: string;
  readonly protocol: "udp" | "tcp";
  readonly nic: string;
  readonly address: string;
  readonly port: number;
  readonly messageBytes: number;
  /** Latencies are whole round trips; otherwise half of them. */
  readonly isFullRtt: boolean;
  /** Whether Ctrl-C ended it. */
  readonly isCutShort: boolean;
}

export const PERCENTILES: readonly number[] = [25, 50, 75, 90, 99, 99.9, 99.99, 99.999];

/** Latencies in microseconds, rounded to nanoseconds, under names that carry percentile and unit. */
export function latencyObject(h: Histogram, isFullRtt: boolean): Record<string, number | string> {
  const us = (ns: number): number => Number((ns / (isFullRtt ? 1e3 : 2e3)).toFixed(3));
  const out: Record<string, number | string> = {
    convention: isFullRtt ? "round trip" : "half round trip",
    observations: h.count,
    mean_us: us(h.meanNs),
    deviation_us: us(h.deviationNs),
    min_us: us(h.minNs),
  };
  for (const p of PERCENTILES) out[`p${`${p}`.replace(".", "_")}_us`] = us(h.percentileNs(p));
  out.max_us = us(h.maxNs);
  return out;
}

const rates = (messages: number, bytes: number, ms: number) => ({
  seconds: Number((ms / 1e3).toFixed(6)),
  msgs_per_s: ms > 0 ? Math.round((messages * 1e3) / ms) : 0,
  mbit_per_s: ms > 0 ? Number(((bytes * 8) / 1e3 / ms).toFixed(3)) : 0,
});

const headerObject = (h: TestHeader) => ({
  test: h.test,
  nic: h.nic,
  protocol: h.protocol,
  address: h.address,
  port: h.port,
  cut_short: h.isCutShort,
});

export function clientObject(h: TestHeader, r: ClientResult): object {
  return {
    ...headerObject(h),
    message_bytes: h.messageBytes,
    sent: r.sent,
    replies_wanted: r.repliesWanted,
    received: r.received,
    lost: r.lost,
    duplicated: r.duplicated,
    out_of_order: r.outOfOrder,
    ...rates(r.sent, r.sentBytes, r.elapsedMs),
    ...(r.repliesWanted > 0 ? { latency: latencyObject(r.latency, h.isFullRtt) } : {}),
  };
}

export function serverObject(h: TestHeader, r: ServerResult): object {
  return {
    ...headerObject(h),
    received: r.received,
    answered: r.answered,
    lost: r.lost,
    duplicated: r.duplicated,
    out_of_order: r.outOfOrder,
    strange: r.strange,
    peers: r.peers,
    ...rates(r.received, r.receivedBytes, r.elapsedMs),
  };
}

const whole = (n: number): string => n.toLocaleString("en-US");
const where = (h: TestHeader): string =>
  `${h.address.includes(":") ? `[${h.address}]` : h.address}:${h.port}, ${h.protocol.toUpperCase()}, ${h.nic}`;

export function clientText(h: TestHeader, r: ClientResult): string {
  const rate = rates(r.sent, r.sentBytes, r.elapsedMs);
  const cut = h.isCutShort ? ", stopped early" : "";
  const lines = [
    `${h.test}: ${where(h)}, messages of ${h.messageBytes} bytes, ${rate.seconds.toFixed(3)} s${cut}`,
    `  sent        ${whole(r.sent)}${r.repliesWanted > 0 ? `; replies wanted ${whole(r.repliesWanted)}, received ${whole(r.received)}` : ""}`,
  ];
  if (r.repliesWanted > 0) {
    lines.push(
      `  lost        ${whole(r.lost)}; duplicated ${whole(r.duplicated)}; out of order ${whole(r.outOfOrder)}`,
    );
  }
  lines.push(`  rate        ${whole(rate.msgs_per_s)} messages/s, ${bandwidth(rate.mbit_per_s)}`);
  if (r.latency.count > 0) lines.push(...latencyLines(r.latency, h.isFullRtt));
  return `${lines.join("\n")}\n`;
}

/** Bytes of messages; headers are not counted. */
function bandwidth(mbit: number): string {
  return mbit >= 1e3 ? `${(mbit / 1e3).toFixed(3)} Gbit/s` : `${mbit.toFixed(3)} Mbit/s`;
}

function latencyLines(h: Histogram, isFullRtt: boolean): string[] {
  const us = (ns: number): string => (ns / (isFullRtt ? 1e3 : 2e3)).toFixed(3).padStart(12);
  const line = (name: string, ns: number): string => `    ${name.padEnd(18)}${us(ns)}`;
  return [
    `  latency     ${isFullRtt ? "round trip" : "half round trip"}, µs, ${whole(h.count)} observations`,
    line("mean", h.meanNs),
    line("deviation", h.deviationNs),
    line("minimum", h.minNs),
    ...PERCENTILES.map((p) => line(`percentile ${p}`, h.percentileNs(p))),
    line("maximum", h.maxNs),
  ];
}

export function serverText(h: TestHeader, r: ServerResult): string {
  const rate = rates(r.received, r.receivedBytes, r.elapsedMs);
  const from = h.protocol === "tcp" ? "connections" : "senders";
  const lines = [
    `server: ${where(h)}`,
    `  received    ${whole(r.received)} from ${whole(r.peers)} ${from}; answered ${whole(r.answered)}`,
    `  lost        ${whole(r.lost)}; duplicated ${whole(r.duplicated)}; out of order ${whole(r.outOfOrder)}`,
    `  rate        ${whole(rate.msgs_per_s)} messages/s, ${bandwidth(rate.mbit_per_s)}, from first to last`,
  ];
  if (r.strange > 0) lines.push(`  strange     ${whole(r.strange)} that were no messages`);
  return `${lines.join("\n")}\n`;
}
