/** Helpers of XDP programs on the packet, its place and its way on (man 7 bpf-helpers). */
import { EACCES, EFAULT, EINVAL } from "../base/errno.js";
import { argument, type Helper, setResult } from "./helper.js";
import { Ctx, FRAME_HEADER_BYTES, MIN_PACKET_BYTES, type Runtime } from "./runtime.js";
import { XdpVerdict } from "./xdp-verdict.js";

const MAX_META_BYTES = 252;

function setContext(r: Runtime, field: number, value: number): void {
  r.words[(r.contextAt + field) >>> 2] = value;
}

/** Metadata in front of the packet moves along. */
function adjustHead(r: Runtime, delta: number): number {
  const { dataAt, dataMeta } = r;
  const metaBytes = dataAt - dataMeta;
  const to = dataAt + delta;
  const least = r.hardStart + FRAME_HEADER_BYTES + metaBytes;
  if (to < least || to > r.dataEnd - MIN_PACKET_BYTES) return -EINVAL;
  if (metaBytes > 0) r.bytes.copyWithin(dataMeta + delta, dataMeta, dataAt);
  setContext(r, Ctx.DATA_META, dataMeta + delta);
  setContext(r, Ctx.DATA, to);
  return 0;
}

function adjustTail(r: Runtime, delta: number): number {
  const { dataEnd } = r;
  const to = dataEnd + delta;
  if (to > r.hardEnd || to < r.dataAt + MIN_PACKET_BYTES) return -EINVAL;
  if (delta > 0) r.bytes.fill(0, dataEnd, to);
  setContext(r, Ctx.DATA_END, to);
  return 0;
}

function adjustMeta(r: Runtime, delta: number): number {
  const to = r.dataMeta + delta;
  const metaBytes = r.dataAt - to;
  if (to < r.hardStart + FRAME_HEADER_BYTES || metaBytes < 0) return -EINVAL;
  if (metaBytes % 4 !== 0 || metaBytes > MAX_META_BYTES) return -EACCES;
  setContext(r, Ctx.DATA_META, to);
  return 0;
}

function copyPacket(r: Runtime, isStore: boolean): number {
  const offset = argument(r, 2) >>> 0;
  const at = argument(r, 3);
  const lengthBytes = argument(r, 4) >>> 0;
  const { bytes, dataAt } = r;
  if (offset > 0xffff || lengthBytes > 0xffff) return -EFAULT;
  if (offset + lengthBytes > r.dataEnd - dataAt) return -EINVAL;
  const place = dataAt + offset;
  if (isStore) bytes.copyWithin(place, at, at + lengthBytes);
  else bytes.copyWithin(at, place, place + lengthBytes);
  return 0;
}

function redirect(r: Runtime): number {
  const flags = argument(r, 2);
  if (flags !== 0 || r.registers[5] !== 0) return XdpVerdict.ABORTED;
  r.redirect.map = null;
  r.redirect.key = argument(r, 1);
  r.redirect.flags = 0;
  return XdpVerdict.REDIRECT;
}

const FIB_LKUP_RET_NOT_FWDED = 4;
const FIB_PARAMS_BYTES = 64;

function fibLookup(r: Runtime): number {
  const at = argument(r, 2);
  const lengthBytes = argument(r, 3);
  if (lengthBytes < FIB_PARAMS_BYTES) return -EINVAL;
  return r.hooks.fib?.(r, at, lengthBytes, argument(r, 4)) ?? FIB_LKUP_RET_NOT_FWDED;
}

export const PACKET_HELPERS: readonly Helper[] = [
  {
    number: 23,
    name: "redirect",
    arguments: ["anything", "anything"],
    result: "number",
    effect: "pure",
    run: (r) => setResult(r, redirect(r)),
  },
  {
    number: 44,
    name: "xdp_adjust_head",
    arguments: ["context", "anything"],
    result: "number",
    effect: "moves packet",
    run: (r) => setResult(r, adjustHead(r, argument(r, 2))),
  },
  {
    number: 54,
    name: "xdp_adjust_meta",
    arguments: ["context", "anything"],
    result: "number",
    effect: "moves packet",
    run: (r) => setResult(r, adjustMeta(r, argument(r, 2))),
  },
  {
    number: 65,
    name: "xdp_adjust_tail",
    arguments: ["context", "anything"],
    result: "number",
    effect: "moves packet",
    run: (r) => setResult(r, adjustTail(r, argument(r, 2))),
  },
  {
    number: 69,
    name: "fib_lookup",
    isGpl: true,
    arguments: ["context", "memory to fill", "size", "anything"],
    result: "number",
    effect: "input",
    run: (r) => setResult(r, fibLookup(r)),
  },
  {
    number: 188,
    name: "xdp_get_buff_len",
    arguments: ["context"],
    result: "number",
    effect: "pure",
    run: (r) => setResult(r, r.dataEnd - r.dataAt),
  },
  {
    number: 189,
    name: "xdp_load_bytes",
    arguments: ["context", "anything", "memory to fill", "size"],
    result: "number",
    effect: "pure",
    run: (r) => setResult(r, copyPacket(r, false)),
  },
  {
    number: 190,
    name: "xdp_store_bytes",
    arguments: ["context", "anything", "memory", "size"],
    result: "number",
    effect: "writes packet",
    run: (r) => setResult(r, copyPacket(r, true)),
  },
];
