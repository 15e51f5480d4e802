/**
 * Reads a file of acceleration rules: the grammar of libvma.conf, strictly. A file with a mistake is
 * refused as a whole, and every mistake is told with its line, its column and what was expected.
 *
 *     file      := { statement } ; `#` starts a comment, a statement ends with its line or with the next one
 *     statement := "application-id" PROGRAM ID
 *                | "use" TRANSPORT ROLE endpoint [ ":" endpoint ]
 *                | "log" ...                        accepted, has no effect
 *     endpoint  := ADDRESS [ "/" PREFIX ] ":" PORT [ "-" PORT ]     `*` for any address, any port
 *
 * IPv6 addresses stand in brackets: `[fd00::1]:80`, `[fd00::]/64:*`, `[fd00::/64]:*`.
 *
 * An engine reads texts of programs between two turns, so what a text can cost is bounded: by its statements, and by
 * the length of the names that are compared with wildcards.
 */
import { IpAddress } from "../base/ip-address.js";
import { PlacedError, type Problem } from "../base/placed-error.js";
import { readText } from "../base/read-text.js";
import { clearHostBits, type EndpointMatch, ROLES, type Role, type Rule } from "./rules.js";

/** A file of rules that makes no sense. */
export class RulesError extends PlacedError {
  override readonly name = "RulesError";
}

const ACCELERATING: readonly string[] = ["millrace", "vma", "xlio", "*"];
const STATEMENTS: readonly string[] = ["application-id", "use", "log"];
const LOCAL_ROLES: readonly Role[] = ["tcp_server", "udp_receiver"];
const MAX_PROBLEMS = 20;
/**
 * Measured: 64 KiB of the dearest rules take 127 ms of an engine's turn without this limit, and 20 to 40 with it,
 * by code that runs for the first time (node 20.20, 2 shared cores, 2026-11).
 */
const MAX_STATEMENTS = 1000;
/** The system's program names are shorter. */
const MAX_NAME_CHARS = 64;
/** Of what is there instead of what was expected. */
const MAX_QUOTED_CHARS = 40;

/** Reads rules from a text; `file` is for messages. Throws {@link RulesError}. */
export function parseRules(text: string, file: string): readonly Rule[] {
  const parser = new Parser(file);
  const lines = text.replace(/^\ufeff/, "").split("\n");
  for (const [i, line] of lines.entries()) parser.takeLine(line.replace(/\r$/, ""), i + 1);
  if (parser.problems.length > 0) throw new RulesError(file, parser.problems);
  return parser.rules;
}

/** Reads rules from a file. Throws {@link RulesError}, or the system's error. */
export function readRules(path: string): readonly Rule[] {
  return parseRules(readText(path), path);
}

/** What ends the reading of a line. */
class Mistake extends Error {
  readonly column: number;
  constructor(column: number, text: string) {
    super(text);
    this.column = column;
  }
}

class Parser {
  readonly rules: Rule[] = [];
  readonly problems: Problem[] = [];
  private readonly file: string;
  private program = "*";
  private applicationId = "*";
  private statements = 0;
  private isFull = false;

  constructor(file: string) {
    this.file = file;
  }

  takeLine(line: string, number: number): void {
    if (this.problems.length === MAX_PROBLEMS || this.isFull) return;
    const cursor = new Cursor(line);
    try {
      while (!cursor.isAtEnd()) this.takeStatement(cursor, number);
    } catch (error) {
      if (!(error instanceof Mistake)) throw error;
      this.problems.push({ line: number, column: error.column + 1, text: error.message });
    }
  }

  private takeStatement(cursor: Cursor, line: number): void {
    const startAt = cursor.at;
    if (++this.statements > MAX_STATEMENTS) {
      this.isFull = true;
      throw new Mistake(startAt, `expected at most ${MAX_STATEMENTS} statements in a file`);
    }
    const keyword = cursor.word();
    if (keyword === "application-id") this.takeApplication(cursor);
    else if (keyword === "use") this.takeUse(cursor, startAt, line);
    else if (keyword === "log") takeLog(cursor);
    else cursor.refuse(startAt, 'application-id, use, log or a comment ("#")', keyword);
  }

  private takeApplication(cursor: Cursor): void {
    this.program = cursor.name("a program's name or *");
    this.applicationId = cursor.name("an application id or *");
    cursor.mustEnd();
  }

  private takeUse(cursor: Cursor, startAt: number, line: number): void {
    const transport = cursor.oneOf(
      [...ACCELERATING, "os"],
      "a transport: millrace (or vma, xlio, *) or os",
    );
    const role = cursor.oneOf(ROLES, `a role: ${ROLES.join(", ")}`) as Role;
    const first = cursor.endpoint();
    const colonAt = cursor.at;
    let second: EndpointMatch | null = null;
    if (cursor.takes(":")) {
      if (LOCAL_ROLES.includes(role) || role === "udp_sender") {
        const whose = role === "udp_sender" ? "remote" : "local";
        throw new Mistake(
          colonAt,
          `expected the end of the rule: ${role} has one address and port, the ${whose} one`,
        );
      }
      second = cursor.endpoint();
    }
    const text = cursor.textFrom(startAt);
    cursor.mustEnd();
    this.rules.push({
      program: this.program,
      applicationId: this.applicationId,
      accelerate: transport !== "os",
      role,
      first,
      second,
      source: `${this.file}:${line}: ${text}`,
    });
  }
}

/** `log [destination stderr|syslog|file NAME] [min-level N]`, and the forms that libvma really reads. */
function takeLog(cursor: Cursor): void {
  while (!cursor.isAtEnd() && !STATEMENTS.includes(cursor.peekWord())) {
    const word = cursor.oneOf(["destination", "min-level"], "destination or min-level");
    if (word === "min-level") {
      const at = cursor.skip();
      const level = cursor.word();
      if (!/^\d$/.test(level)) cursor.refuse(at, "a level from 0 to 9", level);
      continue;
    }
    const kind = cursor.oneOf(
      ["stderr", "syslog", "file", "ystderr", "ysyslog", "yfile"],
      "stderr, syslog or file NAME",
    );
    if (kind.endsWith("file")) cursor.path("a file's name");
  }
}

/** A place in one line. Spaces and tabs separate; `#` ends the line wherever a word could start. */
class Cursor {
  at = 0;
  private readonly line: string;

  constructor(line: string) {
    this.line = line;
  }

  skip(): number {
    while (this.line[this.at] === " " || this.line[this.at] === "\t") this.at++;
    return this.at;
  }

  isAtEnd(): boolean {
    const next = this.line[this.skip()];
    return next === undefined || next === "#";
  }

  textFrom(startAt: number): string {
    return this.line.slice(startAt, this.at).replaceAll(/\s+/g, " ");
  }

  /** Up to the next space or comment; empty at the end. */
  word(): string {
    return this.pattern(/[^\s#]*/y);
  }

  peekWord(): string {
    const { at } = this;
    const word = this.word();
    this.at = at;
    return word;
  }

  /** A word that may have a `#` inside. */
  path(expected: string): string {
    const at = this.skip();
    if (this.isAtEnd()) this.refuse(at, expected, "");
    return this.pattern(/\S*/y);
  }

  /** The same, of something whose name is not long. */
  name(expected: string): string {
    const at = this.skip();
    const text = this.path(expected);
    if (text.length > MAX_NAME_CHARS) {
      this.refuse(at, `${expected} of at most ${MAX_NAME_CHARS} characters`, text);
    }
    return text;
  }

  oneOf(words: readonly string[], expected: string): string {
    const at = this.skip();
    const word = this.word();
    if (!words.includes(word)) this.refuse(at, expected, word);
    return word;
  }

  takes(character: string): boolean {
    if (this.line[this.skip()] !== character) return false;
    this.at++;
    return true;
  }

  /** The end, or the next statement. */
  mustEnd(): void {
    if (this.isAtEnd() || STATEMENTS.includes(this.peekWord())) return;
    this.refuse(this.at, "the end of the line", this.peekWord());
  }

  /** `address[/prefix]:ports`. */
  endpoint(): EndpointMatch {
    const address = this.addressMatch();
    const colonAt = this.skip();
    if (!this.takes(":")) this.refuse(colonAt, '":" and a port, a range or *', this.peekWord());
    return { ...address, ...this.ports() };
  }

  private addressMatch(): Pick<EndpointMatch, "prefix" | "prefixBits"> {
    const startAt = this.skip();
    if (this.takes("*")) return { prefix: null, prefixBits: 0 };
    const isBracketed = this.takes("[");
    const textAt = this.at;
    const text = this.pattern(isBracketed ? /[^\]/\s#]*/y : /[^:/\s#]*/y);
    const address = IpAddress.tryParse(text);
    const is6 = text.includes(":");
    if (address === null || is6 !== isBracketed) this.refuseAddress(startAt, textAt, isBracketed);
    const isInside = isBracketed && this.line[this.at] === "/";
    let bits = isInside ? this.prefix(is6) : -1;
    const bracketAt = this.at;
    if (isBracketed && !this.takes("]")) this.refuse(bracketAt, '"]"', this.peekWord());
    if (!isInside && this.line[this.skip()] === "/") bits = this.prefix(is6);
    const all = bits >= 0 ? bits + (is6 ? 0 : 96) : 128;
    return { prefix: clearHostBits(address!, all), prefixBits: all };
  }

  private refuseAddress(startAt: number, textAt: number, isBracketed: boolean): never {
    this.at = isBracketed ? textAt : startAt;
    const got = this.peekWord();
    if (isBracketed) return this.refuse(textAt, "an IPv6 address between the brackets", got);
    const is6 = /^[0-9a-fA-F]*:[0-9a-fA-F.]*:/.test(got);
    const hint = is6 ? "an IPv6 address in brackets, like [fd00::1]:80" : "an address: ";
    return this.refuse(
      startAt,
      is6 ? hint : `${hint}*, four numbers from 0 to 255, or IPv6 in brackets`,
      got,
    );
  }

  /** `/24`, after the address. */
  private prefix(is6: boolean): number {
    this.takes("/");
    const at = this.skip();
    const text = this.pattern(/[^:\]\s#]*/y);
    const most = is6 ? 128 : 32;
    if (!/^(0|[1-9]\d{0,2})$/.test(text) || Number(text) > most)
      this.refuse(at, `a prefix length from 0 to ${most}`, text);
    return Number(text);
  }

  private ports(): Pick<EndpointMatch, "firstPort" | "lastPort"> {
    const at = this.skip();
    if (this.takes("*")) return { firstPort: 0, lastPort: 65_535 };
    const text = this.pattern(/[^:\s#]*/y);
    const expected = "a port from 1 to 65535, a range like 80-90, or *";
    const [, first, last] = /^(0|[1-9]\d{0,4})(?:-(0|[1-9]\d{0,4}))?$/.exec(text) ?? [];
    if (first === undefined) return this.refuse(at, expected, text);
    const firstPort = Number(first);
    const lastPort = last === undefined ? firstPort : Number(last);
    if (Math.max(firstPort, lastPort) > 65_535 || lastPort === 0)
      return this.refuse(at, expected, text);
    if (lastPort < firstPort)
      return this.refuse(at, `a range whose end is not below its start (${last}-${first}?)`, text);
    return { firstPort, lastPort };
  }

  private pattern(sticky: RegExp): string {
    this.skip();
    sticky.lastIndex = this.at;
    const text = sticky.exec(this.line)?.[0] ?? "";
    this.at += text.length;
    return text;
  }

  refuse(at: number, expected: string, got: string): never {
    const isLong = got.length > MAX_QUOTED_CHARS;
    const quoted = JSON.stringify(isLong ? `${got.slice(0, MAX_QUOTED_CHARS)}…` : got);
    const what = got === "" ? "the line ends here" : `got ${quoted}`;
    throw new Mistake(at, `expected ${expected}; ${what}`);
  }
}
