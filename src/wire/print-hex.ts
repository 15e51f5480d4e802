/** Bytes as lines of hexadecimal, sixteen a line: `\t0x0010:  d157 f912 …`, with or without text. */
import type { Bytes } from "../base/bytes.js";

const BYTES_PER_LINE = 16;
/** Eight groups of four digits and the spaces between them. */
const GROUPS_WIDTH = 39;

/** The lines for `b[at]` up to `b[end]`, each with a newline before it. */
export function printHex(b: Bytes, at: number, end: number, withText: boolean): string {
  let text = "";
  for (let here = at; here < end; here += BYTES_PER_LINE) {
    const offset = (here - at).toString(16).padStart(4, "0");
    const stop = Math.min(end, here + BYTES_PER_LINE);
    const groups = printGroups(b, here, stop);
    const tail = withText ? `${groups.padEnd(GROUPS_WIDTH)}  ${printText(b, here, stop)}` : groups;
    text += `\n\t0x${offset}:  ${tail}`;
  }
  return text;
}

function printGroups(b: Bytes, at: number, end: number): string {
  const groups: string[] = [];
  for (let here = at; here < end; here += 2) {
    const pair = b.subarray(here, Math.min(end, here + 2));
    groups.push([...pair].map((byte) => byte.toString(16).padStart(2, "0")).join(""));
  }
  return groups.join(" ");
}

function printText(b: Bytes, at: number, end: number): string {
  let text = "";
  for (let here = at; here < end; here++) {
    const byte = b[here]!;
    text += byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".";
  }
  return text;
}
