/**
 * Rules files that programs name. The engine reads them for programs, so what is no plain file, or a large
 * one, is refused: a FIFO would hold everybody up. A file is read again only when it has changed.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { Rule } from "../socket/rules.js";
import { parseRules } from "../socket/rules-parser.js";

const MAX_BYTES = 1 << 20;
/** Files whose rules are remembered. */
const MAX_KEPT = 64;
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

interface Kept {
  /** Which file it was, and when it was changed last. */
  readonly version: string;
  readonly rules: readonly Rule[];
}

export class RulesFiles {
  private readonly kept = new Map<string, Kept>();

  /** Throws `RulesError`, the system's error, or one that says what the file is instead. */
  read(path: string): readonly Rule[] {
    const fd = openSync(path, FLAGS);
    try {
      const status = fstatSync(fd, { bigint: true });
      if (!status.isFile()) throw refused(`${path}: expected a plain file of rules`);
      const { dev, ino, size, mtimeNs, ctimeNs } = status;
      const version = [dev, ino, size, mtimeNs, ctimeNs].join(":");
      const known = this.kept.get(path);
      if (known?.version === version) return known.rules;
      const rules = parseRules(contents(fd, path), path);
      this.keep(path, { version, rules });
      return rules;
    } finally {
      closeSync(fd);
    }
  }

  private keep(path: string, entry: Kept): void {
    this.kept.delete(path);
    this.kept.set(path, entry);
    if (this.kept.size <= MAX_KEPT) return;
    const [oldest] = this.kept.keys();
    this.kept.delete(oldest!);
  }
}

function contents(fd: number, path: string): string {
  const bytes = new Uint8Array(MAX_BYTES + 1);
  let n = 0;
  for (;;) {
    const got = readSync(fd, bytes, n, bytes.length - n, null);
    n += got;
    if (n > MAX_BYTES) throw refused(`${path}: expected at most ${MAX_BYTES} bytes of rules`);
    if (got === 0) return Buffer.from(bytes.buffer, 0, n).toString("utf8");
  }
}

/** A mistake of who named the file. */
const refused = (text: string): TypeError => new TypeError(text);
