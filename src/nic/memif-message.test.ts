import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { decode, encode, type Message } from "./memif-message.js";

const hex = (m: Message): string =>
  Buffer.from(encode(m))
    .toString("hex")
    .replace(/(00)+$/, "");

test("messages lie in their 128 bytes as memif.h lays them out", () => {
  assert.equal(encode({ type: "ack" }).length, 128);
  assert.equal(hex({ type: "ack" }), "01");
  const hello = {
    type: "hello",
    name: "x",
    features: 0,
    minVersion: 0x0200,
    maxVersion: 0x0201,
    lastRegion: 0x0304,
    lastS2c: 0x0506,
    lastC2s: 0x0708,
    log2RingSize: 14,
  } as const;
  assert.equal(hex(hello), `020078${"00".repeat(31)}00020102${"0403"}${"0605"}${"0807"}0e`);
  const init = {
    type: "init",
    version: 0x0200,
    id: 0x01020304,
    mode: 0,
    secret: "s",
    name: "n",
    features: 0,
  } as const;
  assert.equal(hex(init), `0300000204030201${"00"}73${"00".repeat(23)}6e`);
  assert.equal(
    hex({ type: "addRegion", index: 1, sizeBytes: 0x1_0000_0002 }),
    "040001000200000001",
  );
  const ring = {
    type: "addRing",
    flags: 1,
    index: 2,
    region: 3,
    offset: 0x01020304,
    log2Size: 10,
    privateHeaderBytes: 0x0506,
  } as const;
  assert.equal(hex(ring), "0500010002000300040302010a0605");
  assert.equal(hex({ type: "connect", interfaceName: "ab" }), "06006162");
  assert.equal(hex({ type: "connected", interfaceName: "ab" }), "07006162");
  assert.equal(hex({ type: "disconnect", code: 1, reason: "no" }), "0800010000006e6f");
});

test("the extension lies behind the zero that ends the name", () => {
  const b = encode({
    type: "init",
    version: 0x0200,
    id: 0,
    mode: 0,
    secret: "",
    name: "a name that is much too long for the field",
    features: 5,
  });
  assert.equal(b[33 + 23], 0, "others end the name here");
  assert.equal(Buffer.from(b.subarray(33 + 24, 33 + 32)).toString("hex"), "4d52583105000000");
  const back = decode(b);
  assert.ok(back?.type === "init");
  assert.equal(back.name, "a name that is much too");
  assert.equal(back.features, 5);
});

test("a name that fills its field offers nothing, whatever its end looks like", () => {
  const b = encode({ type: "ack" });
  b[0] = 2;
  b.fill(0x61, 2, 26);
  b.set([0x4d, 0x52, 0x58, 0x31, 1, 0, 0, 0], 26);
  const m = decode(b);
  assert.ok(m?.type === "hello");
  assert.equal(m.features, 0);
});

test("what is no message is null; what is one survives being written and read again", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 128 }),
      fc.integer({ min: 0, max: 10 }),
      (bytes, type) => {
        const whole = new Uint8Array(128);
        whole.set(bytes);
        whole[0] = type;
        whole[1] = 0;
        assert.equal(decode(whole.subarray(0, bytes.length % 128)), null);
        const message = decode(whole);
        assert.equal(message === null, type < 1 || type > 8);
        if (message === null) return;
        assert.deepEqual(decode(encode(message)), cut(message));
      },
    ),
  );
});

/** A text that fills its field loses its last byte to the zero; a name with features more. */
function cut(m: Message): Message {
  const to = (text: string, n: number): string => text.slice(0, n);
  switch (m.type) {
    case "hello":
    case "init":
      return { ...m, name: to(m.name, m.features === 0 ? 31 : 23) };
    case "addRegion":
      return { ...m, sizeBytes: Number(BigInt.asUintN(64, BigInt(m.sizeBytes))) };
    case "connect":
    case "connected":
      return { ...m, interfaceName: to(m.interfaceName, 31) };
    case "disconnect":
      return { ...m, reason: to(m.reason, 95) };
    default:
      return m;
  }
}
