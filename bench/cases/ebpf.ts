/**
 * An example of examples/xdp on one packet: `ebpf.js PROGRAM ENGINE FILE`; prints one JSON line. ENGINE: interp, wasm,
 * trace, chosen (traces or the whole program), kernel (its test run), native (its machine code, called from C). The packet is as the
 * program leaves it next time, in the kernel's test run as here, so programs are set up to change nothing
 * that decides.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { XdpInstance } from "../../src/ebpf/instance.js";
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
  const isTrace = engine === "trace" || engine === "chosen";
  const host = isTrace ? "wasm" : (engine as "interp" | "wasm");
  const instance = XdpInstance.open(object, { program: name, engine: host });
  for (const { map, key, value } of entries) instance.map(map).set(key, value);
  const { runtime } = instance;
  instance.run(packet); // puts it into the memory
  const at = runtime.dataAt;
  const end = runtime.dataEnd;
  const hardStart = at - HEADROOM_BYTES;
  const chosen = engine === "chosen" ? new ChosenProgram(instance) : null;
  const traced = engine === "trace" ? new TracedProgram(instance) : null;
  // The first packet is traced, the others take the trace.
  traced?.runAt(at, end, hardStart, hardStart + FRAME_BYTES);
  const runner = chosen ?? traced ?? instance;
  const figures = await perPacket(PACKETS, (count) => {
    for (let n = 0; n < count; n++) runner.runAt(at, end, hardStart, hardStart + FRAME_BYTES);
  });
  const perInstruction =
    engine === "interp" ? { ns_per_instruction: figures.ns_per_packet! / instance.executed } : {};
  const choice = chosen === null ? {} : { runs_traces: Number(chosen.runsTraces) };
  console.log(JSON.stringify({ ...figures, ...perInstruction, ...choice }));
}
