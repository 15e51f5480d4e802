/** Interpreter and compiled code beside each other, where the kernel cannot be asked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EACCES, EINVAL } from "../base/errno.js";
import { Assembler } from "./asm.js";
import { type EngineName, XdpInstance, type XdpOptions } from "./instance.js";
import { MapType } from "./map-type.js";
import { assembled, mapDefinition, objectOf } from "./object-fixture.js";
import { R0, R1, R2, R3, R4, R6, R7, R10 } from "./registers.js";
import { RingMap } from "./ring-map.js";
import { XdpVerdict } from "./xdp-verdict.js";

const ENGINES: readonly EngineName[] = ["interp", "wasm"];
const FRAME = new Uint8Array(64).fill(0xa5);

/** The result of a program, which must be the same in both engines. */
function result(build: (a: Assembler) => void, options: XdpOptions = {}): number {
  const a = new Assembler();
  build(a);
  const object = assembled(a);
  const all = ENGINES.map((engine) => {
    const instance = XdpInstance.open(object, { verifies: false, ...options, engine });
    return instance.run(FRAME).verdict;
  });
  assert.equal(all[0], all[1]);
  return all[0]!;
}

test("a loop that is entered at two places, which no compiler makes", () => {
  const got = result((a) => {
    a.mov(R0, 0);
    a.mov(R6, 5);
    a.jumpIf(R1, "==", 0, "second");
    a.label("first");
    a.add(R0, 1);
    a.label("second");
    a.add(R0, 16);
    a.alu("sub", R6, 1);
    a.jumpIf(R6, "!=", 0, "first");
    a.exit();
  });
  assert.equal(got, 5 * 17);
});

test("loops in loops, with ways out of both", () => {
  const got = result((a) => {
    a.mov(R0, 0);
    a.mov(R6, 0);
    a.label("outer");
    a.mov(R7, 0);
    a.label("inner");
    a.add(R0, 1);
    a.jumpIf(R0, ">", 500, "end");
    a.add(R7, 1);
    a.jumpIf(R7, "<", R6, "inner");
    a.add(R6, 1);
    a.jumpIf(R6, "<", 10, "outer");
    a.label("end");
    a.exit();
  });
  assert.equal(got, 1 + 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9);
});

for (const blocks of [1_000, 5_000]) {
  test(`a program of ${blocks} branches in a row`, () => {
    const got = result((a) => {
      a.mov(R0, 0);
      a.mov(R6, 0);
      for (let n = 0; n < blocks; n++) {
        a.jumpIf(R6, n % 3 === 0 ? "==" : "!=", 1, `skip${n}`);
        a.add(R0, 1);
        a.label(`skip${n}`);
      }
      a.exit();
    });
    assert.equal(got, Math.ceil(blocks / 3));
  });
}

test("functions have stacks of their own and keep their caller's registers", () => {
  const got = result((a) => {
    a.mov(R6, 3);
    a.store("u64", R10, -8, 100);
    a.mov(R1, 4);
    a.callLocal("function");
    a.load("u64", R1, R10, -8);
    a.add(R0, R1);
    a.add(R0, R6);
    a.exit();
    a.label("function");
    a.store("u64", R10, -8, R1);
    a.mov(R6, 99);
    a.load("u64", R0, R10, -8);
    a.exit();
  });
  assert.equal(got, 107);
});

test("a callback of bpf_loop is called with its number and its context", () => {
  const got = result((a) => {
    a.store("u64", R10, -8, 0);
    a.mov(R1, 10);
    a.loadFunction(R2, "function");
    a.mov(R3, R10);
    a.add(R3, -8);
    a.mov(R4, 0);
    a.call("loop");
    a.load("u64", R1, R10, -8);
    a.lsh(R0, 16);
    a.add(R0, R1);
    a.exit();
    a.label("function");
    a.load("u64", R3, R2, 0);
    a.add(R3, R1);
    a.store("u64", R2, 0, R3);
    a.mov(R0, 0);
    a.jumpIf(R1, "!=", 6, "go");
    a.mov(R0, 1);
    a.label("go");
    a.exit();
  });
  assert.equal(got, (7 << 16) + 21);
});

test("the interpreter ends loops that do not, and says where", () => {
  const a = new Assembler();
  a.mov(R0, 0);
  a.label("for ever");
  a.jump("for ever");
  a.exit();
  const instance = XdpInstance.open(assembled(a), { verifies: false, budget: 1000 });
  assert.throws(() => instance.run(FRAME), {
    code: "ELOOP",
    message: /main: instruction 1: .*too many/,
  });
});

test("an address outside of the memory is an error in both engines", () => {
  const a = new Assembler();
  a.loadConstant(R1, 0x7fff_ffffn);
  a.load("u64", R0, R1, 0);
  a.exit();
  for (const engine of ENGINES) {
    const instance = XdpInstance.open(assembled(a), { verifies: false, engine });
    assert.throws(() => instance.run(FRAME), { code: "EFAULT" });
  }
});

test("strict mode sees what is not the program's", () => {
  const a = new Assembler();
  a.load("u32", R2, R1, 0);
  a.load("u8", R0, R2, 64); // behind the packet
  a.exit();
  const instance = XdpInstance.open(assembled(a), { isStrict: true });
  assert.throws(() => instance.run(FRAME), {
    code: "EFAULT",
    message: /instruction 1: a read of 1 byte/,
  });
});

test("the packet that was given stays as it is", () => {
  const a = new Assembler();
  a.load("u32", R2, R1, 0);
  a.load("u32", R3, R1, 4);
  a.mov(R0, R2);
  a.add(R0, 14);
  a.jumpIf(R0, ">", R3, "end");
  a.store("u16", R2, 0, 0x1234);
  a.label("end");
  a.mov(R0, XdpVerdict.TX);
  a.exit();
  for (const engine of ENGINES) {
    const { packet, verdict } = XdpInstance.open(assembled(a), { engine }).run(FRAME);
    assert.equal(verdict, XdpVerdict.TX);
    assert.deepEqual([...packet.subarray(0, 3)], [0x34, 0x12, 0xa5]);
    assert.equal(FRAME[0], 0xa5);
  }
});

test("records of a ring reach the host", () => {
  const object = objectOf("ddos_guard");
  const frame = new Uint8Array(60);
  frame.set([8, 0, 0x45], 12);
  frame.set([192, 0, 2, 1], 26);
  for (const engine of ENGINES) {
    const instance = XdpInstance.open(object, { engine });
    const verdicts = Array.from({ length: 10 }, () => instance.run(frame).verdict);
    assert.deepEqual(verdicts, [2, 2, 2, 2, 2, 2, 2, 2, 1, 1]);
    const records: string[] = [];
    const ring = instance.map("reports");
    assert.ok(ring instanceof RingMap);
    ring.drain((record) => records.push(Buffer.from(record).toString("hex")));
    assert.deepEqual(records, ["c0000201090000000000000000000000"]);
  }
});

test("tail calls run the other program, and go on when there is none", () => {
  const tagged = new Uint8Array(60);
  tagged.set([0x81, 0, 0, 7, 8, 0], 12);
  for (const engine of ENGINES) {
    const instance = XdpInstance.open(objectOf("vlan_gate"), { engine, program: "vlan_gate" });
    assert.equal(instance.run(tagged).packet.length, 56);
    assert.equal(instance.run(FRAME).verdict, XdpVerdict.PASS);
    const taken = instance.map("taken");
    const counts = taken.entries().map(({ value }) => value[0]);
    assert.deepEqual(counts, [1, 0, 0, 1]);
  }
});

test("a map of maps gives a program the map that the value names", () => {
  const inner = mapDefinition({ name: "inner", type: MapType.ARRAY, valueBytes: 4 });
  const outer = mapDefinition({
    name: "outer",
    type: MapType.ARRAY_OF_MAPS,
    valueBytes: 4,
    inner,
    entries: [null, "inner"],
  });
  const a = new Assembler();
  a.store("u32", R10, -4, 1);
  a.mov(R2, R10);
  a.add(R2, -4);
  a.loadMap(R1, "outer");
  a.call("map_lookup_elem");
  a.jumpIf(R0, "==", 0, "none");
  a.mov(R1, R0);
  a.mov(R2, R10);
  a.add(R2, -4);
  a.call("map_lookup_elem");
  a.jumpIf(R0, "==", 0, "none");
  a.load("u32", R0, R0, 0);
  a.exit();
  a.label("none");
  a.mov(R0, 77);
  a.exit();
  for (const engine of ENGINES) {
    const instance = XdpInstance.open(assembled(a, [inner, outer]), { engine });
    instance.map("inner").set(Uint8Array.of(1, 0, 0, 0), Uint8Array.of(42, 0, 0, 0));
    assert.equal(instance.run(FRAME).verdict, 42);
  }
});

test("a map of maps takes none that is not as programs were verified for", () => {
  const fields = { type: MapType.ARRAY, valueBytes: 4 };
  const inner = mapDefinition({ ...fields, name: "inner", valueBytes: 512 });
  const outer = mapDefinition({ ...fields, name: "outer", type: MapType.ARRAY_OF_MAPS, inner });
  const a = new Assembler();
  a.mov(R0, 2);
  a.exit();
  const expected = { code: "EINVAL", message: /outer cannot hold \w+, which (has|is) / };
  for (const other of [
    mapDefinition({ ...fields, name: "values" }),
    mapDefinition({ ...inner, name: "keys", type: MapType.HASH, keyBytes: 8 }),
    mapDefinition({ ...inner, name: "entries", maxEntries: 5 }),
    mapDefinition({ ...inner, name: "flags", flags: 1 << 7 }),
    mapDefinition({ ...inner, name: "lock", lockAt: 8 }),
    mapDefinition({ ...outer, name: "outer2" }),
  ]) {
    const instance = XdpInstance.open(assembled(a, [outer, other]));
    assert.throws(
      () => instance.setInner("outer", Uint8Array.of(0, 0, 0, 0), other.name),
      expected,
    );
    const atStart = { ...outer, entries: [other.name] };
    assert.throws(() => XdpInstance.open(assembled(a, [atStart, other])), expected);
  }
});

/** A TCP header's flags, sequence and acknowledgement in a packet, for programs that see no other. */
function tcpFrame(flags: number, seq: number, ack: number): Uint8Array {
  const frame = new Uint8Array(54);
  const view = new DataView(frame.buffer);
  view.setUint32(34 + 4, seq);
  view.setUint32(34 + 8, ack);
  view.setUint8(34 + 12, 0x50);
  view.setUint8(34 + 13, flags);
  return frame;
}

test("a SYN cookie is good for the ACK that carries it, and no other", () => {
  const a = new Assembler();
  a.mov(R6, R1);
  a.load("u32", R7, R1, 0);
  a.load("u32", R3, R1, 4);
  a.mov(R1, R7);
  a.add(R1, 54);
  a.jumpIf(R1, ">", R3, "short");
  a.mov(R1, R7);
  a.add(R1, 14);
  a.mov(R2, R7);
  a.add(R2, 34);
  a.load("u8", R3, R7, 34 + 13);
  a.jumpIf(R3, "==", 0x10, "ack");
  a.mov(R3, 20);
  a.call("tcp_raw_gen_syncookie_ipv4");
  a.exit();
  a.label("ack");
  a.call("tcp_raw_check_syncookie_ipv4");
  a.exit();
  a.label("short");
  a.mov(R0, 1);
  a.exit();
  for (const engine of ENGINES) {
    const instance = XdpInstance.open(assembled(a), { engine, seed: 7 });
    instance.runtime.setTime(10n ** 15n);
    const cookie = instance.run(tcpFrame(2, 1000, 0)).verdict >>> 0;
    const answer = (cookie + 1) >>> 0;
    assert.equal(instance.run(tcpFrame(0x10, 1001, answer)).verdict, 0);
    assert.equal(instance.run(tcpFrame(0x10, 1002, answer)).verdict, -EACCES);
    assert.equal(instance.run(tcpFrame(0x10, 1001, answer + 4)).verdict, -EACCES);
    assert.equal(instance.run(tcpFrame(0x12, 1001, answer)).verdict, -EINVAL);
    instance.runtime.setTime(10n ** 15n + 200n * 10n ** 9n);
    assert.equal(instance.run(tcpFrame(0x10, 1001, answer)).verdict, -EACCES);
  }
});

test("what is not there is refused by its name", () => {
  const a = new Assembler();
  a.call("skb_vlan_push");
  a.exit();
  const refusal = { code: "ENOTSUP", message: /instruction 0: bpf_skb_vlan_push is not supported/ };
  assert.throws(() => XdpInstance.open(assembled(a)), refusal);
});
