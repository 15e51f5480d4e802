/** Random programs over the whole instruction set do in both engines what they do in the kernel. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../src/base/random.js";
import { disassemble } from "../../src/ebpf/disasm.js";
import type { BpfObject } from "../../src/ebpf/object.js";
import { loadProgram, ProgramType, testRun } from "../../src/sys/bpf-program.js";
import { closeFd } from "../../src/sys/fd.js";
import { RandomProgram } from "../support/random-program.js";
import { openContestant } from "../support/xdp-oracle.js";

const NAMES = ["interp", "wasm", "traces"] as const;
const PROGRAMS = 1_500;
const PACKETS = 8;
const FIRST_SEED = 1;

/** An object of one program without maps; functions begin where calls lead. */
function objectOf(code: Uint8Array): BpfObject {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  const starts = new Set([0]);
  for (let at = 0; at < code.length; at += 8) {
    if (code[at] === 0x18) at += 8;
    else if (code[at] === 0x85 && code[at + 1] === 0x10)
      starts.add(at + 8 + 8 * view.getInt32(at + 4, true));
  }
  const functions = [...starts].sort((a, b) => a - b).map((at) => ({ name: `f${at}`, at }));
  const program = {
    name: "random",
    section: "xdp",
    problem: null,
    code,
    maps: [],
    functions,
    lines: [],
  };
  return { programs: [program], maps: [], license: "Apache-2.0", btf: null };
}

test("random programs give the same result and packet in the kernel and in the engines", (t) => {
  const out = new Uint8Array(4096);
  let comparisons = 0;
  let refused = 0;
  let byTrace = 0;
  let byHost = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + PROGRAMS; seed++) {
    const code = new RandomProgram(seed).build();
    let fd: number;
    try {
      fd = loadProgram({ type: ProgramType.XDP, code, name: "mr_random" });
    } catch {
      refused++;
      continue;
    }
    const object = objectOf(code);
    const engines = NAMES.map((name) => openContestant(name, object, { seed, verifies: false }));
    const random = new Random(seed);
    for (let n = 0; n < PACKETS; n++) {
      const packet = Uint8Array.from({ length: 64 }, () =>
        random.chance(0.3) ? 0xff * random.below(2) : random.below(256),
      );
      const { verdict, lengthBytes } = testRun(fd, packet, out);
      const theirs = Buffer.from(out.subarray(0, lengthBytes)).toString("hex");
      for (const { name, runner, traced } of engines) {
        let ours = runner.run(packet);
        // The first time it was traced, the second it runs by the trace.
        if (traced !== null) ours = runner.run(packet);
        comparisons++;
        assert.deepEqual(
          [ours.verdict, Buffer.from(ours.packet).toString("hex")],
          [verdict, theirs],
          `${name}, seed ${seed}, packet ${Buffer.from(packet).toString("hex")}:\n${disassemble(code).join("\n")}`,
        );
      }
    }
    for (const { traced } of engines) {
      if (traced === null) continue;
      byTrace += traced.counters.hits;
      byHost += traced.counters.hostOnly + traced.counters.evicted;
    }
    closeFd(fd);
  }
  t.diagnostic(
    `${comparisons} comparisons of ${PROGRAMS - refused} random programs, ${refused} refused; ` +
      `${byTrace} packets by traces, ${byHost} that had none`,
  );
  assert.ok(byTrace > 50 * byHost, "nearly all paths have traces");
  assert.ok(refused < PROGRAMS / 20, `${refused} of ${PROGRAMS} refused`);
});
