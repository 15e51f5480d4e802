import assert from "node:assert/strict";
import { test } from "node:test";
import { functionIds } from "./kernel-functions.js";

/** BTF of an int, a struct of two members, a function's prototype, and two functions. */
function smallBtf(): Uint8Array {
  const strings = Buffer.from("\0int\0pair\0first\0second\0", "latin1");
  const at = (name: string) => strings.indexOf(`${name}\0`);
  const info = (kind: number, n = 0) => (kind << 24) | n;
  const types = [
    ...[at("int"), info(1), 4, 0x20],
    ...[at("pair"), info(4, 2), 8, 0, 1, 0, 0, 1, 32],
    ...[0, info(13, 1), 1, 0, 1],
    ...[at("first"), info(12), 3],
    ...[at("second"), info(12), 3],
  ];
  const typesBytes = types.length * 4;
  const header = [0x0001eb9f, 24, 0, typesBytes, typesBytes, strings.length];
  return Buffer.concat([Buffer.from(Int32Array.from([...header, ...types]).buffer), strings]);
}

test("functions are found by name, and get the number of their type", () => {
  const ids = functionIds(smallBtf(), ["second", "pair", "first", "sec", "missing"]);
  assert.deepEqual([...ids].sort(), [
    ["first", 4],
    ["second", 5],
  ]);
});

test("what is cut short or no BTF at all gives what was found, and no error", () => {
  const whole = smallBtf();
  for (let n = 0; n < whole.length; n++) {
    assert.ok(functionIds(whole.subarray(0, n), ["first", "second"]).size <= 2);
  }
  assert.equal(functionIds(new Uint8Array(64), ["first"]).size, 0);
});
