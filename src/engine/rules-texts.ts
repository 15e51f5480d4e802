/**
 * Rules of programs. A program reads its file itself and hands it over as sealed memory: the engine opens no
 * file for it, since one may be on a file system that never answers (FUSE, NFS), and then all would wait.
 */
import { createHash } from "node:crypto";
import { readSync } from "node:fs";
import { EMFILE, EPROTO } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { MAX_RULES_BYTES, type Rule } from "../socket/rules.js";
import { parseRules } from "../socket/rules-parser.js";
import { fdBytes, isSealed, Seal } from "../sys/memory.js";

/** Files whose rules are remembered: children of a program have the same. */
const MAX_KEPT = 64;
/** What is read is what everybody who has the memory sees, however long they have it. */
const SEALS = Seal.SHRINK | Seal.GROW | Seal.WRITE;

/**
 * The text that came with HELLO, or null when none was to come. `fd`: undefined when none came; it stays the
 * caller's. Throws `NetError` for what cannot be read without waiting.
 */
export function readRulesText(
  file: string,
  fd: number | undefined,
  areLost: boolean,
): string | null {
  if (file === "") return null;
  if (areLost) throw refused(EMFILE, "the engine has no descriptors left (ulimit -n)");
  if (fd === undefined || !isSealed(fd, SEALS)) {
    throw refused(EPROTO, `expected the contents of ${file} as a sealed memfd`);
  }
  const bytes = fdBytes(fd);
  if (bytes > MAX_RULES_BYTES) {
    throw refused(EPROTO, `${file}: expected at most ${MAX_RULES_BYTES} bytes of rules`);
  }
  const text = Buffer.alloc(bytes);
  try {
    return text.toString("utf8", 0, readSync(fd, text, 0, bytes, 0));
  } catch (cause) {
    // Sealed, and open for writing only.
    throw refused(EPROTO, `${file}: cannot be read: ${(cause as Error).message}`);
  }
}

const refused = (errno: number, hint: string): NetError =>
  new NetError(errno, { syscall: "rules", hint });

export class RulesTexts {
  /** By a hash of file and text, of which there may be 64 KiB. */
  private readonly kept = new Map<string, readonly Rule[]>();

  knows(file: string, text: string): boolean {
    return this.kept.has(keyOf(file, text));
  }

  /** Throws `RulesError`. The file is for messages. */
  parse(file: string, text: string): readonly Rule[] {
    const key = keyOf(file, text);
    const known = this.kept.get(key);
    if (known !== undefined) return known;
    const rules = parseRules(text, file);
    this.kept.set(key, rules);
    if (this.kept.size > MAX_KEPT) {
      const [oldest] = this.kept.keys();
      this.kept.delete(oldest!);
    }
    return rules;
  }
}

const keyOf = (file: string, text: string): string =>
  createHash("sha256").update(`${file}\0${text}`).digest("base64");
