import assert from "node:assert/strict";
import { test } from "node:test";
import * as message from "./message.js";

/** A ping as sockperf 3.7 sends it, from a capture: sequence 7, client, wants a reply, 14 bytes. */
const PING = Uint8Array.from(Buffer.from("000000000000000700030000000e", "hex"));

test("a captured ping is read as what it is", () => {
  assert.equal(message.check(PING, 0, 14), true);
  assert.equal(message.sequence(PING, 0), 7);
  assert.equal(message.flags(PING, 0), message.Flag.CLIENT | message.Flag.PONG);
  assert.equal(message.lengthBytes(PING, 0), 14);
});

test("write makes the same bytes, in a dirty buffer", () => {
  const dirty = new Uint8Array(16).fill(0xa5);
  message.write(dirty, 1, 7, message.Flag.CLIENT | message.Flag.PONG, 14);
  assert.deepEqual(dirty.subarray(1, 15), PING);
  assert.equal(dirty[0], 0xa5);
  assert.equal(dirty[15], 0xa5);
});

test("a reply differs by the client's mark alone", () => {
  const reply = PING.slice();
  message.makeReply(reply, 0);
  assert.equal(Buffer.from(reply).toString("hex"), "000000000000000700020000000e");
});

test("sequence numbers above 2^32 pass", () => {
  const b = new Uint8Array(14);
  message.write(b, 0, 2 ** 40 + 5, 1, 14);
  assert.equal(message.sequence(b, 0), 2 ** 40 + 5);
});

test("a header cut short anywhere, and lengths that cannot be, are no message", () => {
  for (let n = 0; n < 14; n++) assert.equal(message.check(PING, 0, n), false, `${n} bytes`);
  for (const length of [0, 13, message.MAX_BYTES + 1, -1]) {
    const b = PING.slice();
    message.write(b, 0, 1, 3, length);
    assert.equal(message.check(b, 0, 14), false, `length ${length}`);
  }
});
