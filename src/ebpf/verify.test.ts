/** What the verifier refuses, in which words, and what it takes: small programs, one point each. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Assembler } from "./asm.js";
import type { MapDefinition } from "./map-definition.js";
import { MapFlag, MapType } from "./map-type.js";
import { assembled, mapDefinition, objectOf } from "./object-fixture.js";
import { R0, R1, R2, R3, R4, R5, R6, R7, R10 } from "./registers.js";
import { VerifyError, verify } from "./verify.js";
import { verifyProgram } from "./verify-program.js";

const HASH = mapDefinition({ name: "hash", type: MapType.HASH, valueBytes: 16 });
const RING = mapDefinition({ name: "ring", type: MapType.RINGBUF, keyBytes: 0, valueBytes: 0 });
const LOCKED = mapDefinition({ name: "hash", type: MapType.HASH, valueBytes: 16, lockAt: 4 });
const CONSTANTS = mapDefinition({
  name: ".rodata",
  type: MapType.ARRAY,
  flags: MapFlag.RDONLY_PROG,
});

function check(build: (a: Assembler) => void, maps: readonly MapDefinition[] = []): void {
  const a = new Assembler();
  build(a);
  const { programs, license } = assembled(a, maps);
  verify({ name: "main", section: "xdp", program: programs[0]!, maps, license, maxSteps: 20_000 });
}

/** r2 and r3: packet and end; with room for so many bytes, or to "end". */
function packet(a: Assembler, bytes: number): void {
  a.mov(R6, R1);
  a.load("u32", R2, R1, 0);
  a.load("u32", R3, R1, 4);
  a.mov(R0, R2);
  a.add(R0, bytes);
  a.jumpIf(R0, ">", R3, "end");
}

function end(a: Assembler): void {
  a.label("end");
  a.mov(R0, 2);
  a.exit();
}

function lookup(a: Assembler): void {
  a.store("u32", R10, -4, 1);
  a.mov(R2, R10);
  a.add(R2, -4);
  a.loadMap(R1, "hash");
  a.call("map_lookup_elem");
}

/** r7: a value of the map, whose lock was taken. */
function takeLock(a: Assembler, at = 4): void {
  lookup(a);
  a.jumpIf(R0, "==", 0, "end");
  a.mov(R7, R0);
  a.mov(R1, R7);
  a.add(R1, at);
  a.call("spin_lock");
}

function giveLock(a: Assembler): void {
  a.mov(R1, R7);
  a.add(R1, 4);
  a.call("spin_unlock");
}

const REFUSED: readonly (readonly [
  what: string,
  reason: RegExp,
  build: (a: Assembler) => void,
  maps?: readonly MapDefinition[],
])[] = [
  [
    "a register that was never written",
    /instruction 0: r5 was never written/,
    (a) => {
      a.mov(R0, R5);
      a.exit();
    },
  ],
  [
    "the packet without a comparison",
    /2 bytes at r2 \+ 12 are read, and only 0 bytes/,
    (a) => {
      a.load("u32", R2, R1, 0);
      a.load("u16", R0, R2, 12);
      a.exit();
    },
  ],
  [
    "the packet behind what was compared",
    /1 byte at r2 \+ 14 is read, and only 14 bytes/,
    (a) => {
      packet(a, 14);
      a.load("u8", R0, R2, 14);
      end(a);
    },
  ],
  [
    "the packet after it has moved",
    /r2 pointed into the packet, which bpf_xdp_adjust_head may/,
    (a) => {
      packet(a, 14);
      a.mov(R7, R2);
      a.mov(R1, R6);
      a.mov(R2, 4);
      a.call("xdp_adjust_head");
      a.mov(R2, R7);
      a.load("u8", R0, R2, 0);
      end(a);
    },
  ],
  [
    "the packet at an offset without bound",
    /r2 may point far behind the packet/,
    (a) => {
      packet(a, 14);
      a.load("u32", R4, R2, 0);
      a.add(R2, R4);
      a.mov(R0, R2);
      a.add(R0, 1);
      a.jumpIf(R0, ">", R3, "end");
      a.load("u8", R0, R2, 0);
      end(a);
    },
  ],
  [
    "a value that may be NULL",
    /r0 may be NULL here/,
    (a) => {
      lookup(a);
      a.load("u64", R0, R0, 0);
      a.exit();
    },
    [HASH],
  ],
  [
    "a value behind its end",
    /r0 reaches bytes 16 to 19 of a value of hash, which has 16/,
    (a) => {
      lookup(a);
      a.jumpIf(R0, "==", 0, "end");
      a.load("u32", R0, R0, 16);
      end(a);
    },
    [HASH],
  ],
  [
    "a value at an index without bound",
    /r0 (may point anywhere|reaches)/,
    (a) => {
      a.load("u32", R6, R1, 12);
      lookup(a);
      a.jumpIf(R0, "==", 0, "end");
      a.add(R0, R6);
      a.load("u8", R0, R0, 0);
      end(a);
    },
    [HASH],
  ],
  [
    "constants that are written",
    /\.rodata is for reading only/,
    (a) => {
      a.loadMapValue(R1, ".rodata", 0);
      a.store("u32", R1, 0, 1);
      end(a);
    },
    [CONSTANTS],
  ],
  [
    "the stack below its end",
    /reaches bytes -520 to -513 of the stack/,
    (a) => {
      a.store("u64", R10, -520, 0);
      end(a);
    },
  ],
  [
    "the stack out of line",
    /4 bytes of the stack at -6 are not aligned/,
    (a) => {
      a.store("u32", R10, -6, 0);
      end(a);
    },
  ],
  [
    "the context that is written",
    /r1 is the context, which cannot be written/,
    (a) => {
      a.store("u32", R1, 0, 0);
      end(a);
    },
  ],
  [
    "half a word of the context",
    /read in words of 4 bytes/,
    (a) => {
      a.load("u16", R0, R1, 12);
      a.exit();
    },
  ],
  [
    "a number that is followed",
    /r1 is a number, not a pointer/,
    (a) => {
      a.mov(R1, 7);
      a.load("u8", R0, R1, 0);
      a.exit();
    },
  ],
  [
    "a register that a call destroyed",
    /r1 was destroyed by a call/,
    (a) => {
      a.call("ktime_get_ns");
      a.mov(R0, R1);
      a.exit();
    },
  ],
  [
    "an argument of another kind",
    /argument 1 \(r1\) is the context, expected a map/,
    (a) => {
      a.mov(R2, R10);
      a.call("map_lookup_elem");
      a.exit();
    },
  ],
  [
    "a map that the helper is not for",
    /argument 1 \(r1\) is ring, a RINGBUF, for which it is not/,
    (a) => {
      a.store("u64", R10, -8, 0);
      a.mov(R2, R10);
      a.add(R2, -8);
      a.loadMap(R1, "ring");
      a.call("map_lookup_elem");
      a.exit();
    },
    [RING],
  ],
  [
    "a length without bound",
    /argument 4 \(r4\) (has no bound|may be negative)/,
    (a) => {
      a.load("u64", R4, R10, -8);
      a.mov(R3, R10);
      a.add(R3, -8);
      a.mov(R2, 0);
      a.call("xdp_load_bytes");
      a.exit();
    },
  ],
  [
    "a record that is never given back",
    /reserved and never submitted/,
    (a) => {
      a.loadMap(R1, "ring");
      a.mov(R2, 8);
      a.mov(R3, 0);
      a.call("ringbuf_reserve");
      a.jumpIf(R0, "==", 0, "end");
      end(a);
    },
    [RING],
  ],
  [
    "a record that was given back",
    /r6 is a record that was given back/,
    (a) => {
      a.loadMap(R1, "ring");
      a.mov(R2, 8);
      a.mov(R3, 0);
      a.call("ringbuf_reserve");
      a.jumpIf(R0, "==", 0, "end");
      a.mov(R6, R0);
      a.mov(R1, R0);
      a.mov(R2, 0);
      a.call("ringbuf_submit");
      a.load("u8", R0, R6, 0);
      end(a);
    },
    [RING],
  ],
  [
    "a loop that never ends",
    /a loop that changes nothing/,
    (a) => {
      a.mov(R6, 1);
      a.label("for ever");
      a.mov(R0, 0);
      a.jumpIf(R6, "==", 1, "for ever");
      a.exit();
    },
  ],
  [
    "a loop that ends too late",
    /more than 20000 steps/,
    (a) => {
      a.mov(R6, 0);
      a.label("long");
      a.add(R6, 1);
      a.jumpIf(R6, "!=", 2_000_000, "long");
      end(a);
    },
  ],
  [
    "instructions that are never reached",
    /instruction 1: it is never reached/,
    (a) => {
      a.jump("end");
      a.mov(R0, 0);
      end(a);
    },
  ],
  [
    "a function that calls itself",
    /(calls itself|more than 8 calls)/,
    (a) => {
      a.callLocal("function");
      a.exit();
      a.label("function");
      a.callLocal("function");
      a.exit();
    },
  ],
  [
    "stacks that are too deep together",
    /take 544 bytes together/,
    (a) => {
      a.store("u64", R10, -256, 0);
      a.callLocal("function");
      end(a);
      a.label("function");
      a.store("u64", R10, -288, 0);
      a.mov(R0, 0);
      a.exit();
    },
  ],
  [
    "atomics on the packet",
    /on which nothing is atomic/,
    (a) => {
      packet(a, 16);
      a.mov(R1, 1);
      a.atomic("add", "u64", R2, 0, R1);
      end(a);
    },
  ],
  [
    "pointers that are multiplied",
    /no arithmetic is possible/,
    (a) => {
      a.mov(R1, R10);
      a.alu("mul", R1, 2);
      end(a);
    },
  ],
  [
    "division by a constant 0",
    /divides by zero/,
    (a) => {
      a.mov(R0, 1);
      a.alu("div", R0, 0);
      a.exit();
    },
  ],
  [
    "what was learnt of a copy, on a path where there is no copy",
    /reaches bytes|may point anywhere/,
    (a) => {
      lookup(a);
      a.jumpIf(R0, "==", 0, "end");
      a.load("u32", R6, R0, 0);
      a.load("u32", R1, R0, 4);
      a.load("u32", R7, R0, 8);
      a.jumpIf(R1, "==", 7, "join"); // walked last, without the copy
      a.mov(R7, R6);
      a.mov(R1, 0);
      a.label("join");
      a.jumpIf(R6, ">", 8, "end");
      a.add(R0, R7);
      a.load("u8", R0, R0, 0);
      end(a);
    },
    [HASH],
  ],
  [
    "bounds that come back from a shift, on a path where there are none",
    /reaches bytes|may point anywhere/,
    (a) => {
      lookup(a);
      a.jumpIf(R0, "==", 0, "end");
      a.load("u32", R1, R0, 0);
      a.load("u32", R6, R0, 4);
      a.jumpIf(R1, "==", 7, "shift"); // walked last, without bounds
      a.and(R6, 7);
      a.label("shift");
      a.lsh(R6, 32);
      a.jumpIf(R1, "==", 9, "join");
      a.mov(R1, 0);
      a.label("join");
      a.rsh(R6, 32);
      a.add(R0, R6);
      a.load("u8", R0, R0, 0);
      end(a);
    },
    [HASH],
  ],
  [
    "bits of which only the upper half, which is not compared, is set",
    /r5 was never written/,
    (a) => {
      a.loadConstant(R6, 1n << 32n);
      a.jumpIf32(R6, "&", -1, "end");
      a.mov(R0, R5);
      a.exit();
      end(a);
    },
  ],
  [
    "a value compared with what is 0 on one path only",
    /may be NULL here/,
    (a) => {
      a.load("u32", R6, R1, 12);
      lookup(a);
      a.mov(R7, 1);
      a.jumpIf(R6, "==", 7, "join"); // walked last
      a.mov(R7, 0);
      a.label("join");
      a.jumpIf(R0, "==", R7, "end");
      a.load("u8", R0, R0, 0);
      end(a);
    },
    [HASH],
  ],
  [
    "a lock that is never given back",
    /the lock of hash is held and never given back/,
    (a) => {
      takeLock(a);
      end(a);
    },
    [LOCKED],
  ],
  [
    "two locks",
    /the lock of hash is held, and there may be only one/,
    (a) => {
      takeLock(a);
      a.mov(R1, R7);
      a.add(R1, 4);
      a.call("spin_lock");
      end(a);
    },
    [LOCKED],
  ],
  [
    "a lock given back that was not taken",
    /bpf_spin_unlock: argument 1 \(r1\) no lock is held/,
    (a) => {
      lookup(a);
      a.jumpIf(R0, "==", 0, "end");
      a.mov(R7, R0);
      giveLock(a);
      end(a);
    },
    [LOCKED],
  ],
  [
    "another value's lock given back",
    /another lock is held, one of hash, from another lookup/,
    (a) => {
      lookup(a);
      a.jumpIf(R0, "==", 0, "end");
      a.mov(R6, R0);
      takeLock(a);
      a.mov(R7, R6);
      giveLock(a);
      end(a);
    },
    [LOCKED],
  ],
  [
    "a helper while a lock is held",
    /bpf_ktime_get_ns is called while the lock of hash is held/,
    (a) => {
      takeLock(a);
      a.call("ktime_get_ns");
      giveLock(a);
      end(a);
    },
    [LOCKED],
  ],
  [
    "a lock elsewhere in the value",
    /not where hash has its lock: at byte 4/,
    (a) => {
      takeLock(a, 8);
      giveLock(a);
      end(a);
    },
    [LOCKED],
  ],
  [
    "a lock in values that have none",
    /hash has no struct bpf_spin_lock/,
    (a) => {
      takeLock(a);
      giveLock(a);
      end(a);
    },
    [HASH],
  ],
  [
    "a store into a lock",
    /r0 reaches the lock in a value of hash/,
    (a) => {
      lookup(a);
      a.jumpIf(R0, "==", 0, "end");
      a.store("u64", R0, 0, 1);
      end(a);
    },
    [LOCKED],
  ],
];

for (const [what, reason, build, maps] of REFUSED) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => check(build, maps),
      (error) => {
        assert.ok(error instanceof VerifyError);
        assert.match(error.message, reason);
        return true;
      },
    );
  });
}

test("taken: a lock that is given back, and the bytes beside it", () => {
  check(
    (a) => {
      takeLock(a);
      a.store("u64", R7, 8, 1);
      a.store("u32", R7, 0, 1);
      a.jumpIf(R7, "==", 0, "other");
      a.label("other");
      giveLock(a);
      end(a);
    },
    [LOCKED],
  );
});

test("taken: an index that a comparison or a mask bounds", () => {
  check(
    (a) => {
      a.load("u32", R6, R1, 12);
      a.load("u32", R7, R1, 16);
      lookup(a);
      a.jumpIf(R0, "==", 0, "end");
      a.jumpIf(R6, ">", 11, "end");
      a.mov(R1, R0);
      a.add(R1, R6);
      a.load("u32", R2, R1, 0);
      a.and(R7, 15);
      a.add(R0, R7);
      a.load("u8", R2, R0, 0);
      end(a);
    },
    [HASH],
  );
});

test("taken: what is learnt of a copy holds for the original", () => {
  check(
    (a) => {
      a.load("u32", R6, R1, 12);
      lookup(a);
      a.jumpIf(R0, "==", 0, "end");
      a.mov(R1, R6);
      a.jumpIf(R1, ">", 15, "end");
      a.add(R0, R6);
      a.load("u8", R2, R0, 0);
      end(a);
    },
    [HASH],
  );
});

test("taken: a packet walked by steps that it says itself", () => {
  check((a) => {
    packet(a, 14);
    for (let n = 0; n < 3; n++) {
      a.load("u8", R4, R2, 0);
      a.add(R2, R4);
      a.mov(R0, R2);
      a.add(R0, 2);
      a.jumpIf(R0, ">", R3, "end");
    }
    a.load("u16", R0, R2, 0);
    end(a);
  });
});

test("taken: bounds survive the stack", () => {
  check(
    (a) => {
      a.load("u32", R6, R1, 12);
      a.jumpIf(R6, ">", 8, "end");
      a.store("u64", R10, -16, R6);
      lookup(a);
      a.jumpIf(R0, "==", 0, "end");
      a.load("u64", R1, R10, -16);
      a.add(R0, R1);
      a.load("u64", R2, R0, 0);
      end(a);
    },
    [HASH],
  );
});

test("an error names instruction, file and line", () => {
  const object = objectOf("ipv6_filter");
  const [program] = object.programs;
  const code = program!.code.slice();
  // The comparison with the end goes away: goto +0.
  const at = code.findIndex((byte, n) => n % 8 === 0 && (byte === 0x2d || byte === 0x3d));
  code.set([0x05, 0, 0, 0, 0, 0, 0, 0], at);
  assert.throws(
    () => verifyProgram(object, { ...program!, code }),
    (error) => {
      assert.ok(error instanceof VerifyError);
      assert.match(error.file!, /ipv6_filter\.c$/);
      assert.ok(error.line! > 5 && error.word > 0);
      return true;
    },
  );
});
