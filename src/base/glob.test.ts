import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { matchesGlob } from "./glob.js";

test("the manual's examples: db2* is any name that starts so, t?cp has one character more", () => {
  assert.ok(matchesGlob("db2*", "db2sync"));
  assert.ok(!matchesGlob("db2*", "mydb2"));
  assert.ok(matchesGlob("t?p", "tcp"));
  assert.ok(!matchesGlob("t?p", "tp"));
});

test("sets, negated sets, ranges, quoting, and what stands for itself", () => {
  const yes: [string, string][] = [
    ["[abc]x", "bx"],
    ["[!abc]x", "dx"],
    ["[^abc]x", "dx"],
    ["n[0-9]", "n7"],
    ["[]]", "]"],
    ["[a-]", "-"],
    ["[\\]x]", "]"],
    ["\\*", "*"],
    ["a[b", "a[b"],
    ["\\", "\\"],
    ["*a*b*", "xxaxxbxx"],
    ["", ""],
    ["*", ""],
    ["**", "x"],
  ];
  const no: [string, string][] = [
    ["[!abc]x", "ax"],
    ["\\*", "x"],
    ["a", "A"],
    ["", "x"],
    ["?", ""],
    ["a*b", "a*c"],
    ["[]", "x"],
  ];
  for (const [pattern, text] of yes) assert.ok(matchesGlob(pattern, text), `${pattern} ${text}`);
  for (const [pattern, text] of no) assert.ok(!matchesGlob(pattern, text), `${pattern} ${text}`);
});

test("`*` and `?` mean what a regular expression's .* and . mean", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "."), maxLength: 12 });
  const pattern = fc.string({ unit: fc.constantFrom("a", "b", ".", "*", "?"), maxLength: 8 });
  fc.assert(
    fc.property(pattern, text, (p, t) => {
      const source = p.replaceAll(".", "\\.").replaceAll("*", ".*").replaceAll("?", ".");
      assert.equal(matchesGlob(p, t), new RegExp(`^${source}$`).test(t));
    }),
  );
});

test("many stars take no long time", () => {
  assert.ok(!matchesGlob(`${"*a".repeat(200)}b`, "a".repeat(2000)));
});
