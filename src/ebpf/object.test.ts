import assert from "node:assert/strict";
import { test } from "node:test";
import { Btf, BtfKind, type BtfType, VOID } from "./btf.js";
import { EbpfError } from "./ebpf-error.js";
import { parseElf } from "./elf.js";
import { MapType } from "./map-type.js";
import { parseObject } from "./object.js";
import { objectBytes, objectOf } from "./object-fixture.js";
import { lockIn } from "./verify-lock.js";

test("programs, licence and source lines of an object", () => {
  const { programs, maps, license } = objectOf("ipv6_filter");
  const [program] = programs;
  assert.equal(license, "Apache-2.0");
  assert.deepEqual(maps, []);
  assert.equal(program!.name, "ipv6_filter");
  assert.equal(program!.section, "xdp");
  assert.equal(program!.code.length, 14 * 8);
  assert.match(program!.lines[1]!.file, /packet\.h$|ipv6_filter\.c$/);
});

test("maps of section .maps, with what their entries are at the start", () => {
  const { maps } = objectOf("vlan_gate");
  const { type, keyBytes, valueBytes, maxEntries, entries } = maps.find(
    (m) => m.name === "stages",
  )!;
  assert.deepEqual([type, keyBytes, valueBytes, maxEntries], [MapType.PROG_ARRAY, 4, 4, 4]);
  assert.deepEqual(entries, ["strip", "mark"]);
});

test("variables are maps with one entry, at the places that symbols say", () => {
  const { maps, btf } = objectOf("ddos_guard");
  const constants = maps.find((m) => m.name === ".rodata")!;
  const names = btf!.at(constants.valueType).variables.map((v) => [btf!.at(v.type).name, v.at]);
  assert.deepEqual(Object.fromEntries(names), { window: 0, allowed: 4 });
  assert.deepEqual([...constants.initial!], [64, 0, 0, 0, 8, 0, 0, 0]);
});

test("functions of their own are linked behind the program that calls them", () => {
  const [program] = objectOf("tunnel").programs;
  assert.deepEqual(
    program!.functions.map(({ name }) => name),
    ["tunnel", "decapsulate", "encapsulate"],
  );
});

test("an object cut short anywhere is an error that says so, never another exception", () => {
  const bytes = objectBytes("vlan_gate");
  for (let end = 0; end < bytes.length; end++) {
    assert.throws(
      () => parseObject(bytes.subarray(0, end)),
      (error) => error instanceof EbpfError && error.code === "ENOEXEC",
      `${end} bytes`,
    );
  }
});

const changed = (at: number, ...values: number[]): Uint8Array => {
  const bytes = objectBytes("ipv6_filter");
  bytes.set(values, at);
  return bytes;
};

test("what is no object of eBPF is named", () => {
  assert.throws(() => parseElf(changed(0, 0)), /no ELF file/);
  assert.throws(() => parseElf(changed(4, 1)), /64 bits/);
  assert.throws(() => parseElf(changed(5, 2)), /bpfel/);
  assert.throws(() => parseElf(changed(18, 62)), /machine 62, expected eBPF \(247\)/);
  assert.throws(() => parseElf(changed(16, 2)), /build with clang -c/);
  assert.throws(() => parseElf(changed(60, 0xff, 0xff)), /65535 section headers/);
});

test("types that refer to themselves in a circle are an error", () => {
  const circle = (id: number, kind: number, fields: Partial<BtfType>): BtfType => ({
    ...VOID,
    id,
    kind,
    ...fields,
  });
  const btf = new Btf([
    VOID,
    circle(1, BtfKind.TYPEDEF, { type: 2 }),
    circle(2, BtfKind.CONST, { type: 1 }),
    circle(3, BtfKind.ARRAY, { type: 3, elements: 2 }),
  ]);
  assert.throws(() => btf.resolve(1), /type 1 is a loop of typedefs/);
  assert.throws(() => btf.sizeOf(3), /type 3 is a loop of arrays/);
  assert.throws(() => btf.at(9), /there is no type 9/);
});

test("where values have their lock: of arrays and hashes, in a struct or among variables", () => {
  const type = (id: number, kind: number, fields: Partial<BtfType>): BtfType => ({
    ...VOID,
    id,
    kind,
    ...fields,
  });
  const member = (name: string, of: number, at: number) => ({
    name,
    type: of,
    bitOffset: at * 8,
    bitSize: 0,
  });
  const btf = new Btf([
    VOID,
    type(1, BtfKind.STRUCT, { name: "bpf_spin_lock", sizeBytes: 4 }),
    type(2, BtfKind.STRUCT, { members: [member("n", 4, 0), member("lock", 1, 8)] }),
    type(3, BtfKind.VAR, { name: "shared", type: 1 }),
    type(4, BtfKind.INT, { sizeBytes: 8 }),
    type(5, BtfKind.DATASEC, { variables: [{ type: 3, at: 16, sizeBytes: 4 }] }),
  ]);
  assert.equal(lockIn(btf, 2, MapType.HASH), 8);
  assert.equal(lockIn(btf, 5, MapType.ARRAY), 16);
  assert.equal(lockIn(btf, 4, MapType.ARRAY), null);
  assert.equal(lockIn(btf, 2, MapType.LRU_HASH), null); // the kernel has none there
});

test("a huge number anywhere in an object is refused in words, or does no harm", () => {
  for (const name of ["ipv6_filter", "core_types"]) {
    const whole = objectBytes(name);
    for (let at = 0; at + 4 <= whole.length; at += 4) {
      const changed = whole.slice();
      new DataView(changed.buffer).setUint32(at, 0xffff_fff0, true);
      try {
        parseObject(changed);
      } catch (error) {
        assert.ok(error instanceof EbpfError && error.message.length > 20, `${at}: ${error}`);
      }
    }
  }
});
