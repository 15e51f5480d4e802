/**
 * An example of examples/xdp: `ebpf.js PROGRAM ENGINE FILE`; prints one JSON line. ENGINE: interp, wasm, trace, chosen
 * (traces or the whole program), and with `-burst` behind it bursts of 64 packets; kernel (its test run), native (its machine code,
 * called from C, packet after packet). Packets are in 64 frames, in turn, but for the kernel's test run, which has one. A packet is as the
 * program leaves it next time, so programs are set up to change nothing that decides.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { BurstAt, setRecord } from "../../src/ebpf/burst.js";
import { XdpInstance } from "../../src/ebpf/instance.js";
import { LinearMemory } from "../../src/ebpf/linear-memory.js";
import { parseObject } from "../../src/ebpf/object.js";
import { KernelObject } from "../../src/nic/kernel-object.js";
import { testRun } from "../../src/sys/bpf-program.js";
import { ChosenProgram } from "../../src/xdp/chosen-program.js";
import { TracedProgram } from "../../src/xdp/traced-program.js";
import { nativeProgram } from "../child.js";
import { EBPF_FLOW, ebpfEntries, ebpfFrame } from "../ebpf-frames.js";
import { perPacket } from "../per-packet.js";

const PACKETS = 2_000_000;
const HEADROOM_BYTES = 256;
const FRAME_BYTES = 3_776;
const FRAMES = 64;
/** Frames do not all begin in the same line of the cache. */
const FRAME_STRIDE = 2_048 + 192;
const KERNEL_RUNS = 9;
const KERNEL_REPEAT = 200_000;

const [name, engine, file] = process.argv.slice(2) as [string, string, string];
const object = parseObject(readFileSync(file));
const packet = ebpfFrame(EBPF_FLOW);
const entries = ebpfEntries(name);

if (engine === "kernel") {
  const kernel = KernelObject.load(object, { program: name });
  for (const { map, key, value } of entries) kernel.map(map).update(key, value);
  const out = new Uint8Array(4096);
  const times = Array.from(
    { length: KERNEL_RUNS },
    () => testRun(kernel.fd, packet, out, null, KERNEL_REPEAT).durationNs,
  ).sort((a, b) => a - b);
  kernel.close();
  console.log(
    JSON.stringify({ ns_per_packet: times[KERNEL_RUNS >> 1], min_ns_per_packet: times[0] }),
  );
} else if (engine === "native") {
  const kernel = KernelObject.load(object, { program: name });
  const runner = await nativeProgram("jit-run");
  const { stdout, status } = spawnSync(runner, [], {
    input: packet,
    stdio: ["pipe", "pipe", "inherit", kernel.fd],
  });
  kernel.close();
  if (status !== 0) throw new Error(`jit-run: exit status ${status}`);
  process.stdout.write(stdout);
} else {
  const [kind, way] = engine.split("-") as [string, string?];
  const isTrace = kind === "trace" || kind === "chosen";
  const host = isTrace ? "wasm" : (kind as "interp" | "wasm");
  const memory = LinearMemory.create(XdpInstance.neededBytes(object) + FRAMES * FRAME_BYTES);
  const instance = XdpInstance.open(object, { program: name, engine: host, memory });
  for (const { map, key, value } of entries) instance.map(map).set(key, value);
  const { words } = memory;
  const recordsAt = memory.take(FRAMES * BurstAt.BYTES, "records");
  const framesAt = memory.take(FRAMES * FRAME_STRIDE, "frames");
  for (let n = 0; n < FRAMES; n++) {
    const hardStart = framesAt + n * FRAME_STRIDE;
    const at = hardStart + HEADROOM_BYTES;
    const place = [at, at + packet.length, hardStart, hardStart + FRAME_STRIDE];
    memory.bytes.set(packet, at);
    setRecord(words, recordsAt + n * BurstAt.BYTES, place);
  }
  const chosen = kind === "chosen" ? new ChosenProgram(instance) : null;
  const traced = kind === "trace" ? new TracedProgram(instance) : null;
  const runner = chosen ?? traced ?? instance;
  const figures = await perPacket(PACKETS, (count) => {
    if (way === "burst") {
      for (let n = 0; n < count; ) {
        // Packets of redirecting programs come one at a time.
        for (let i = 0; i < FRAMES; )
          i += runner.runBurst(recordsAt + i * BurstAt.BYTES, FRAMES - i);
        n += FRAMES;
      }
      return;
    }
    for (let n = 0; n < count; ) {
      for (let i = 0; i < FRAMES; i++, n++) {
        const w = (recordsAt + i * BurstAt.BYTES) >>> 2;
        runner.runAt(words[w]!, words[w + 1]!, words[w + 2]!, words[w + 3]!);
      }
    }
  });
  const perInstruction =
    kind === "interp" ? { ns_per_instruction: figures.ns_per_packet! / instance.executed } : {};
  const choice = chosen === null ? {} : { runs_traces: Number(chosen.runsTraces) };
  console.log(JSON.stringify({ ...figures, ...perInstruction, ...choice }));
}
