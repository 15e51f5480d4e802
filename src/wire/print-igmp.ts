/** IGMP messages, versions 1 to 3, as text (RFC 1112, RFC 2236, RFC 3376). */
import { i32, u8, u16 } from "../base/bytes.js";
import * as checksums from "../base/checksum.js";
import type { PrintContext } from "./print-context.js";
import { address4, cut, has, hex, span } from "./print-context.js";
import { RECORD_TYPES } from "./print-mld.js";

const QUERY = 0x11;
const REPORT_V1 = 0x12;
const DVMRP = 0x13;
const PIM_V1 = 0x14;
const REPORT_V2 = 0x16;
const LEAVE = 0x17;
const REPORT_V3 = 0x22;
/** A version 3 query is longer than the others (RFC 3376 §7.1). */
const QUERY_V3_BYTES = 12;
/** The usual time to answer, in tenths of a second; it is not worth a word. */
const USUAL_RESPONSE_TENTHS = 100;

export function printIgmp(c: PrintContext, at: number, lengthBytes: number): string {
  if (c.options.quiet) return "igmp";
  if (!has(c, at, 8)) return `igmp ${cut("igmp")}`;
  const verdict = c.options.verbose ? checksumClaim(c, at, lengthBytes) : "";
  return `igmp ${printMessage(c, at, lengthBytes)}${verdict}`;
}

function printMessage(c: PrintContext, at: number, lengthBytes: number): string {
  const { b } = c;
  const type = u8(b, at);
  const group = address4(b, at + 4);
  switch (type) {
    case QUERY:
      if (lengthBytes >= QUERY_V3_BYTES) return `query v3${printQueryV3(c, at)}`;
      return u8(b, at + 1) === 0 ? `query v1${groupV1(c, at)}` : `query v2${printQueryV2(c, at)}`;
    case REPORT_V1:
      return `v1 report ${group}${lengthNote(lengthBytes)}`;
    case REPORT_V2:
      return `v2 report ${group}`;
    case LEAVE:
      return `leave ${group}`;
    case REPORT_V3:
      return `v3 report${printReport(c, at)}`;
    case DVMRP:
      return "dvmrp";
    case PIM_V1:
      return "pimv1";
    default:
      return `igmp-${type}`;
  }
}

const lengthNote = (lengthBytes: number): string =>
  lengthBytes === 8 ? "" : ` [len ${lengthBytes}]`;

function groupV1(c: PrintContext, at: number): string {
  return i32(c.b, at + 4) === 0 ? "" : ` [gaddr ${address4(c.b, at + 4)}]`;
}

function printQueryV2(c: PrintContext, at: number): string {
  const tenths = u8(c.b, at + 1);
  const time = tenths === USUAL_RESPONSE_TENTHS ? "" : ` [max resp time ${tenths}]`;
  return time + groupV1(c, at);
}

/** RFC 3376 §4.1. */
function printQueryV3(c: PrintContext, at: number): string {
  const { b } = c;
  if (!has(c, at, QUERY_V3_BYTES)) return ` ${cut("igmp")}`;
  const code = u8(b, at + 1);
  const tenths = code < 128 ? code : ((code & 15) | 16) << (((code >>> 4) & 7) + 3);
  let text = "";
  if (tenths !== USUAL_RESPONSE_TENTHS) {
    const rest = tenths % 10 === 0 ? "" : `.${tenths % 10}s`;
    const time =
      tenths < 600 ? `${(tenths / 10).toFixed(1)}s` : span(Math.floor(tenths / 10)) + rest;
    text += ` [max resp time ${time}]`;
  }
  const sources = u16(b, at + 10);
  if (i32(b, at + 4) !== 0) {
    text += ` [gaddr ${address4(b, at + 4)}`;
    if (sources > 0)
      text += c.options.verbose ? printSources(c, at + 12, sources) : `, ${sources} source(s)`;
    text += "]";
  }
  return text;
}

function printSources(c: PrintContext, at: number, n: number): string {
  const all: string[] = [];
  for (let i = 0; i < n; i++) {
    if (!has(c, at + i * 4, 4)) return ` {${all.join(" ")} ${cut("igmp")}`;
    all.push(address4(c.b, at + i * 4));
  }
  return ` { ${all.join(" ")} }`;
}

/** RFC 3376 §4.2. */
function printReport(c: PrintContext, at: number): string {
  const { b } = c;
  const records = u16(b, at + 6);
  let text = `, ${records} group record(s)`;
  if (!c.options.verbose) return text;
  let here = at + 8;
  for (let i = 0; i < records; i++) {
    if (!has(c, here, 8)) return `${text} ${cut("igmp")}`;
    const kind = u8(b, here);
    const sources = u16(b, here + 2);
    text += ` [gaddr ${address4(b, here + 4)} ${RECORD_TYPES[kind] ?? `rtype-${kind}`}`;
    if (!has(c, here, 8 + sources * 4)) return `${text} [invalid number of sources ${sources}]`;
    text += `, ${sources} source(s)]`;
    here += 8 + sources * 4 + u8(b, here + 1) * 4;
  }
  return text;
}

function checksumClaim(c: PrintContext, at: number, lengthBytes: number): string {
  if (c.isFragment || !has(c, at, lengthBytes)) return "";
  const right = checksums.fold(checksums.sum(c.b, at, lengthBytes, 0)) === 0xffff;
  return right ? "" : ` bad igmp cksum ${hex(u16(c.b, at + 2), 0)}!`;
}
