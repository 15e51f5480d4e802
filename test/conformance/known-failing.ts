/**
 * Lists of cases that fail and should not: a listed case that passes fails the run, so that a list
 * can only shrink.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

export class KnownFailing {
  private readonly names: Set<string>;

  /** `file` lies beside this one: a title a line, `#` begins a comment line. */
  constructor(file: string) {
    const url = new URL(`../../../test/conformance/${file}`, import.meta.url);
    const lines = readFileSync(url, "utf8").split("\n");
    this.names = new Set(lines.filter((line) => line !== "" && !line.startsWith("#")));
  }

  /** Declares the test of a case: the other way round when it is listed. */
  test(name: string, run: () => Promise<void>): void {
    const fails = this.names.delete(name);
    test(fails ? `known to fail: ${name}` : name, async () => {
      if (!fails) await run();
      else await assert.rejects(run(), "it passes: remove it from the list");
    });
  }

  /** After all tests are declared: every listed case exists. */
  checkNoneLeft(): void {
    assert.deepEqual([...this.names], []);
  }
}
