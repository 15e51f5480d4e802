/**
 * Memory for what is read from sockets: it belongs to the program from then on, and nobody knows when it
 * lets go of it but V8's collector.
 *
 * V8 counts the memory of buffers, but looks for young ones that nobody uses only after 32 MiB of them, and
 * by then it often starts a collection of the whole heap: one for every 25 MiB that a program reads. So V8 is
 * asked to collect the young part alone after every 8 MiB, which takes 0.07 ms if little is alive: the
 * buffers' memory is used again while it is in the caches.
 * Measured: 64 KiB writes over memif, processor time of the reader's turns, 260 to 310 ms a gigabyte instead of
 * 330 to 390 with garbage beside each buffer, which had the same effect but had to be made (node 20.20, 2 shared
 * cores, 2026-11). Every 2 MiB more, every
 * 4 or 8 the same; four reads in one ArrayBuffer: nothing that could be told from noise. Less often where a collection took long: on
 * a busy machine all do, and then come too late for ever (6 Gbit/s instead of 11).
 */
import { createRequire } from "node:module";

/** Small reads share memory of this size; larger ones than a quarter have their own. */
const SLAB_BYTES = 65_536;
export const OWN_BYTES: number = SLAB_BYTES / 4;
const COLLECT_BYTES = 8 << 20;

type Collect = (what: { readonly type: "minor"; readonly execution: "sync" }) => void;
const MINOR = { type: "minor", execution: "sync" } as const;

/** Bytes that were read, from `slabAt` on, until somebody has them. */
let slab = new Uint8Array(SLAB_BYTES);
let slabAt = 0;

let sinceBytes = 0;
let collect: Collect | null = null;

/** Hot path. New memory of `size` bytes, not cleared. */
export function bufferOf(size: number): Uint8Array<ArrayBuffer> {
  sinceBytes += size;
  if (sinceBytes >= COLLECT_BYTES) collectYoung();
  return Buffer.allocUnsafeSlow(size) as Uint8Array<ArrayBuffer>;
}

/** Hot path. Shared memory with `size` bytes free from {@link roomAt} on; up to {@link OWN_BYTES}. */
export function roomFor(size: number): Uint8Array<ArrayBuffer> {
  if (slabAt + size > SLAB_BYTES) {
    slab = bufferOf(SLAB_BYTES);
    slabAt = 0;
  }
  return slab;
}

export const roomAt = (): number => slabAt;

/** Hot path. The first `n` bytes of the room are somebody's. */
export function roomTaken(n: number): void {
  slabAt = (slabAt + n + 7) & ~7;
}

function collectYoung(): void {
  sinceBytes = 0;
  collect ??= collector();
  collect(MINOR);
}

/** V8's own function, which it gives to contexts that are made while a flag is set. */
function collector(): Collect {
  try {
    const require = createRequire(import.meta.url);
    const v8: typeof import("node:v8") = require("node:v8");
    const vm: typeof import("node:vm") = require("node:vm");
    v8.setFlagsFromString("--expose-gc");
    const gc: unknown = vm.runInNewContext("gc");
    if (!isExposed) v8.setFlagsFromString("--no-expose-gc");
    if (typeof gc === "function") return gc as Collect;
  } catch {}
  return () => {}; // it collects when it likes to
}

/** The program was started with the flag. */
const isExposed = Reflect.has(globalThis, "gc");
