/**
 * Objects and the kernel: source lines in its verifier's log, frozen constants, and the functions of the kernel
 * that XDP programs call by name, which say what the NIC says of a packet.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { EOPNOTSUPP, EPERM } from "../../src/base/errno.js";
import { XdpInstance } from "../../src/ebpf/instance.js";
import { type BpfObject, parseObject } from "../../src/ebpf/object.js";
import { VerifyError } from "../../src/ebpf/verify.js";
import { verifyProgram } from "../../src/ebpf/verify-program.js";
import { KernelObject } from "../../src/nic/kernel-object.js";
import { TracedProgram } from "../../src/xdp/traced-program.js";
import { compileExample, compileProgram } from "../support/xdp-objects.js";

function compiled(source: string): BpfObject {
  const folder = mkdtempSync(join(tmpdir(), "millrace-kfunc-"));
  try {
    const file = join(folder, "program.c");
    writeFileSync(file, source);
    return parseObject(compileProgram(file, "v3"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const HEAD = `
#include "packet.h"
#define __ksym __attribute__((section(".ksyms")))
extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) __ksym;
extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, __u32 *hash, __u32 *type) __ksym;
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *protocol, __u16 *tag) __ksym;
extern int bpf_xdp_get_xfrm_state(const struct xdp_md *ctx) __ksym;
char _license[] SEC("license") = "GPL";
`;

/** Puts what it is told into the packet. */
const TELLS = `${HEAD}
struct told { __u64 time; __u32 hash, type; __be16 protocol; __u16 tag; int results[3]; };
SEC("xdp")
int tells(struct xdp_md *ctx) {
  struct told told = {};
  told.results[0] = bpf_xdp_metadata_rx_timestamp(ctx, &told.time);
  told.results[1] = bpf_xdp_metadata_rx_hash(ctx, &told.hash, &told.type);
  told.results[2] = bpf_xdp_metadata_rx_vlan_tag(ctx, &told.protocol, &told.tag);
  struct told *to = data_of(ctx);
  if ((void *)(to + 1) > end_of(ctx)) return XDP_DROP;
  __builtin_memcpy(to, &told, sizeof told);
  return XDP_PASS;
}
`;

test("metadata is what the caller says of the packet, or not supported", () => {
  const object = compiled(TELLS);
  verifyProgram(object, object.programs[0]!);
  const engines = [
    XdpInstance.open(object, { engine: "interp", isStrict: true }),
    XdpInstance.open(object, { engine: "wasm" }),
    TracedProgram.open(object),
  ];
  for (const engine of engines) {
    for (let n = 0; n < 3; n++) {
      const nothing = new DataView(engine.run(new Uint8Array(64)).packet.buffer);
      const results = [20, 24, 28].map((at) => nothing.getInt32(at, true));
      assert.deepEqual(results, [-EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP]);
      const metadata = {
        ...{ hasTime: true, timeLow: 5 + n, timeHigh: 7 },
        ...{ hasHash: true, hash: 0xabc0 + n, hashType: 9 },
        ...{ hasTag: true, tagProtocol: 0x8100, tag: 42 },
      };
      const { packet } = engine.run(new Uint8Array(64), { metadata });
      const told = new DataView(packet.buffer);
      assert.equal(told.getBigUint64(0, true), (7n << 32n) + 5n + BigInt(n));
      assert.deepEqual([told.getUint32(8, true), told.getUint32(12, true)], [0xabc0 + n, 9]);
      assert.deepEqual([told.getUint16(16), told.getUint16(18, true)], [0x8100, 42]);
    }
  }
});

test("what it writes to must have room, and the kernel does not get such a program from here", () => {
  const object = compiled(`${HEAD}
SEC("xdp")
int late(struct xdp_md *ctx) {
  void *data = data_of(ctx);
  if (data + 60 > end_of(ctx)) return XDP_DROP;
  return bpf_xdp_metadata_rx_timestamp(ctx, data + 56) ? XDP_PASS : XDP_DROP;
}`);
  assert.throws(
    () => verifyProgram(object, object.programs[0]!),
    (error: unknown) =>
      error instanceof VerifyError &&
      /8 bytes at r2 \+ 56 are written, and only 60/.test(error.reason),
  );
  assert.throws(() => KernelObject.load(object, { program: "late" }), {
    code: "ENOTSUP",
    message: /bpf_xdp_metadata_rx_timestamp/,
  });
});

test("another function of the kernel is refused by its name", () => {
  const object = compiled(`${HEAD}
SEC("xdp")
int other(struct xdp_md *ctx) { return bpf_xdp_get_xfrm_state(ctx); }`);
  assert.match(
    object.programs[0]!.problem!.message,
    /other calls bpf_xdp_get_xfrm_state, a function of the kernel; of these there are bpf_xdp_metadata_rx_timestamp/,
  );
});

test("what the kernel's verifier refuses, it refuses with file and line", () => {
  const object = parseObject(compileExample("acl", "v3"));
  const [program] = object.programs;
  const code = program!.code.slice();
  const jump = code.findIndex((byte, at) => at % 8 === 0 && byte === 0x2d);
  code.set([0x05, 0, 0, 0, 0, 0, 0, 0], jump); // the comparison with data_end
  const broken = { ...object, programs: [{ ...program!, code }] };
  assert.throws(() => KernelObject.load(broken, { program: "acl" }), {
    message: /type = eth->h_proto; @ acl\.c:\d+.*invalid access to packet/s,
  });
});

test("constants can be written until the program is loaded, and not then", () => {
  const object = parseObject(compileExample("firewall", "v3"));
  const zero = new Uint8Array(4);
  const constants = object.maps.find(({ name }) => name === ".rodata")!;
  // Nobody is inside and others are passed.
  const wanted = new Uint8Array(constants.valueBytes);
  new DataView(wanted.buffer).setUint32(0, 0xffff_ffff, true);
  new DataView(wanted.buffer).setUint32(4, 0xffff_ffff, true);
  const kernel = KernelObject.load(object, {
    program: "firewall",
    fill: (map) => assert.equal(map(".rodata").update(zero, wanted), 0),
  });
  try {
    assert.equal(kernel.map(".rodata").update(zero, wanted), -EPERM);
    assert.equal(kernel.run(new Uint8Array(64), new Uint8Array(4096)).verdict, 2);
  } finally {
    kernel.close();
  }
});

const CONSTANTS = `
#include "packet.h"
const volatile __u32 place = 3;
const volatile __s16 step = -2;
const volatile __u8 is_unsafe = 0;
static __u64 table[8];
SEC("xdp")
int constants(struct xdp_md *ctx) {
  table[place] += step;
  if (is_unsafe) return *(__u8 *)data_of(ctx);
  if (place == 9) return bpf_get_hash_recalc((void *)ctx); /* for sockets' programs */
  return XDP_PASS;
}
char _license[] SEC("license") = "GPL";
`;

test("the verifier knows constants, as the kernel's does, and judges anew when they are others", () => {
  const object = compiled(CONSTANTS);
  KernelObject.load(object, { program: "constants" }).close();
  for (const engine of ["interp", "wasm"] as const) {
    const xdp = XdpInstance.open(object, { engine });
    const { valueBytes } = xdp.map(".rodata").definition;
    const constants = xdp.map(".rodata").get(new Uint8Array(4))!;
    assert.equal(xdp.run(new Uint8Array(64)).verdict, 2);
    const table = new DataView(xdp.map(".bss").get(new Uint8Array(4))!.buffer);
    assert.equal(table.getBigInt64(3 * 8, true), -2n);
    const [placeAt, unsafeAt] = [constants.indexOf(3), valueBytes - 1];
    for (const [at, value, expected] of [
      [placeAt, 7, null],
      [placeAt, 8, /reaches bytes 64 to 71 of a value of \.bss, which has 64/],
      [unsafeAt, 1, /compare with data_end/],
    ] as const) {
      const changed = constants.slice();
      changed[at] = value;
      const write = (): number => xdp.map(".rodata").set(new Uint8Array(4), changed);
      const kernel = (): void =>
        KernelObject.load(object, {
          program: "constants",
          fill: (mapOf) => void mapOf(".rodata").update(new Uint8Array(4), changed),
        }).close();
      if (expected === null) {
        assert.equal(write(), 0);
        kernel();
      } else {
        assert.throws(write, expected);
        assert.throws(kernel);
      }
    }
    // What was refused is not there.
    assert.equal(xdp.map(".rodata").get(new Uint8Array(4))![placeAt], 7);
    assert.equal(xdp.run(new Uint8Array(64)).verdict, 2);
  }
});

test("maps of section maps, as objects had them before BTF", () => {
  const object = compiled(`${HEAD}
struct old_map { unsigned int type, keyBytes, valueBytes, maxEntries, flags; };
struct old_map counts SEC("maps") = {BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0};
SEC("xdp")
int counting(struct xdp_md *ctx __attribute__((unused))) {
  __u32 second = 1;
  __u64 *count = bpf_map_lookup_elem(&counts, &second);
  if (count) *count += 1;
  return XDP_PASS;
}`);
  const xdp = XdpInstance.open(object);
  for (let n = 0; n < 3; n++) assert.equal(xdp.run(new Uint8Array(60)).verdict, 2);
  assert.deepEqual(
    [...xdp.map("counts").get(Uint8Array.of(1, 0, 0, 0))!],
    [3, 0, 0, 0, 0, 0, 0, 0],
  );
});

const STAGES = `
#include "packet.h"
struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); };
struct inner chosen SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 2);
  __type(key, __u32);
  __array(values, struct inner);
} outer SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 2);
  __uint(key_size, 4);
  __uint(value_size, 4);
} stages SEC(".maps");
SEC("xdp") int entry(struct xdp_md *ctx) {
  bpf_tail_call(ctx, &stages, 1);
  return XDP_ABORTED;
}
SEC("xdp") int second(struct xdp_md *ctx __attribute__((unused))) {
  __u32 key = 0;
  void *map = bpf_map_lookup_elem(&outer, &key);
  __u32 *value = map ? bpf_map_lookup_elem(map, &key) : 0;
  return value ? *value : XDP_ABORTED;
}
char _license[] SEC("license") = "GPL";
`;

test("programs and maps are put into maps by their names, in the kernel and here", () => {
  const object = compiled(STAGES);
  const name = (n: number): Uint8Array => new Uint8Array(Uint32Array.of(n).buffer);
  const packet = new Uint8Array(60);
  const kernel = KernelObject.load(object, {
    program: "entry",
    fill(map, refer) {
      assert.equal(refer("stages", name(1), "second"), 0);
      assert.equal(refer("outer", name(0), "chosen"), 0);
      assert.equal(map("chosen").update(name(0), name(3)), 0);
    },
  });
  try {
    assert.equal(kernel.run(packet, new Uint8Array(4096)).verdict, 3);
  } finally {
    kernel.close();
  }
  const here = XdpInstance.open(object, { program: "entry" });
  assert.equal(here.setProgram("stages", 1, "second"), 0);
  assert.equal(here.setInner("outer", name(0), "chosen"), 0);
  here.map("chosen").set(name(0), name(3));
  assert.equal(here.run(packet).verdict, 3);
});

const PLACES = `${HEAD}
SEC("xdp") int marked(struct xdp_md *ctx) {
  if (bpf_xdp_adjust_meta(ctx, -8)) return XDP_DROP;
  __u32 *meta = (void *)(long)ctx->data_meta;
  if ((void *)(meta + 1) > data_of(ctx)) return XDP_DROP;
  *meta = 7;
  return XDP_PASS;
}
SEC("xdp/devmap") int leaving(struct xdp_md *ctx) { return ctx->egress_ifindex ? XDP_PASS : XDP_DROP; }
SEC("xdp/cpumap") int arriving(struct xdp_md *ctx) { return ctx->ingress_ifindex ? XDP_PASS : XDP_DROP; }
`;

test("metadata is told from the packet, and programs for entries of maps can be loaded", () => {
  const object = compiled(PLACES);
  const kernel = KernelObject.load(object, { program: "marked" });
  try {
    const out = new Uint8Array(4096);
    const { verdict, lengthBytes, metadataBytes } = kernel.run(new Uint8Array(60), out);
    assert.deepEqual([verdict, lengthBytes, metadataBytes, out[0]], [2, 68, 8, 7]);
  } finally {
    kernel.close();
  }
  for (const program of ["leaving", "arriving"]) KernelObject.load(object, { program }).close();
});

test("metadata of a name that is not known is refused, and so is a program's", () => {
  const object = compiled(PLACES);
  const metadata = { rxTime: 5 } as object;
  assert.throws(
    () => XdpInstance.open(object, { program: "marked" }).run(new Uint8Array(60), { metadata }),
    {
      code: "EINVAL",
      message: /metadata has hasTime, .* and no rxTime/,
    },
  );
  assert.ok(verifyProgram(object, "leaving").steps > 0);
  assert.throws(() => verifyProgram(object, "nobody"), {
    code: "EINVAL",
    message: /the object has: marked/,
  });
});
