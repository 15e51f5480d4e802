import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { type JsonNode, parseCommentedJson } from "./commented-json.js";
import { PlacedError } from "./placed-error.js";

function plain(node: JsonNode): unknown {
  if (node.kind === "null") return null;
  if (node.kind === "array") return node.elements.map(plain);
  if (node.kind !== "object") return node.value;
  return Object.fromEntries(node.members.map(({ key, value }) => [key, plain(value)]));
}

const parse = (text: string): unknown => plain(parseCommentedJson(text, "f"));

test("JSON is what JSON.parse makes of it, however it is indented", () => {
  const value = fc.jsonValue({ depthSize: "medium" });
  fc.assert(
    fc.property(value, fc.constantFrom(0, 2, "\t"), (json, indent) => {
      const text = JSON.stringify(json, null, indent);
      assert.deepEqual(parse(text), JSON.parse(text));
    }),
  );
});

test("comments and a last comma are allowed", () => {
  const text = '\ufeff// one\n{ /* two\n*/ "a": [1, 2,], // three\r\n "b": "x // y", }\n/**/';
  assert.deepEqual(parse(text), { a: [1, 2], b: "x // y" });
});

test("values know where they are", () => {
  const node = parseCommentedJson('{\n  "a": [\n    true]}', "f");
  assert.ok(node.kind === "object");
  const { place, value } = node.members[0]!;
  assert.deepEqual(place, { line: 2, column: 3 });
  assert.ok(value.kind === "array");
  assert.deepEqual(value.elements[0]!.place, { line: 3, column: 5 });
});

test("mistakes: place, what was expected, what was there", () => {
  const rows: [string, string][] = [
    ["", "f:1:1: expected a value; the file ends here"],
    ['{"a" 1}', 'f:1:6: expected ":"; got "1"'],
    ['{"a": 1 "b": 2}', 'f:1:9: expected "," or "}"; got "\\"b\\":"'],
    ["[1,\n2", 'f:2:2: expected "," or "]"; the file ends here'],
    ["{a: 1}", 'f:1:2: expected a name in quotes or "}"; got "a:"'],
    ['{"a": 1, "a": 2}', 'f:1:10: expected each name once; "a" is here twice; got "\\"a\\":"'],
    ["[01]", 'f:1:2: expected a value; got "01"'],
    ["[yes]", 'f:1:2: expected a value; got "yes"'],
    ['["a\n"]', 'f:1:2: expected a closing quote in the same line; got "\\"a"'],
    ["1 2", 'f:1:3: expected the end of the file; got "2"'],
    ["[ /* x", 'f:1:3: expected "*/" after this comment; got "/*"'],
    ["[".repeat(100), 'f:1:65: expected at most 64 levels; got "[[[[[[[[[[[[[[[[[[[["'],
  ];
  for (const [text, message] of rows) {
    assert.throws(
      () => parse(text),
      (error) => error instanceof PlacedError && error.message === message,
      `${text}: ${message}`,
    );
  }
});
