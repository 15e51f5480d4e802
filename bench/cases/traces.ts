/**
 * Many traces of one program: `traces.js tree N OBJECT` is the time that the tree of the N most used traces takes
 * to say which one is a packet's; `tree-batch`: for up to 64 packets a call; `traces.js install N OBJECT` what making traces
 * and taking them in costs when they are compiled after N packets, -: as many as usual.
 * The packets are those of the tests, captured and damaged, in memory. Prints one JSON line.
 */
import { readFileSync } from "node:fs";
import { BurstAt } from "../../src/ebpf/burst.js";
import { XdpInstance } from "../../src/ebpf/instance.js";
import { LinearMemory } from "../../src/ebpf/linear-memory.js";
import { parseObject } from "../../src/ebpf/object.js";
import { TracedProgram } from "../../src/xdp/traced-program.js";
import { capturedPackets, damagedPackets } from "../../test/support/xdp-packets.js";
import { setupOf } from "../../test/support/xdp-setups.js";
import { perPacket } from "../per-packet.js";

const DAMAGED = 6_000;
/** Frames do not all begin in the same line of the cache. */
const FRAME_BYTES = 2_048 + 192;
const HEADROOM_BYTES = 256;
const TAIL_BYTES = FRAME_BYTES - HEADROOM_BYTES;
const MAX_FRAMES = 64;
const CALLS = 4_000_000;
/** Programs opened and traced before one that is measured. */
const WARM_UPS = 3;

const [what, count, file] = process.argv.slice(2) as [string, string, string];
const object = parseObject(readFileSync(file));
const captured = capturedPackets();
const packets = [...captured, ...damagedPackets(captured, DAMAGED, 1)];

/** Opens the object with maps filled as for the tests. */
function open(memory: LinearMemory): TracedProgram {
  const instance = XdpInstance.open(object, { engine: "wasm", seed: 1, memory });
  const options = what === "install" && count !== "-" ? { compilesAfter: Number(count) } : {};
  const traced = new TracedProgram(instance, options);
  const maps = object.maps.map(({ name }) => name);
  for (const { map, key, value } of setupOf(file.split("/").at(-1)!, maps, captured)) {
    const all = new Uint8Array(traced.map(map).bufferBytes);
    all.set(value);
    traced.map(map).set(key, all);
  }
  return traced;
}

const memory = LinearMemory.create(512 << 20);
const traced = open(memory);

/** Microseconds that packets of new paths take beyond their run on the host, which is measured beside them. */
function installTimes(traced: TracedProgram, host: XdpInstance): number[] {
  const times: number[] = [];
  for (const packet of packets) {
    const known = traced.traces.length;
    const start = process.hrtime.bigint();
    traced.run(packet);
    const end = process.hrtime.bigint();
    host.run(packet);
    const after = process.hrtime.bigint();
    if (traced.traces.length > known) times.push(Number(end - start - (after - end)) / 1_000);
  }
  return times.sort((a, b) => a - b);
}

if (what === "install") {
  const host = XdpInstance.open(object, { engine: "wasm", seed: 1, memory });
  const at = (times: number[], part: number): number => times[Math.floor(part * times.length)]!;
  const cold = installTimes(traced, host);
  for (let n = 0; n < WARM_UPS; n++) installTimes(open(memory), host);
  const warm = installTimes(open(memory), host);
  const all = { p50_us: warm, cold_us: cold };
  const figures = Object.fromEntries(
    Object.entries(all).map(([name, times]) => [name, at(times, 0.5)]),
  );
  const tails = { p90_us: at(warm, 0.9), p99_us: at(warm, 0.99), cold_p90_us: at(cold, 0.9) };
  // What all of them cost for each path: the compiler's threads and later compilation are in it.
  const before = process.cpuUsage();
  const start = traced.traces.length;
  const last = open(memory);
  const opened = process.cpuUsage(before);
  for (const packet of packets) last.run(packet);
  const { user, system } = process.cpuUsage(before);
  const spent = user + system - opened.user - opened.system;
  const amortised = { cpu_us_per_trace: spent / last.traces.length };
  console.log(JSON.stringify({ ...figures, ...tails, ...amortised, traces: start }));
} else {
  const taken = packets.map((packet) => {
    traced.run(packet);
    return traced.lastTrace;
  });
  const chosen = [...traced.traces]
    .sort((a, b) => traced.hitsOf(b.id) - traced.hitsOf(a.id))
    .slice(0, Number(count));
  const match = traced.matcher(chosen);
  const ids = new Set(chosen.map(({ id }) => id));
  const frames: number[] = [];
  const ends: number[] = [];
  for (const [n, packet] of packets.entries()) {
    if (packet.length > FRAME_BYTES - HEADROOM_BYTES) continue;
    if ((ids.size > 0 && !ids.has(taken[n]!)) || frames.length === MAX_FRAMES) continue;
    const at = memory.take(FRAME_BYTES, "a frame") + HEADROOM_BYTES;
    memory.bytes.set(packet, at);
    frames.push(at);
    ends.push(at + packet.length);
    if (
      match(at, at + packet.length, at - HEADROOM_BYTES, at + TAIL_BYTES) !==
      (ids.size > 0 ? taken[n] : -1)
    ) {
      throw new Error(`packet ${n}: not the trace that it took`);
    }
  }
  let sum = 0;
  const batch = traced.batchMatcher(chosen);
  const recordsAt = memory.take(frames.length * BurstAt.BYTES, "records");
  for (const [n, at] of frames.entries()) {
    const place = [at, ends[n]!, at - HEADROOM_BYTES, at + TAIL_BYTES];
    memory.words.set(place, (recordsAt + n * BurstAt.BYTES) >>> 2);
  }
  const figures = await perPacket(CALLS, (calls) => {
    if (what === "tree-batch") {
      for (let n = 0; n < calls; n += frames.length) batch(recordsAt, frames.length);
      sum += memory.words[(recordsAt + BurstAt.TRACE) >>> 2]! + 2;
      return;
    }
    for (let n = 0, i = 0; n < calls; n++) {
      sum += match(frames[i]!, ends[i]!, frames[i]! - HEADROOM_BYTES, frames[i]! + TAIL_BYTES);
      if (++i === frames.length) i = 0;
    }
  });
  console.log(JSON.stringify({ ...figures, traces: chosen.length, checked: sum !== 0 }));
}
