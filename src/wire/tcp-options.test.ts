import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { bytes, frame, hex } from "../../test/vectors/frames.js";
import { Drop } from "./drop.js";
import * as tcp from "./tcp.js";
import * as options from "./tcp-options.js";

const AT = 34;
const parsed = new options.TcpOptions();

/** A header with these options, which are padded with END. */
function header(optionsHex: string): Uint8Array {
  const list = bytes(optionsHex);
  const size = 20 + ((list.length + 3) & ~3);
  const b = new Uint8Array(size);
  tcp.writeControl(b, 0, size, tcp.ACK, 0);
  b.set(list, 20);
  return b;
}

/** Fields that differ from those of a segment without options. */
function found(b: Uint8Array, at = 0): Record<string, unknown> {
  const none = new options.TcpOptions();
  const entries = Object.entries(parsed).filter(
    ([k, v]) => k !== "sack" && v !== none[k as keyof typeof none],
  );
  assert.ok(b.length > at);
  return Object.fromEntries(entries);
}

function parse(b: Uint8Array, at = 0): Record<string, unknown> {
  assert.equal(options.parse(b, at, parsed), Drop.NONE);
  return found(b, at);
}

test("the options of a real Linux SYN are read", () => {
  assert.deepEqual(parse(frame("syn"), AT), {
    mssBytes: 1460,
    windowScale: 9,
    sackPermitted: true,
    hasTimestamps: true,
    tsVal: 667578586,
  });
});

test("timestamps alone, aligned, are read", () => {
  assert.deepEqual(parse(frame("finTimestamps"), AT), {
    hasTimestamps: true,
    tsVal: 667583752,
    tsEcr: 667583752,
  });
});

test("timestamps alone, not aligned, are read the same", () => {
  assert.deepEqual(parse(header("080a 80000001 ffffffff 0101")), {
    hasTimestamps: true,
    tsVal: 0x80000001 | 0,
    tsEcr: -1,
  });
});

test("a SACK block of a real segment is read", () => {
  assert.deepEqual(parse(frame("sack"), AT), { sackBlocks: 1 });
  assert.deepEqual([...parsed.sack.subarray(0, 2)], [0xf35205fa | 0, 0xf35205fb | 0]);
});

test("four SACK blocks are read in their order", () => {
  const edges = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => n.toString(16).padStart(8, "0")).join("");
  assert.deepEqual(parse(header(`0522${edges}`)), { sackBlocks: 4 });
  assert.deepEqual([...parsed.sack], [1, 2, 3, 4, 5, 6, 7, 8]);
});

test("MD5, MPTCP, TCP-AO and user timeout are recognised where they stand", () => {
  assert.deepEqual(parse(frame("synMd5"), AT), { mssBytes: 1440, md5At: AT + 24 });
  assert.equal(parse(frame("synMultipath"), AT).mptcpAt, AT + 40);
  assert.deepEqual(parse(header("01 1d10 0102 000000000000000000000000")), {
    authenticationAt: 21,
  });
  assert.deepEqual(parse(header("1c04 001e")), { userTimeoutSec: 30 });
  assert.deepEqual(parse(header("1c04 8002")), { userTimeoutSec: 120 });
});

test("a fast open cookie is found, an empty one asks for a cookie", () => {
  assert.deepEqual(parse(header("220a 0102030405060708 0101")), {
    fastOpenAt: 22,
    fastOpenBytes: 8,
  });
  assert.deepEqual(parse(header("2202")), { fastOpenAt: 22 });
  assert.equal(parsed.fastOpenBytes, 0);
});

test("the experimental fast open of old peers, kind 254, is passed over", () => {
  assert.deepEqual(parse(frame("synAckExperimental"), AT), { mssBytes: 1500 });
});

test("a window scale above 14 counts as 14 (RFC 7323 §2.3)", () => {
  assert.deepEqual(parse(header("03030f")), { windowScale: 14 });
});

test("END ends the list", () => {
  assert.deepEqual(parse(header("00 020405b4")), {});
});

test("a segment without options has none, whatever the last one had", () => {
  parse(frame("syn"), AT);
  assert.deepEqual(parse(header("")), {});
});

for (const [kind, list] of [
  ["MSS", "020505b400"],
  ["window scale", "03040700"],
  ["SACK permitted", "040300"],
  ["SACK", "050600000001"],
  ["empty SACK", "0502"],
  ["timestamps", "080b000000010000000200"],
  ["user timeout", "1c0300"],
  ["fast open (odd)", "22070102030405"],
  ["fast open (too short)", "22040102"],
  ["MD5", "13040000"],
  ["TCP-AO", "1d0300"],
] as const) {
  test(`an option ${kind} of a wrong length is skipped, and what follows is read`, () => {
    assert.deepEqual(parse(header(`${list} 0402`)), { sackPermitted: true });
  });
}

for (const [what, list] of [
  ["of length 0", "0402 0200 0303"],
  ["of length 1", "0402 0201 0303"],
  ["that runs past the header", "0402 0207 05b4 0101"],
  ["without room for its length", "0402 01 02"],
] as const) {
  test(`an option ${what} ends the list with what came before`, () => {
    const b = header(list);
    const cut = b.subarray(0, b.length);
    tcp.writeControl(cut, 0, 20 + (bytes(list).length & ~3), tcp.ACK, 0);
    assert.equal(options.parse(cut, 0, parsed), Drop.TCP_BAD_OPTION);
    assert.deepEqual(found(cut), { sackPermitted: true });
  });
}

test("every length of a header gives what its whole options say, never an exception", () => {
  const b = frame("syn").subarray(AT);
  for (let size = 20; size <= 40; size += 4) {
    tcp.writeControl(b, 0, size, tcp.SYN, 0);
    const drop = options.parse(b, 0, parsed);
    assert.equal(drop, size === 28 || size === 32 ? Drop.TCP_BAD_OPTION : Drop.NONE, `${size}`);
    assert.equal(parsed.hasTimestamps, size >= 36);
  }
});

test("the writers make the options of a Linux SYN, even in a dirty buffer", () => {
  const b = new Uint8Array(22).fill(0xa5);
  let at = options.putMss(b, 1, 1460);
  at = options.putSackPermittedAndTimestamps(b, at, 0x27ca70da, 0);
  at = options.putWindowScale(b, at, 9);
  assert.equal(at, 21);
  assert.equal(hex(b), `a5${hex(frame("syn"), 54, 74)}a5`);
});

test("the writers pad in front and return the offset after", () => {
  const b = new Uint8Array(64).fill(0xa5);
  let at = options.putSackPermitted(b, 0);
  at = options.putTimestamps(b, at, -1, 2);
  at = options.putSack(b, at, Int32Array.of(1, 2, -2, -1), 2);
  at = options.putUserTimeout(b, at, 40_000);
  assert.equal(
    hex(b, 0, at),
    "01010402 0101080affffffff00000002 010105120000000100000002fffffffeffffffff 1c04829b".replaceAll(
      " ",
      "",
    ),
  );
  assert.equal(b[at], 0xa5);
});

test("fast open options of every cookie length are written and read back", () => {
  const cookie = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
  for (let n = 0; n <= 16; n += n === 0 ? 4 : 2) {
    const b = new Uint8Array(64).fill(0xa5);
    const at = options.putFastOpen(b, 20, cookie, 0, n);
    assert.equal(at - 20, options.fastOpenBytes(n));
    assert.equal(at & 3, 0);
    assert.equal(b[at], 0xa5);
    tcp.writeControl(b, 0, at, tcp.SYN, 0);
    parse(b);
    assert.equal(parsed.fastOpenBytes, n);
    assert.equal(hex(b, parsed.fastOpenAt, parsed.fastOpenAt + n), hex(cookie, 0, n));
  }
});

test("parse gives back what was put, in any combination", () => {
  const edge = fc.integer();
  const wanted = fc.record({
    mss: fc.nat(65_535),
    shift: fc.nat(14),
    tsVal: fc.integer(),
    tsEcr: fc.integer(),
    sack: fc.array(fc.tuple(edge, edge), { minLength: 1, maxLength: 2 }),
  });
  fc.assert(
    fc.property(wanted, (w) => {
      const b = new Uint8Array(80).fill(0xa5);
      let at = options.putMss(b, 20, w.mss);
      at = options.putWindowScale(b, at, w.shift);
      at = options.putTimestamps(b, at, w.tsVal, w.tsEcr);
      at = options.putSack(b, at, Int32Array.from(w.sack.flat()), w.sack.length);
      tcp.writeControl(b, 0, at, tcp.SYN, 0);
      assert.equal(options.parse(b, 0, parsed), Drop.NONE);
      assert.deepEqual(
        [parsed.mssBytes, parsed.windowScale, parsed.tsVal, parsed.tsEcr, parsed.sackBlocks],
        [w.mss, w.shift, w.tsVal, w.tsEcr, w.sack.length],
      );
      assert.deepEqual([...parsed.sack.subarray(0, 2 * w.sack.length)], w.sack.flat());
    }),
  );
});

test("no option bytes throw", () => {
  const byte = fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 10, 34), fc.nat(255));
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 40 }), (list) => {
      const drop = options.parse(header(hex(Uint8Array.from(list))), 0, parsed);
      return drop === Drop.NONE || drop === Drop.TCP_BAD_OPTION;
    }),
  );
});
