/**
 * The verifier beside the kernel's: it takes every program that the kernel takes, and of programs with
 * random damage it takes none that then touches what is not its own, or never ends. On nearly all of them
 * both say the same.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../src/base/random.js";
import { EbpfError } from "../../src/ebpf/ebpf-error.js";
import { XdpInstance } from "../../src/ebpf/instance.js";
import { LDDW } from "../../src/ebpf/isa.js";
import type { BpfObject, ObjectProgram } from "../../src/ebpf/object.js";
import { verifyProgram } from "../../src/ebpf/verify-program.js";
import { KernelObject } from "../../src/nic/kernel-object.js";
import { RandomProgram } from "../support/random-program.js";
import { exampleObjects, libxdpObjects } from "../support/xdp-objects.js";
import { capturedPackets } from "../support/xdp-packets.js";

const xdpPrograms = (object: BpfObject): ObjectProgram[] =>
  object.programs.filter(({ section }) => section.startsWith("xdp"));

test("every program of the examples and of libxdp1 is accepted", () => {
  for (const { object } of [...exampleObjects(), ...libxdpObjects()]) {
    for (const program of xdpPrograms(object)) verifyProgram(object, program);
  }
});

test("random programs over the whole instruction set are accepted, as by the kernel", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const code = new RandomProgram(seed).build();
    const functions = [{ name: "random", at: 0 }];
    const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
    for (let at = 0; at < code.length; at += 8) {
      if (code[at] === LDDW) at += 8;
      else if (code[at] === 0x85 && code[at + 1] === 0x10) {
        const to = at + 8 + 8 * view.getInt32(at + 4, true);
        if (!functions.some((f) => f.at === to)) functions.push({ name: `f${to}`, at: to });
      }
    }
    const program = {
      name: `seed ${seed}`,
      section: "xdp",
      problem: null,
      code,
      maps: [],
      functions,
      lines: [],
    };
    verifyProgram({ programs: [program], maps: [], license: "", btf: null }, program);
  }
});

/** One or two instructions changed: a bit, a register, an offset, a constant, or another in its place. */
function damaged(code: Uint8Array, random: Random): Uint8Array {
  const changed = code.slice();
  const words = code.length / 8;
  for (let n = random.below(2); n >= 0; n--) {
    const at = 8 * random.below(words);
    const kind = random.below(6);
    if (kind === 0) changed[at]! ^= 1 << random.below(8);
    else if (kind === 1) changed[at + 1]! ^= 1 << random.below(8);
    else if (kind === 2) changed[at + 2] = random.below(64);
    else if (kind === 3) changed[at + 4] = random.below(256);
    else if (kind === 4)
      changed.copyWithin(at, 8 * random.below(words), 8 * random.below(words) + 8);
    else changed.set([0xbf, random.below(11) | (random.below(10) << 4), 0, 0, 0, 0, 0, 0], at);
  }
  return changed;
}

const DAMAGED_EACH = 60;
const BUDGET = 4_000_000;

test("what it accepts of damaged programs stays inside of what it may touch, and ends", (t) => {
  const seed = 7;
  const random = new Random(seed);
  const packets = capturedPackets().filter((_, index) => index % 12 === 0);
  let [same, all, runs] = [0, 0, 0];
  for (const { name, object } of exampleObjects()) {
    const [program] = xdpPrograms(object);
    for (let n = 0; n < DAMAGED_EACH && object.programs.length === 1; n++) {
      const other = { ...program!, code: damaged(program!.code, random) };
      const changed = { ...object, programs: [other] };
      const isAccepted = accepts(() => verifyProgram(changed, other));
      const isTaken = accepts(() => KernelObject.load(changed, { program: other.name }).close());
      all++;
      if (isAccepted === isTaken) same++;
      if (!isAccepted) continue;
      runs += packets.length;
      runAll(changed, packets, `${name}, seed ${seed}`);
    }
  }
  t.diagnostic(
    `${all} damaged programs, the same verdict as the kernel on ${same}; ${runs} runs of accepted ones`,
  );
  assert.ok(same > 0.97 * all, `${same} of ${all}`);
});

/** In strict mode nothing goes wrong but what this engine does not have. */
function runAll(object: BpfObject, packets: readonly Uint8Array[], what: string): void {
  try {
    const instance = XdpInstance.open(object, { isStrict: true, seed: 1, budget: BUDGET });
    for (const packet of packets) instance.run(packet);
  } catch (error) {
    assert.ok(error instanceof EbpfError && error.code === "ENOTSUP", `${what}: ${error}`);
  }
}

function accepts(run: () => void): boolean {
  try {
    run();
    return true;
  } catch {
    return false;
  }
}
