/**
 * Shared memory: memfds, and mapping them into the address space of a loop (design: one
 * `WebAssembly.Memory` that is never grown).
 *
 * Every mapping covers whole pages at a page-aligned offset. Mapped pages need no unmapping at the
 * end: they go with the memory.
 */
import { EFAULT, EINVAL, ENXIO, EPERM } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { addon } from "./addon.js";
import { check } from "./check.js";

/** `F_SEAL_*` of fcntl(2): no more seals; never shorter, longer, or written to. */
export const Seal = { SEAL: 1, SHRINK: 2, GROW: 4, WRITE: 8 } as const;

/**
 * A memfd of a fixed size, sealed against shrinking and growing, so that whoever maps it can never
 * be made to fault by whoever else holds it. The caller closes it; mappings stay.
 */
export function createMemfd(name: string, sizeBytes: number): number {
  return check(addon().memfdCreate(name, sizeBytes), "memfd_create");
}

/** The size of what is behind a descriptor. */
export function fdBytes(fd: number): number {
  return check(addon().fdBytes(fd), "fstat");
}

/** Whether the memory has all these seals: that nobody can shrink it is required of memory from strangers. */
export function isSealed(fd: number, wanted: number = Seal.SHRINK): boolean {
  const seals = addon().memfdSeals(fd);
  return seals >= 0 && (seals & wanted) === wanted;
}

/** A memfd that holds these bytes for good: sealed against everything. The caller closes it. */
export function createSealed(name: string, contents: Uint8Array): number {
  return check(addon().memfdFilled(name, contents), "memfd_create");
}

export interface MapOptions {
  /** Where the memory's mapped range starts; a multiple of the page size. */
  readonly at: number;
  /** A multiple of the page size. */
  readonly lengthBytes: number;
  readonly fd: number;
  /** Where the range starts in the file; a multiple of the page size. 0 by default. */
  readonly fdAt?: number;
  /** False: writing to the range ends the process with SIGSEGV. True by default. */
  readonly isWritable?: boolean;
}

/**
 * Maps a descriptor's memory over a range of `memory`. What lay there is gone. Precondition: the
 * memory's maximum is its initial size, and the descriptor is sealed if strangers hold it.
 */
export function mapShared(memory: WebAssembly.Memory, options: MapOptions): void {
  const { at, lengthBytes, fd, fdAt = 0, isWritable = true } = options;
  const bytes = new Uint8Array(memory.buffer);
  check(
    addon().memoryMap(bytes, at, lengthBytes, fd, fdAt, isWritable ? 1 : 0),
    "mmap",
    mapHints(at, lengthBytes, bytes.length),
  );
}

/** Replaces a mapped range by fresh zeroed memory of this process alone. */
export function unmapShared(memory: WebAssembly.Memory, at: number, lengthBytes: number): void {
  const bytes = new Uint8Array(memory.buffer);
  const hints = mapHints(at, lengthBytes, bytes.length);
  check(addon().memoryUnmap(bytes, at, lengthBytes), "mmap", hints);
}

/**
 * Lets malloc keep up to about twice `bytes` of what the program has freed, for whoever frees and takes
 * many megabytes a second; false without the addon.
 * Measured: with 1 GB a second through buffers of 64 KiB, 20 to 60 ms a gigabyte in the kernel
 * instead of 60 to 380, and 15 to 25 % less processor time (node 20.20, 2 shared cores, 2026-11).
 */
export function keepFreedMemory(bytes: number): boolean {
  try {
    return addon().heapKeep(bytes) === 0;
  } catch {
    return false;
  }
}

/**
 * Hot path. Copies `n` bytes, a few thousand or more, to where another core reads them next: past this core's
 * caches, so that lines which the other core has are not asked for before they are overwritten. The ranges do
 * not overlap. 0, or a negated error number and nothing is copied.
 * Measured: 64 KiB from core to core, 45 ms a gigabyte at the writer instead of 150 to 180, and 65 at the reader
 * instead of 85 (C, AMD EPYC, 2 shared cores, 2026-11).
 */
export function copyPast(
  to: Uint8Array,
  toAt: number,
  from: Uint8Array,
  fromAt: number,
  n: number,
): number {
  return addon().copyPast(to, toAt, from, fromAt, n);
}

function mapHints(at: number, lengthBytes: number, memoryBytes: number): Record<number, string> {
  return {
    [EFAULT]: `expected a range within ${memoryBytes} bytes, got ${lengthBytes} at ${at}`,
    [EINVAL]: `expected whole pages at a page-aligned place, got ${lengthBytes} bytes at ${at}`,
    [ENXIO]: `the descriptor holds fewer than ${lengthBytes} bytes from there on`,
  };
}

/** Throws unless the descriptor is sealed against shrinking. */
export function requireSealed(fd: number): void {
  if (isSealed(fd)) return;
  throw new NetError(EPERM, {
    syscall: "fcntl",
    hint: "shared memory from a peer must be a memfd with F_SEAL_SHRINK, or the peer could end this process",
  });
}
