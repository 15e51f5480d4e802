/** Helpers on numbers, time, text and tail calls (man 7 bpf-helpers). */
import { EINVAL } from "../base/errno.js";
import { argument, type Helper, setResult, setResult64 } from "./helper.js";
import type { Runtime } from "./runtime.js";

/** Sum of 32-bit words, carries added at the end; 0 only when all is 0 (the kernel's csum_partial). */
function partialSum(r: Runtime, at: number, lengthBytes: number, seed: number): number {
  let sum = seed >>> 0;
  for (let i = 0; i < lengthBytes; i += 4) sum += r.view.getUint32(at + i, true);
  return fold32(sum);
}

function fold32(sum: number): number {
  let s = sum;
  while (s > 0xffff_ffff) s = (s % 2 ** 32) + Math.floor(s / 2 ** 32);
  return s;
}

/** To 16 bits, as the kernel returns it from Linux 6.13 on. */
function fold16(sum: number): number {
  let s = (sum & 0xffff) + (sum >>> 16);
  s = (s & 0xffff) + (s >>> 16);
  return s;
}

function checksumDifference(r: Runtime): number {
  const from = argument(r, 1);
  const fromBytes = argument(r, 2);
  const to = argument(r, 3);
  const toBytes = argument(r, 4);
  const seed = argument(r, 5);
  if ((fromBytes | toBytes) & 3) return -EINVAL;
  if (fromBytes !== 0 && toBytes !== 0) {
    const added = partialSum(r, to, toBytes, seed);
    const taken = ~partialSum(r, from, fromBytes, 0) >>> 0;
    return fold16(fold32(added + taken));
  }
  if (toBytes !== 0) return fold16(partialSum(r, to, toBytes, seed));
  if (fromBytes !== 0) return fold16(~partialSum(r, from, fromBytes, ~seed) >>> 0);
  return fold16(seed >>> 0);
}

/** The text at an address up to its zero byte. */
function textAt(r: Runtime, at: number, limit: number): string {
  const bytes = r.bytes.subarray(at, at + limit);
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("latin1");
}

/** The formats of `bpf_trace_printk` that programs use: d i u x p c s, with l, ll, # and a width. */
function format(
  r: Runtime,
  text: string,
  next: (n: number) => readonly [low: number, high: number],
): string {
  let n = 0;
  return text.replaceAll(/%(#?)(0?)(\d*)(l{0,2})([diuxXpcs%])/g, (...match) => {
    const [, sharp, zero, width, long, kind] = match as string[];
    if (kind === "%") return "%";
    const [low, high] = next(n++);
    const shown = show(r, kind!, low, high, long === "" && kind !== "p");
    return ((sharp === "" ? "" : "0x") + shown).padStart(Number(width), zero === "0" ? "0" : " ");
  });
}

function show(r: Runtime, kind: string, low: number, high: number, is32: boolean): string {
  if (kind === "c") return String.fromCharCode(low & 0xff);
  if (kind === "s") return textAt(r, low, 512);
  const all = is32 ? BigInt(low >>> 0) : (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  if (kind === "d" || kind === "i") return String(BigInt.asIntN(is32 ? 32 : 64, all));
  return kind === "u" ? String(all) : all.toString(16);
}

function tracePrintk(r: Runtime): number {
  const text = textAt(r, argument(r, 1), argument(r, 2));
  const line = format(r, text, (n) => [r.registers[6 + 2 * n] ?? 0, r.registers[7 + 2 * n] ?? 0]);
  r.hooks.print?.(line);
  return line.length;
}

/** The arguments are an array of 64-bit numbers in memory. */
function traceVprintk(r: Runtime): number {
  const text = textAt(r, argument(r, 1), argument(r, 2));
  const at = argument(r, 3);
  const count = argument(r, 4) / 8;
  const line = format(r, text, (n) =>
    n < count ? [r.view.getInt32(at + 8 * n, true), r.view.getInt32(at + 8 * n + 4, true)] : [0, 0],
  );
  r.hooks.print?.(line);
  return line.length;
}

function compareText(r: Runtime): number {
  const [a, limit, b] = [argument(r, 1), argument(r, 2) >>> 0, argument(r, 3)];
  for (let i = 0; i < limit; i++) {
    const [x, y] = [r.bytes[a + i]!, r.bytes[b + i]!];
    if (x !== y) return x < y ? -1 : 1;
    if (x === 0) return 0;
  }
  return 0;
}

const NS_PER_JIFFY = 4_000_000n;

function jiffies(r: Runtime): void {
  const ns = (BigInt(r.nowHigh >>> 0) << 32n) | BigInt(r.nowLow >>> 0);
  const value = ns / NS_PER_JIFFY;
  setResult64(r, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
}

const clock = (number: number, name: string): Helper => ({
  number,
  name,
  arguments: [],
  result: "number",
  effect: "input",
  run: (r) => setResult64(r, r.nowLow, r.nowHigh),
});

export const OTHER_HELPERS: readonly Helper[] = [
  clock(5, "ktime_get_ns"),
  {
    number: 6,
    name: "trace_printk",
    isGpl: true,
    arguments: ["memory", "size", "ignored", "ignored", "ignored"],
    result: "number",
    effect: "output",
    run: (r) => setResult(r, tracePrintk(r)),
  },
  {
    number: 7,
    name: "get_prandom_u32",
    arguments: [],
    result: "number",
    effect: "input",
    run: (r) => setResult64(r, r.random.int32(), 0),
  },
  {
    number: 8,
    name: "get_smp_processor_id",
    arguments: [],
    result: "number",
    effect: "input",
    run: (r) => setResult(r, r.cpu),
  },
  {
    number: 12,
    name: "tail_call",
    arguments: ["context", "map", "anything"],
    result: "number",
    effect: "control",
    run: (r) => setResult(r, -EINVAL), // engines do it themselves
  },
  {
    number: 28,
    name: "csum_diff",
    arguments: ["memory or null", "size or 0", "memory or null", "size or 0", "anything"],
    result: "number",
    effect: "pure",
    run: (r) => setResult(r, checksumDifference(r)),
  },
  {
    number: 42,
    name: "get_numa_node_id",
    arguments: [],
    result: "number",
    effect: "input",
    run: (r) => setResult(r, 0),
  },
  { ...clock(118, "jiffies64"), run: jiffies },
  clock(125, "ktime_get_boot_ns"),
  clock(160, "ktime_get_coarse_ns"),
  {
    number: 177,
    name: "trace_vprintk",
    isGpl: true,
    arguments: ["memory", "size", "memory or null", "size or 0"],
    result: "number",
    effect: "output",
    run: (r) => setResult(r, traceVprintk(r)),
  },
  {
    number: 182,
    name: "strncmp",
    arguments: ["memory", "size", "text"],
    result: "number",
    effect: "pure",
    run: (r) => setResult(r, compareText(r)),
  },
  clock(208, "ktime_get_tai_ns"),
];
