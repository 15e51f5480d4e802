/** Helpers on maps (man 7 bpf-helpers). */
import { E2BIG, EAGAIN, EFAULT, EINVAL, ENOENT } from "../base/errno.js";
import { ArrayMap } from "./array-map.js";
import { argument, type Helper, setResult, setResult64 } from "./helper.js";
import type { LinearMap } from "./linear-map.js";
import { isPerCpu, MapType } from "./map-type.js";
import { RingMap } from "./ring-map.js";
import type { Runtime } from "./runtime.js";
import { XdpVerdict } from "./xdp-verdict.js";

const mapOf = (runtime: Runtime, n: number): LinearMap =>
  runtime.mapByAddress.get(argument(runtime, n))!;

function ringOf(runtime: Runtime, n: number): RingMap | null {
  const map = mapOf(runtime, n);
  return map instanceof RingMap ? map : null;
}

/** What a lookup gives a program: of a map of maps, the map that the value names. */
export function lookup(runtime: Runtime, map: LinearMap, keyAt: number): number {
  const valueAt = map.lookup(keyAt);
  if (valueAt === 0) return 0;
  const { type } = map;
  if (type !== MapType.ARRAY_OF_MAPS && type !== MapType.HASH_OF_MAPS) return valueAt;
  return runtime.maps[runtime.view.getUint32(valueAt, true) - 1]?.at ?? 0;
}

/** Bits of `bpf_redirect_map`'s flags: what to return when there is no such entry, and broadcasts. */
const ACTION_MASK = 3;
export const BROADCAST = 8;
export const EXCLUDE_INGRESS = 16;

function redirectMap(runtime: Runtime): number {
  const map = mapOf(runtime, 1);
  const key = argument(runtime, 2);
  const flags = argument(runtime, 3);
  const isDevices = map.type === MapType.DEVMAP || map.type === MapType.DEVMAP_HASH;
  const known = ACTION_MASK | (isDevices ? BROADCAST | EXCLUDE_INGRESS : 0);
  if ((flags & ~known) !== 0 || runtime.registers[7] !== 0) return XdpVerdict.ABORTED;
  if ((flags & BROADCAST) === 0 && lookupIndex(runtime, map, key) === 0) {
    runtime.redirect.map = null;
    return flags & ACTION_MASK;
  }
  runtime.redirect.map = map;
  runtime.redirect.key = key >>> 0;
  runtime.redirect.flags = flags;
  return XdpVerdict.REDIRECT;
}

/** A lookup whose key is a number, as `bpf_redirect_map` does it: it is put where a key can be. */
export function lookupIndex(runtime: Runtime, map: LinearMap, key: number): number {
  if (map instanceof ArrayMap) return map.at32(key >>> 0);
  runtime.view.setInt32(runtime.registersAt + 4 * 8, key, true); // r4 is lost anyway
  return map.lookup(runtime.registersAt + 4 * 8);
}

const CURRENT_CPU = -1;

/** Flags: the index of an entry (here always of this CPU), and how much of the packet goes along. */
function perfEventOutput(runtime: Runtime): number {
  const map = mapOf(runtime, 2);
  const index = argument(runtime, 3);
  const packetBytes = runtime.registers[7]! & 0xf_ffff;
  const at = argument(runtime, 4);
  const lengthBytes = argument(runtime, 5);
  if (runtime.registers[7]! >>> 20 !== 0) return -EINVAL;
  if (index !== CURRENT_CPU && index >>> 0 >= map.maxEntries) return -E2BIG;
  if (packetBytes > runtime.dataEnd - runtime.dataAt) return -EFAULT;
  if (runtime.hooks.event === undefined) return -ENOENT;
  const { bytes, dataAt } = runtime;
  runtime.hooks.event(
    map,
    bytes.subarray(at, at + lengthBytes),
    bytes.subarray(dataAt, dataAt + packetBytes),
  );
  return 0;
}

const MAX_LOOPS = 1 << 23;

function forEach(runtime: Runtime): number {
  const map = mapOf(runtime, 1);
  const callback = argument(runtime, 2);
  const context = argument(runtime, 3);
  if (argument(runtime, 4) !== 0) return -EINVAL;
  let visited = 0;
  let goesOn = true;
  map.forEach((keyAt, valueAt) => {
    if (!goesOn) return;
    visited++;
    goesOn = runtime.engine!.callFunction(callback, [map.at, keyAt, valueAt, context]) === 0;
  });
  return visited;
}

function loop(runtime: Runtime, times: number, callback: number, context: number): number {
  if (times > MAX_LOOPS) return -E2BIG;
  for (let i = 0; i < times; i++) {
    if (runtime.engine!.callFunction(callback, [i, context]) !== 0) return i + 1;
  }
  return times;
}

/** Flags of `bpf_ringbuf_query`. */
function ringQuery(ring: RingMap, what: number): number {
  if (what === 0) return ring.produced - ring.consumed;
  if (what === 1) return ring.sizeBytes;
  return what === 2 ? ring.consumed : what === 3 ? ring.produced : 0;
}

function ringOutput(runtime: Runtime): number {
  const ring = ringOf(runtime, 1);
  const from = argument(runtime, 2);
  const lengthBytes = argument(runtime, 3);
  if (ring === null || argument(runtime, 4) & ~3) return -EINVAL;
  const at = ring.reserve(lengthBytes);
  if (at === 0) return -EAGAIN;
  runtime.bytes.copyWithin(at, from, from + lengthBytes);
  ring.commit(at, false);
  return 0;
}

/** The ring whose record begins at an address. */
function endRecord(runtime: Runtime, isDiscarded: boolean): void {
  const at = argument(runtime, 1);
  for (const map of runtime.maps) {
    if (map instanceof RingMap && map.covers(at, 0)) map.commit(at, isDiscarded);
  }
  setResult(runtime, 0);
}

export const MAP_HELPERS: readonly Helper[] = [
  {
    number: 1,
    name: "map_lookup_elem",
    arguments: ["map", "key"],
    result: "value or null",
    effect: "reads maps",
    run(r) {
      setResult64(r, lookup(r, mapOf(r, 1), argument(r, 2)), 0);
    },
  },
  {
    number: 2,
    name: "map_update_elem",
    arguments: ["map", "key", "value", "anything"],
    result: "number",
    effect: "writes maps",
    run(r) {
      // A flag in the upper half is unknown, as any above the last one.
      const flags = r.registers[9] === 0 ? argument(r, 4) >>> 0 : 0xff;
      setResult(r, mapOf(r, 1).update(argument(r, 2), argument(r, 3), flags));
    },
  },
  {
    number: 3,
    name: "map_delete_elem",
    arguments: ["map", "key"],
    result: "number",
    effect: "writes maps",
    run(r) {
      setResult(r, mapOf(r, 1).delete(argument(r, 2)));
    },
  },
  {
    number: 25,
    name: "perf_event_output",
    isGpl: true,
    arguments: ["context", "map", "anything", "memory", "size or 0"],
    result: "number",
    effect: "output",
    run(r) {
      setResult(r, perfEventOutput(r));
    },
  },
  {
    number: 51,
    name: "redirect_map",
    arguments: ["map", "anything", "anything"],
    result: "number",
    effect: "reads maps",
    run(r) {
      setResult(r, redirectMap(r));
    },
  },
  {
    number: 93,
    name: "spin_lock",
    arguments: ["lock"],
    result: "nothing",
    effect: "writes maps",
    run() {},
  },
  {
    number: 94,
    name: "spin_unlock",
    arguments: ["lock"],
    result: "nothing",
    effect: "writes maps",
    run() {},
  },
  {
    number: 130,
    name: "ringbuf_output",
    arguments: ["map", "memory", "size or 0", "anything"],
    result: "number",
    effect: "output",
    run(r) {
      setResult(r, ringOutput(r));
    },
  },
  {
    number: 131,
    name: "ringbuf_reserve",
    arguments: ["map", "constant", "anything"],
    result: "record or null",
    effect: "output",
    run(r) {
      const isPlain = argument(r, 3) === 0;
      setResult64(r, isPlain ? (ringOf(r, 1)?.reserve(argument(r, 2)) ?? 0) : 0, 0);
    },
  },
  {
    number: 132,
    name: "ringbuf_submit",
    arguments: ["record", "anything"],
    result: "nothing",
    effect: "output",
    run(r) {
      endRecord(r, false);
    },
  },
  {
    number: 133,
    name: "ringbuf_discard",
    arguments: ["record", "anything"],
    result: "nothing",
    effect: "output",
    run(r) {
      endRecord(r, true);
    },
  },
  {
    number: 134,
    name: "ringbuf_query",
    arguments: ["map", "anything"],
    result: "number",
    effect: "reads maps",
    run(r) {
      const ring = ringOf(r, 1);
      setResult(r, ring === null ? 0 : ringQuery(ring, argument(r, 2)));
    },
  },
  {
    number: 164,
    name: "for_each_map_elem",
    arguments: ["map", "function", "stack or null", "anything"],
    result: "number",
    effect: "control",
    run(r) {
      setResult(r, forEach(r));
    },
  },
  {
    number: 181,
    name: "loop",
    arguments: ["anything", "function", "stack or null", "anything"],
    result: "number",
    effect: "control",
    run(r) {
      const times = argument(r, 1) >>> 0;
      const callback = argument(r, 2);
      const context = argument(r, 3);
      setResult(r, argument(r, 4) === 0 ? loop(r, times, callback, context) : -EINVAL);
    },
  },
  {
    number: 195,
    name: "map_lookup_percpu_elem",
    arguments: ["map", "key", "anything"],
    result: "value or null",
    effect: "reads maps",
    run(r) {
      const map = mapOf(r, 1);
      const cpu = argument(r, 3) >>> 0;
      const at = isPerCpu(map.type) && cpu < map.cpus ? map.lookup(argument(r, 2)) : 0;
      setResult64(r, at === 0 ? 0 : at + (cpu - map.cpu) * map.valueStride, 0);
    },
  },
];
