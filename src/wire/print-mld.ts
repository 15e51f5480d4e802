/** Multicast listener discovery as text (RFC 2710, RFC 3810), without the leading `ICMP6, `. */
import { u8, u16 } from "../base/bytes.js";
import * as icmpv6 from "./icmpv6.js";
import type { PrintContext } from "./print-context.js";
import { address6, cut, has } from "./print-context.js";

/** A version 2 query is longer than a version 1 one (RFC 3810 §8.1). */
const QUERY_V2_BYTES = 28;
const V1_BYTES = 24;

/** Record types of both families' reports (RFC 3376 §4.2.12, RFC 3810 §5.2.12), from 1. */
export const RECORD_TYPES: readonly string[] = [
  "",
  "is_in",
  "is_ex",
  "to_in",
  "to_ex",
  "allow",
  "block",
];

export function isMld(type: number): boolean {
  return (
    type === icmpv6.MLD_QUERY ||
    type === icmpv6.MLD_REPORT_V1 ||
    type === icmpv6.MLD_DONE ||
    type === icmpv6.MLD_REPORT_V2
  );
}

export function printMld(c: PrintContext, at: number, lengthBytes: number): string {
  const type = icmpv6.type(c.b, at);
  if (type === icmpv6.MLD_REPORT_V2) return `multicast listener report v2${printReport(c, at)}`;
  if (type === icmpv6.MLD_QUERY && lengthBytes >= QUERY_V2_BYTES) {
    return `multicast listener query v2${printQuery(c, at)}`;
  }
  const words = new Map([
    [icmpv6.MLD_QUERY, "query"],
    [icmpv6.MLD_REPORT_V1, "report"],
    [icmpv6.MLD_DONE, "done"],
  ]);
  const name = `multicast listener ${words.get(type)}`;
  if (!has(c, at, V1_BYTES)) return `${name} ${cut("icmp6")}`;
  return `${name} max resp delay: ${u16(c.b, at + 4)} addr: ${address6(c.b, at + 8)}`;
}

/** RFC 3810 §5.1.3: large values are a mantissa and an exponent. */
function responseDelay(code: number): number {
  return code < 32_768 ? code : ((code & 0x0fff) | 0x1000) << (((code >>> 12) & 7) + 3);
}

/** RFC 3810 §5.1. */
function printQuery(c: PrintContext, at: number): string {
  const { b } = c;
  if (!has(c, at, QUERY_V2_BYTES)) return ` ${cut("icmp6")}`;
  const { verbose } = c.options;
  const delay = verbose ? ` [max resp delay=${responseDelay(u16(b, at + 4))}]` : "";
  let text = `${delay} [gaddr ${address6(b, at + 8)}`;
  const sources = u16(b, at + 26);
  if (verbose) {
    if ((u8(b, at + 24) & 8) !== 0) text += " sflag";
    if ((u8(b, at + 24) & 7) !== 0) text += ` robustness=${u8(b, at + 24) & 7}`;
    const code = u8(b, at + 25);
    const interval = code < 128 ? code : ((code & 15) | 16) << (((code >>> 4) & 7) + 3);
    if (interval !== 0) text += ` qqi=${interval}`;
  }
  if (sources > 0) text += `, ${sources} source(s)`;
  return `${text}]`;
}

/** RFC 3810 §5.2. */
function printReport(c: PrintContext, at: number): string {
  const { b } = c;
  if (!has(c, at, 8)) return ` ${cut("icmp6")}`;
  const records = u16(b, at + 6);
  let text = `, ${records} group record(s)`;
  if (!c.options.verbose) return text;
  let here = at + 8;
  for (let i = 0; i < records; i++) {
    if (!has(c, here, 20)) return `${text} ${cut("icmp6")}`;
    const kind = u8(b, here);
    const sources = u16(b, here + 2);
    text += ` [gaddr ${address6(b, here + 4)} ${RECORD_TYPES[kind] ?? `rtype-${kind}`}`;
    if (!has(c, here, 20 + sources * 16)) return `${text} [invalid number of sources ${sources}]`;
    text += `, ${sources} source(s)]`;
    here += 20 + sources * 16 + u8(b, here + 1) * 4;
  }
  return text;
}
