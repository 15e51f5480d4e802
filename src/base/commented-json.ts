/**
 * JSON (RFC 8259) for files that people write: comments (`//` and C's) and a comma after the last element
 * are allowed, a name twice in one object is not. Every value knows its place, so that who reads it
 * can say where a mistake is.
 */
import { PlacedError } from "./placed-error.js";

export interface JsonPlace {
  readonly line: number;
  readonly column: number;
}

export interface JsonMember {
  readonly key: string;
  readonly place: JsonPlace;
  readonly value: JsonNode;
}

export type JsonNode =
  | { readonly kind: "object"; readonly place: JsonPlace; readonly members: readonly JsonMember[] }
  | { readonly kind: "array"; readonly place: JsonPlace; readonly elements: readonly JsonNode[] }
  | { readonly kind: "string"; readonly place: JsonPlace; readonly value: string }
  | { readonly kind: "number"; readonly place: JsonPlace; readonly value: number }
  | { readonly kind: "boolean"; readonly place: JsonPlace; readonly value: boolean }
  | { readonly kind: "null"; readonly place: JsonPlace };

const MAX_DEPTH = 64;

/** Parses a text; `file` is for messages. Throws {@link PlacedError}. */
export function parseCommentedJson(text: string, file: string): JsonNode {
  return new Reader(text, file).document();
}

class Reader {
  private at = 0;
  private depth = 0;
  private readonly text: string;
  private readonly file: string;

  constructor(text: string, file: string) {
    this.text = text;
    this.file = file;
  }

  document(): JsonNode {
    if (this.text[0] === "\ufeff") this.at = 1;
    const node = this.value();
    this.skip();
    if (this.at < this.text.length) this.refuse("the end of the file");
    return node;
  }

  private value(): JsonNode {
    this.skip();
    const place = this.placeOf(this.at);
    const next = this.text[this.at];
    if (next === "{") return { kind: "object", place, members: this.members() };
    if (next === "[") return { kind: "array", place, elements: this.elements() };
    if (next === '"') return { kind: "string", place, value: this.string() };
    const word = this.match(/[^\s,\]}{[:"/]+/y);
    if (word === "true" || word === "false")
      return { kind: "boolean", place, value: word === "true" };
    if (word === "null") return { kind: "null", place };
    if (/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(word))
      return { kind: "number", place, value: Number(word) };
    this.at -= word.length;
    return this.refuse("a value");
  }

  private members(): JsonMember[] {
    const members = new Map<string, JsonMember>();
    this.list("}", 'a name in quotes or "}"', () => {
      const startAt = this.at;
      if (this.text[this.at] !== '"') this.refuse('a name in quotes or "}"');
      const key = this.string();
      if (members.has(key))
        this.refuse(`each name once; ${JSON.stringify(key)} is here twice`, startAt);
      this.skip();
      if (!this.takes(":")) this.refuse('":"');
      members.set(key, { key, place: this.placeOf(startAt), value: this.value() });
    });
    return [...members.values()];
  }

  private elements(): JsonNode[] {
    const elements: JsonNode[] = [];
    this.list("]", 'a value or "]"', () => elements.push(this.value()));
    return elements;
  }

  /** What stands between the brackets, from the opening one on. */
  private list(close: string, expected: string, takeOne: () => void): void {
    if (++this.depth > MAX_DEPTH) this.refuse(`at most ${MAX_DEPTH} levels`);
    this.at++;
    for (;;) {
      this.skip();
      if (this.takes(close)) break;
      if (this.at >= this.text.length) this.refuse(expected);
      takeOne();
      this.skip();
      if (this.takes(",")) continue;
      if (this.takes(close)) break;
      this.refuse(`"," or "${close}"`);
    }
    this.depth--;
  }

  private string(): string {
    const startAt = this.at;
    const raw = this.match(/"(?:[^"\\\n\r]|\\[^\n\r])*"/y);
    if (raw === "") this.refuse("a closing quote in the same line", startAt);
    try {
      return JSON.parse(raw) as string;
    } catch {
      return this.refuse('a string as JSON has it (backslashes are written "\\\\")', startAt);
    }
  }

  /** White space and comments. */
  private skip(): void {
    for (;;) {
      this.match(/[ \t\r\n]+/y);
      if (this.match(/\/\/[^\n]*/y) !== "") continue;
      if (!this.text.startsWith("/*", this.at)) return;
      const end = this.text.indexOf("*/", this.at + 2);
      if (end < 0) this.refuse('"*/" after this comment');
      this.at = end + 2;
    }
  }

  private takes(character: string): boolean {
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private match(sticky: RegExp): string {
    sticky.lastIndex = this.at;
    const found = sticky.exec(this.text)?.[0] ?? "";
    this.at += found.length;
    return found;
  }

  private placeOf(at: number): JsonPlace {
    const before = this.text.slice(0, at);
    const lineAt = before.lastIndexOf("\n") + 1;
    const line = before.split("\n").length;
    return { line, column: at - lineAt + 1 };
  }

  private refuse(expected: string, at = this.at): never {
    const rest = /^[^\s,\]}]{1,20}|^./.exec(this.text.slice(at))?.[0] ?? "";
    const got = at >= this.text.length ? "the file ends here" : `got ${JSON.stringify(rest)}`;
    throw new PlacedError(this.file, [
      { ...this.placeOf(at), text: `expected ${expected}; ${got}` },
    ]);
  }
}
