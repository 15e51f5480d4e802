/** TCP options as text: `mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7`. */
import { i32, u8, u16, u32 } from "../base/bytes.js";
import type { PrintContext } from "./print-context.js";
import { cut, has, hex } from "./print-context.js";
import * as tcp from "./tcp.js";

const EOL = 0;
const NOP = 1;
const MSS = 2;
const WSCALE = 3;
const SACK_OK = 4;
const SACK = 5;
const TIMESTAMPS = 8;
const MD5 = 19;
const USER_TIMEOUT = 28;
const FAST_OPEN = 34;
const EXPERIMENT = 254;
/** RFC 7413 §4.1.1 appendix A: how fast open was announced before it had a number. */
const FAST_OPEN_MAGIC = 0xf989;

/** Lengths that an option must have; others may have any. */
const LENGTHS: ReadonlyMap<number, number> = new Map([
  [MSS, 4],
  [WSCALE, 3],
  [SACK_OK, 2],
  [TIMESTAMPS, 10],
  [MD5, 18],
  [USER_TIMEOUT, 4],
]);

const NAMES: ReadonlyMap<number, string> = new Map([
  [EOL, "eol"],
  [NOP, "nop"],
  [MSS, "mss"],
  [WSCALE, "wscale"],
  [SACK_OK, "sackOK"],
  [SACK, "sack"],
  [6, "echo"],
  [7, "echoreply"],
  [TIMESTAMPS, "TS"],
  [11, "cc"],
  [12, "ccnew"],
  [13, "ccecho"],
  [MD5, "md5"],
  [20, "scps"],
  [USER_TIMEOUT, "uto"],
  [29, "tcp-ao"],
  [30, "mptcp"],
  [FAST_OPEN, "tfo"],
]);

/** The options of the header at `at`; SACK blocks are counted from `origin`. */
export function printTcpOptions(c: PrintContext, at: number, origin: number): string {
  const end = at + tcp.headerBytes(c.b, at);
  const parts: string[] = [];
  let here = at + tcp.HEADER_BYTES;
  while (here < end) {
    if (!has(c, here, 1)) return [...parts, cut("tcp")].join(",");
    const kind = u8(c.b, here);
    if (kind === EOL || kind === NOP) {
      parts.push(kind === EOL ? "eol" : "nop");
      here++;
      if (kind === EOL) break;
      continue;
    }
    if (here + 1 >= end || !has(c, here, 2)) return [...parts, cut("tcp")].join(",");
    const bytes = u8(c.b, here + 1);
    const name = NAMES.get(kind) ?? (kind === EXPERIMENT ? "exp" : `unknown-${kind}`);
    if (bytes < 2 || here + bytes > end || (LENGTHS.get(kind) ?? bytes) !== bytes) {
      return [...parts, `${name} [bad opt]`].join(",");
    }
    if (!has(c, here, bytes)) return [...parts, name + cut("tcp")].join(",");
    parts.push(printOption(c, kind, name, here + 2, bytes - 2, origin));
    here += bytes;
  }
  return parts.join(",");
}

function printOption(
  c: PrintContext,
  kind: number,
  name: string,
  at: number,
  valueBytes: number,
  origin: number,
): string {
  const { b } = c;
  switch (kind) {
    case MSS:
      return `mss ${u16(b, at)}`;
    case WSCALE:
      return `wscale ${u8(b, at)}`;
    case SACK_OK:
      return "sackOK";
    case SACK:
      return printSack(c, at, valueBytes, origin);
    case TIMESTAMPS:
      return `TS val ${u32(b, at)} ecr ${u32(b, at + 4)}`;
    case USER_TIMEOUT: {
      const value = u16(b, at);
      return `uto 0x${hex(value, 0)}`;
    }
    case FAST_OPEN:
      return printFastOpen(c, "tfo", at, valueBytes);
    case EXPERIMENT:
      if (valueBytes >= 2 && u16(b, at) === FAST_OPEN_MAGIC) {
        return printFastOpen(c, "exp-tfo", at + 2, valueBytes - 2);
      }
      return withBytes(c, "exp", at, valueBytes);
    default:
      return withBytes(c, name, at, valueBytes);
  }
}

/** RFC 2018 §3: pairs of left and right edges. */
function printSack(c: PrintContext, at: number, valueBytes: number, origin: number): string {
  if (valueBytes === 0 || valueBytes % 8 !== 0) return "malformed sack";
  let text = `sack ${valueBytes / 8} `;
  for (let here = at; here < at + valueBytes; here += 8) {
    const left = (i32(c.b, here) - origin) >>> 0;
    const right = (i32(c.b, here + 4) - origin) >>> 0;
    text += `{${left}:${right}}`;
  }
  return text;
}

/** RFC 7413 §4.1.1: an empty cookie is a request for one. */
function printFastOpen(c: PrintContext, name: string, at: number, cookieBytes: number): string {
  if (cookieBytes === 0) return `${name} cookiereq`;
  return `${name} cookie ${digits(c, at, cookieBytes)}`;
}

function withBytes(c: PrintContext, name: string, at: number, n: number): string {
  return n === 0 ? name : `${name} 0x${digits(c, at, n)}`;
}

function digits(c: PrintContext, at: number, n: number): string {
  let text = "";
  for (let i = 0; i < n; i++) text += hex(u8(c.b, at + i), 2);
  return text;
}
