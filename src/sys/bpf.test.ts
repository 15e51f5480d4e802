/** Maps and programs of the kernel; all but the errors need privilege. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { skipFor } from "../../test/support/skip.js";
import { E2BIG, EBADF, EEXIST, EFAULT, ENOENT } from "../base/errno.js";
import { addon } from "./addon.js";
import { BpfMap, MapType, possibleCpus, UpdateFlag } from "./bpf-map.js";
import { loadProgram, ProgramType, programInfo, testRun, VerifierError } from "./bpf-program.js";
import { closeFd } from "./fd.js";

const options = { skip: skipFor(whyRefused()) };

function whyRefused(): string | null {
  const map = addon().bpfMapCreate(MapType.ARRAY, 4, 4, 1, 0, "probe", 1, -1, 0, 0, 0);
  if (typeof map === "number") return `needs to be root: bpf(2) is refused: ${map}`;
  addon().bpfMapClose(map);
  return null;
}

const word = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer);
const openFds = (): number => readdirSync("/proc/self/fd").length;

function createHash(maxEntries = 2): BpfMap {
  const type = MapType.HASH;
  return BpfMap.create({ type, keyBytes: 4, valueBytes: 4, maxEntries, name: "mr_test" });
}

test("elements are added, found, walked and deleted; every refusal is a number", options, () => {
  const before = openFds();
  const map = createHash();
  const value = new Uint8Array(4);
  assert.equal(map.lookup(word(1), value), -ENOENT);
  assert.equal(map.update(word(1), word(100)), 0);
  assert.equal(map.update(word(2), word(200), UpdateFlag.NO_EXIST), 0);
  assert.equal(map.update(word(2), word(201), UpdateFlag.NO_EXIST), -EEXIST);
  assert.equal(map.update(word(3), word(300)), -E2BIG);
  assert.equal(map.lookup(word(2), value), 0);
  assert.deepEqual(value, word(200));
  const keys = map.keys().map((key) => key[0]!);
  assert.deepEqual(keys.sort(), [1, 2]);
  assert.equal(map.delete(word(1)), 0);
  assert.equal(map.delete(word(1)), -ENOENT);
  map.close();
  map.close();
  assert.equal(map.update(word(1), word(1)), -EBADF);
  assert.equal(openFds(), before);
});

test("an array shorter than what the kernel would copy is refused", options, () => {
  const map = createHash();
  const short = new Uint8Array(3);
  assert.equal(map.update(short, word(1)), -EFAULT);
  assert.equal(map.update(word(1), short), -EFAULT);
  assert.equal(map.lookup(word(1), short), -EFAULT);
  assert.equal(map.delete(short), -EFAULT);
  assert.equal(map.nextKey(null, short), -EFAULT);
  assert.equal(map.nextKey(short, word(0)), -EFAULT);
  map.close();
});

test("a per-CPU map has a value for each CPU, in eight bytes or a multiple", options, () => {
  const type = MapType.PERCPU_ARRAY;
  const map = BpfMap.create({ type, keyBytes: 4, valueBytes: 12, maxEntries: 1, name: "mr_cpu" });
  assert.equal(map.bufferBytes, 16 * possibleCpus());
  assert.equal(map.lookup(word(0), new Uint8Array(map.bufferBytes)), 0);
  assert.equal(map.lookup(word(0), new Uint8Array(map.bufferBytes - 1)), -EFAULT);
  map.close();
});

test("a map that cannot be says what was asked for", options, () => {
  const type = MapType.HASH;
  assert.throws(
    () => BpfMap.create({ type, keyBytes: 0, valueBytes: 4, maxEntries: 1, name: "mr_test" }),
    { code: "EINVAL", message: /BPF_MAP_CREATE mr_test EINVAL.*key 0, value 4 bytes, 1 entries/ },
  );
});

/** `r0 = 2; exit` */
const PASS = Uint8Array.of(0xb7, 0, 0, 0, 2, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);
/** `r0 = r5; exit`: r5 was never written. */
const UNREADABLE = Uint8Array.of(0xbf, 0x50, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);

test("a program is loaded, known by its name, and runs on bytes", options, () => {
  const before = openFds();
  const fd = loadProgram({ type: ProgramType.XDP, code: PASS, name: "mr_test" });
  assert.equal(programInfo(fd).name, "mr_test");
  assert.equal(programInfo(fd).type, ProgramType.XDP);
  const out = new Uint8Array(2048);
  const frame = new Uint8Array(60).fill(0xa5);
  const { verdict, lengthBytes } = testRun(fd, frame, out);
  assert.equal(verdict, 2);
  assert.deepEqual(out.subarray(0, lengthBytes), frame);
  closeFd(fd);
  assert.equal(openFds(), before);
});

test(
  "a refused program is an error with the verifier's last words, and all of them",
  options,
  () => {
    const before = openFds();
    assert.throws(
      () => loadProgram({ type: ProgramType.XDP, code: UNREADABLE, name: "mr_bad" }),
      (error: VerifierError) => {
        assert.ok(error instanceof VerifierError);
        assert.equal(error.code, "EACCES");
        assert.match(error.message, /BPF_PROG_LOAD mr_bad EACCES.*R5 !read_ok/s);
        assert.match(error.log, /processed \d+ insns/);
        return true;
      },
    );
    assert.equal(openFds(), before);
  },
);

test("a log longer than the first buffer is read whole", options, () => {
  const states = 2000;
  const code = new Uint8Array((states + 2) * 8);
  for (let i = 0; i < states; i++) code.set([0xb7, 1, 0, 0, i & 127, 0, 0, 0], i * 8);
  code.set(UNREADABLE, states * 8);
  assert.throws(
    () => loadProgram({ type: ProgramType.XDP, code, name: "mr_long" }),
    (error: VerifierError) => {
      assert.ok(error.log.length > 64 * 1024, `${error.log.length} characters`);
      assert.match(error.log, /^0: R1=/m);
      assert.match(error.log, /R5 !read_ok/);
      return true;
    },
  );
});
