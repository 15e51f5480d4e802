/**
 * Pictures of a histogram: bars in the terminal, or an SVG or HTML file. The axis of times is
 * logarithmic, because latencies spread over decades; so are the bars, because the tail is what one
 * looks for.
 */
import type { Histogram } from "./histogram.js";
import { latencyObject, PERCENTILES } from "./report.js";

/** One bar: times from and to in microseconds, how many fell between. */
export interface Bar {
  readonly fromUs: number;
  readonly toUs: number;
  readonly count: number;
}

/** Gathers the buckets into at most `most` bars of equal width on a logarithmic axis. */
export function bars(h: Histogram, isFullRtt: boolean, most: number): Bar[] {
  const buckets = h.buckets();
  if (buckets.length === 0) return [];
  const divisor = isFullRtt ? 1e3 : 2e3;
  const low = Math.log(Math.max(1, h.minNs));
  const step = Math.max((Math.log(Math.max(2, h.maxNs)) - low) / most, 1e-3);
  const counts = new Float64Array(most);
  for (const { fromNs, toNs, count } of buckets) {
    const middle = Math.max(1, (fromNs + toNs) / 2);
    const i = Math.floor((Math.log(middle) - low) / step);
    counts[Math.min(most - 1, Math.max(0, i))]! += count;
  }
  const edge = (i: number): number => Math.exp(low + i * step) / divisor;
  const all = Array.from(counts, (count, i) => ({ fromUs: edge(i), toUs: edge(i + 1), count }));
  while (all.length > 0 && all.at(-1)!.count === 0) all.pop();
  return all;
}

const TERMINAL_BARS = 24;
const EIGHTHS = " ▏▎▍▌▋▊▉█";

/** Bars for a terminal, logarithmic: one full block is a factor of ten or less. */
export function terminalPlot(h: Histogram, isFullRtt: boolean, columns: number): string {
  const all = bars(h, isFullRtt, TERMINAL_BARS);
  const most = Math.max(...all.map((bar) => bar.count), 1);
  const room = Math.max(10, columns - 32);
  const lines = all.map(({ fromUs, count }) => {
    const share = count === 0 ? 0 : (1 + Math.log10(count)) / (1 + Math.log10(most));
    const eighths = Math.round(share * room * 8);
    const bar = "█".repeat(eighths >> 3) + EIGHTHS[eighths & 7]!.trim();
    return `${fromUs.toFixed(3).padStart(12)} ${bar.padEnd(room)} ${count.toLocaleString("en-US")}`;
  });
  return [`${"from µs".padStart(12)} observations (bars are logarithmic)`, ...lines, ""].join("\n");
}

const WIDTH = 900;
const HEIGHT = 420;
const LEFT = 70;
const BOTTOM = 50;
const TOP = 40;
const FILE_BARS = 160;

/** A picture that stands alone: black on white, or white on black where that is wished for. */
export function svgPlot(h: Histogram, isFullRtt: boolean, title: string): string {
  const all = bars(h, isFullRtt, FILE_BARS);
  const most = Math.max(...all.map((bar) => bar.count), 10);
  const low = Math.log10(all[0]?.fromUs ?? 1);
  const high = Math.log10(all.at(-1)?.toUs ?? 10);
  const x = (us: number): number =>
    LEFT + ((Math.log10(us) - low) / Math.max(high - low, 1e-9)) * (WIDTH - LEFT - 20);
  const y = (count: number): number =>
    HEIGHT - BOTTOM - ((1 + Math.log10(count)) / (1 + Math.log10(most))) * (HEIGHT - BOTTOM - TOP);
  const parts: string[] = [];
  for (const bar of all) {
    if (bar.count === 0) continue;
    const width = Math.max(1, x(bar.toUs) - x(bar.fromUs) - 0.5);
    const height = HEIGHT - BOTTOM - y(bar.count);
    const tip = `${bar.fromUs.toFixed(3)} to ${bar.toUs.toFixed(3)} µs: ${bar.count}`;
    parts.push(
      `<rect x="${fix(x(bar.fromUs))}" y="${fix(y(bar.count))}" width="${fix(width)}" height="${fix(height)}"><title>${tip}</title></rect>`,
    );
  }
  for (let decade = 1; decade <= most; decade *= 10) {
    const at = fix(y(decade));
    parts.push(`<path class="grid" d="M${LEFT} ${at}H${WIDTH - 20}"/>`);
    parts.push(
      `<text x="${LEFT - 8}" y="${at}" class="right">${decade.toLocaleString("en-US")}</text>`,
    );
  }
  for (const us of ticks(low, high)) {
    parts.push(`<text x="${fix(x(us))}" y="${HEIGHT - BOTTOM + 20}" class="middle">${us}</text>`);
  }
  for (const p of [50, 99, 99.9, 99.99]) {
    const us = h.percentileNs(p) / (isFullRtt ? 1e3 : 2e3);
    if (us <= 0) continue;
    parts.push(`<path class="mark" d="M${fix(x(us))} ${TOP}V${HEIGHT - BOTTOM}"/>`);
    parts.push(`<text x="${fix(x(us))}" y="${TOP - 4}" class="middle">p${p}</text>`);
  }
  const axis = `${isFullRtt ? "round trip" : "half round trip"}, µs (both axes logarithmic)`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">
<style>svg{background:#fff;color:#222;font:12px sans-serif}text{fill:currentColor}rect{fill:#2a6fb0}.grid{stroke:currentColor;opacity:.15}.mark{stroke:#c0392b;stroke-dasharray:4 3}.right{text-anchor:end;dominant-baseline:middle}.middle{text-anchor:middle}@media(prefers-color-scheme:dark){svg{background:#161616;color:#ddd}}</style>
<text x="${LEFT}" y="16" font-weight="bold">${escaped(title)}</text>
${parts.join("\n")}
<text x="${WIDTH / 2}" y="${HEIGHT - 8}" class="middle">${axis}</text>
</svg>
`;
}

/** 1, 2 and 5 of every decade, or the decades alone where there are many. */
function ticks(low: number, high: number): number[] {
  const out: number[] = [];
  const steps = high - low > 3 ? [1] : [1, 2, 5];
  for (let decade = Math.floor(low); decade <= high; decade++) {
    for (const step of steps) {
      const us = Number((step * 10 ** decade).toPrecision(1));
      if (Math.log10(us) >= low && Math.log10(us) <= high) out.push(us);
    }
  }
  return out;
}

/** The picture with its figures beneath. */
export function htmlPlot(h: Histogram, isFullRtt: boolean, title: string): string {
  const latency = latencyObject(h, isFullRtt);
  const rows = ["min_us", ...PERCENTILES.map((p) => `p${`${p}`.replace(".", "_")}_us`), "max_us"];
  const cells = rows.map((name) => `<tr><th>${name}</th><td>${latency[name]}</td></tr>`);
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<style>body{font:14px sans-serif;max-width:60em;margin:2em auto;padding:0 1em}table{border-collapse:collapse}th,td{padding:.2em .8em;text-align:right}</style>
${svgPlot(h, isFullRtt, title)}
<p>${latency.observations} observations, ${latency.convention}.</p>
<table>${cells.join("")}</table>
</html>
`;
}

const fix = (v: number): string => v.toFixed(1);
const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
