/**
 * Test scripts in a packetdrill-like notation: what a peer sends, what the tested host must send,
 * and what the program on the tested host does, line by line.
 *
 *     listen
 *     +0    < S 0:0(0) win 65535 <mss 1000,sackOK>
 *     +0    > S. 0:0(0) ack 1 <...>
 *     +0.1  < . 1:1(0) ack 1 win 257
 *     accept
 *     write 1000
 *     +0    > P. 1:1001(1000) ack 1
 *     +0.05 > nothing
 *
 * A line is an optional time and an action; `//` and `#` start comments. Times are seconds after the
 * previous line. `+0.2~0.4` is a range (for `>`), `+*` any time up to five seconds.
 *
 * | action                      | meaning                                                     |
 * |-----------------------------|-------------------------------------------------------------|
 * | `< SEGMENT`                 | the peer sends it                                           |
 * | `> SEGMENT`                 | the tested host sends it, at that time, and nothing before  |
 * | `> nothing`                 | the tested host has sent nothing for that long              |
 * | `> anything`                | what it has sent so far may be what it likes                |
 * | `< icmp KIND [N] [seq N]`   | the peer sends an ICMP error about the last segment it got  |
 * | `conn N`                    | the following lines are about connection N (1 at first)     |
 * | `NAME ARGUMENTS [= RESULT]` | the program calls; the result is a number or an errno name  |
 *
 * A segment is `[WORDS] FLAGS SEQ:END(LENGTH) [ack N] [win N] [urg N] [<OPTIONS>]`. Flags are letters
 * of `SFRPUEW` and `.` for ACK, or `-` for none. Sequence numbers count from the sender's initial
 * one. What a `>` line leaves out is not compared, a `P` included; `<...>` says so for options.
 *
 * Words stand in brackets. Both ways: `noecn`, `ect0`, `ect1`, `ce`, the ECN field. Sent: `badsum`, a
 * wrong checksum; `rsv`, reserved bits set; `doff=N`, a data offset that lies; `port=N`, to another
 * port; `sport=N`, from another port. Expected: `rawseq=N`, the sequence number itself; `anyack`, an
 * ACK bit and number beside a RST do not matter.
 *
 * A script also fails when Millrace takes back window that it has offered (RFC 9293 §3.8.6, SHLD-14).
 */
import { US_PER_S } from "../base/time.js";

export interface ScriptSegment {
  /** What stood in brackets. */
  readonly words: readonly string[];
  /** As written: letters of `SFRPUEW.` */
  readonly flags: string;
  readonly seq: number;
  readonly length: number;
  readonly ack: number | null;
  readonly window: number | null;
  readonly urgent: number | null;
  /** Null when any options will do. */
  readonly options: readonly ScriptOption[] | null;
}

export type ScriptOption =
  | { readonly kind: "mss"; readonly value: number }
  | { readonly kind: "wscale"; readonly value: number }
  | { readonly kind: "sackOK" }
  | { readonly kind: "nop" }
  | { readonly kind: "eol" }
  /** Bytes as they are, for options that are unknown or malformed. */
  | { readonly kind: "raw"; readonly hex: string }
  /** `null`: any value (`>`), or the last one seen from the host (`<`, ecr only). */
  | { readonly kind: "TS"; readonly val: number | null; readonly ecr: number | null }
  | { readonly kind: "sack"; readonly blocks: readonly (readonly [left: number, right: number])[] };

export type ScriptAction =
  | { readonly kind: "send"; readonly segment: ScriptSegment }
  | { readonly kind: "expect"; readonly segment: ScriptSegment }
  | { readonly kind: "nothing" }
  | { readonly kind: "anything" }
  | {
      readonly kind: "icmp";
      readonly name: string;
      readonly value: number;
      /** Sequence number that the quotation has, when it is not the segment's own. */
      readonly seq: number | null;
    }
  | { readonly kind: "conn"; readonly number: number }
  | {
      readonly kind: "call";
      readonly name: string;
      readonly args: readonly string[];
      readonly result: string | null;
    };

export interface ScriptStep {
  readonly line: number;
  readonly text: string;
  /** Earliest and latest time after the previous step, in microseconds. */
  readonly fromUs: number;
  readonly toUs: number;
  readonly action: ScriptAction;
}

/** A mistake in a script: names the line, the column and what was expected there. */
export class ScriptError extends Error {
  override readonly name = "ScriptError";
}

/** Longest wait of a `+*` line. */
export const ANY_TIME_US: number = 5 * US_PER_S;

/** Parses a script; throws {@link ScriptError}. */
export function parseScript(text: string, name = "script"): ScriptStep[] {
  const steps: ScriptStep[] = [];
  for (const [i, raw] of text.split("\n").entries()) {
    const line = raw.replace(/(\/\/|#).*$/, "").trim();
    if (line === "") continue;
    steps.push(new LineParser(line, i + 1, name).step());
  }
  return steps;
}

/** Reads one line from left to right. */
class LineParser {
  private readonly line: string;
  private readonly number: number;
  private readonly name: string;
  private at = 0;

  constructor(line: string, number: number, name: string) {
    this.line = line;
    this.number = number;
    this.name = name;
  }

  step(): ScriptStep {
    const [fromUs, toUs] = this.time();
    const action = this.action();
    this.space();
    if (this.at < this.line.length) this.fail("the end of the line");
    return { line: this.number, text: this.line, fromUs, toUs, action };
  }

  private time(): readonly [number, number] {
    if (this.match(/^\+\*/) !== null) return [0, ANY_TIME_US];
    const m = this.match(/^\+(\d*\.?\d+)(?:~(\d*\.?\d+))?/);
    if (m === null) return [0, 0];
    const fromUs = Math.round(Number(m[1]) * US_PER_S);
    return [fromUs, m[2] === undefined ? fromUs : Math.round(Number(m[2]) * US_PER_S)];
  }

  private action(): ScriptAction {
    if (this.match(/^</) !== null) {
      const icmp = this.match(/^icmp\s+([a-z-]+)(?:\s+(\d+))?(?:\s+seq\s+(\d+))?/);
      if (icmp !== null) {
        const seq = icmp[3] === undefined ? null : Number(icmp[3]);
        return { kind: "icmp", name: icmp[1]!, value: Number(icmp[2] ?? 0), seq };
      }
      return { kind: "send", segment: this.segment() };
    }
    if (this.match(/^>/) !== null) {
      if (this.match(/^nothing\b/) !== null) return { kind: "nothing" };
      if (this.match(/^anything\b/) !== null) return { kind: "anything" };
      return { kind: "expect", segment: this.segment() };
    }
    const conn = this.match(/^conn\s+(\d+)/);
    if (conn !== null) return { kind: "conn", number: Number(conn[1]) };
    return this.call();
  }

  private call(): ScriptAction {
    const name = this.match(/^[a-z_]+/);
    if (name === null) this.fail("`<`, `>` or the name of a call");
    const rest = this.match(/^[^=]*/)![0]!.trim();
    const result = this.match(/^=\s*(\S+)/);
    const args = rest === "" ? [] : rest.split(/\s+/);
    return { kind: "call", name: name![0]!, args, result: result === null ? null : result[1]! };
  }

  private segment(): ScriptSegment {
    const words = this.match(/^\[([^\]]*)\]/);
    const flags = this.match(/^(?:-|[SFRPUEW.]+)/);
    if (flags === null) this.fail("flags, of the letters SFRPUEW and `.`, or `-`");
    const range = this.match(/^(\d+):(\d+)\((\d+)\)/);
    if (range === null) this.fail("a sequence range such as 1:1001(1000)");
    const [seq, end, length] = [Number(range![1]), Number(range![2]), Number(range![3])];
    if (end - seq !== length) this.fail(`a range whose length is ${end - seq}`);
    const number = (word: RegExp): number | null => {
      const m = this.match(word);
      return m === null ? null : Number(m[1]);
    };
    const ack = number(/^ack\s+(\d+)/);
    const window = number(/^win\s+(\d+)/);
    const urgent = number(/^urg\s+(\d+)/);
    return {
      words: words === null ? [] : words[1]!.trim().split(/\s+/),
      flags: flags![0]!,
      seq,
      length,
      ack,
      window,
      urgent,
      options: this.options(),
    };
  }

  private options(): ScriptOption[] | null {
    if (this.match(/^<\.\.\.>/) !== null) return null;
    if (this.match(/^</) === null) return null;
    const out: ScriptOption[] = [];
    while (this.match(/^>/) === null) {
      out.push(this.option());
      this.match(/^,/);
      if (this.at >= this.line.length) this.fail("`>` after the options");
    }
    return out;
  }

  private option(): ScriptOption {
    let m = this.match(/^(mss|wscale)\s+(\d+)/);
    if (m !== null) return { kind: m[1] as "mss" | "wscale", value: Number(m[2]) };
    m = this.match(/^(sackOK|nop|eol)\b/);
    if (m !== null) return { kind: m[1] as "sackOK" | "nop" | "eol" };
    m = this.match(/^raw\s+((?:[0-9a-f]{2})+)/);
    if (m !== null) return { kind: "raw", hex: m[1]! };
    m = this.match(/^TS\s+val\s+(\d+|\*)\s+ecr\s+(\d+|\*|last)/);
    if (m !== null) {
      const value = (text: string): number | null => (/^\d/.test(text) ? Number(text) : null);
      return { kind: "TS", val: value(m[1]!), ecr: value(m[2]!) };
    }
    m = this.match(/^sack((?:\s+\d+:\d+)+)/);
    if (m !== null) {
      const blocks = m[1]!.trim().split(/\s+/);
      const pair = (text: string): [number, number] =>
        text.split(":").map(Number) as [number, number];
      return { kind: "sack", blocks: blocks.map(pair) };
    }
    return this.fail(
      "an option: mss N, wscale N, sackOK, nop, eol, TS val N ecr N, sack A:B, raw HEX",
    );
  }

  private space(): void {
    while (this.line[this.at] === " " || this.line[this.at] === "\t") this.at++;
  }

  private match(pattern: RegExp): RegExpMatchArray | null {
    this.space();
    const m = this.line.slice(this.at).match(pattern);
    if (m !== null) this.at += m[0].length;
    return m;
  }

  private fail(expected: string): never {
    const where = `${this.name}:${this.number}:${this.at + 1}`;
    throw new ScriptError(
      `${where}: expected ${expected}, got ${JSON.stringify(this.line.slice(this.at))}`,
    );
  }
}
