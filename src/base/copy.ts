/**
 * Short copies by words: inside an arena, and between an arena and the arrays of a program.
 *
 * V8's own ways of copying take 27 ns (`copyWithin`) or 56 ns and a view for the collector
 * (`subarray` and `set`) before the first byte moves, and a loop over bytes 0.65 ns a byte. Words
 * need a `DataView` of either side. The arena has one; for the program's arrays the last one that was
 * seen twice in a row in each direction is remembered with its view, because programs read into and
 * write from the same buffer again and again. So at most two arrays of programs are kept alive here.
 *
 * Not by `Float64Array`, which would be faster still: engines may store another NaN than they read.
 *
 * Measured: 64 bytes 13 to 25 ns instead of 43 to 69, 128 bytes 42 instead of 70; inside an arena 17
 * instead of 27; at 256 bytes nothing is left of the gain (node 20.20, 2 shared cores,
 * 2026-11).
 */
import { type Bytes, copy, copyWithin } from "./bytes.js";

/** Longer copies between arrays go through `copy`. */
const PROGRAM_BYTES = 128;
/** Longer copies inside an arena go through `copyWithin`. */
const ARENA_BYTES = 64;

/** An array of the program's, and its view once the array has come twice in a row. */
class Recent {
  private array: Bytes | null = null;
  private view: DataView | null = null;

  /** Hot path. The view of the array, or null when it is not worth making one. */
  viewOf(b: Bytes): DataView | null {
    if (b !== this.array) {
      this.array = b;
      this.view = null;
      return null;
    }
    if (this.view === null && hasFixedSize(b.buffer)) {
      this.view = new DataView(b.buffer, b.byteOffset, b.byteLength);
    }
    return this.view;
  }
}

/** A view does not follow the array when the buffer is resized. */
function hasFixedSize(buffer: ArrayBufferLike): boolean {
  const { resizable, growable } = buffer as { resizable?: boolean; growable?: boolean };
  return resizable !== true && growable !== true;
}

const targets = new Recent();
const sources = new Recent();

/**
 * Hot path. Copies `n` bytes from `from` of an arena to `at` of a program's array. `view` and `bytes`
 * are the arena's.
 */
export function copyOut(
  to: Bytes,
  at: number,
  view: DataView,
  bytes: Bytes,
  from: number,
  n: number,
): void {
  if (n <= PROGRAM_BYTES && at + n <= to.length) {
    const target = targets.viewOf(to);
    if (target !== null) {
      copyWords(target, at, view, from, n);
      return;
    }
  }
  copy(to, at, bytes, from, n);
}

/** Hot path. As {@link copyOut}, from `at` of a program's array to `to` of the arena. */
export function copyIn(
  view: DataView,
  bytes: Bytes,
  to: number,
  from: Bytes,
  at: number,
  n: number,
): void {
  if (n <= PROGRAM_BYTES && at + n <= from.length) {
    const source = sources.viewOf(from);
    if (source !== null) {
      copyWords(view, to, source, at, n);
      return;
    }
  }
  copy(bytes, to, from, at, n);
}

/** Hot path. Copies `n` bytes inside an arena; the ranges may not overlap. */
export function copyInside(
  view: DataView,
  bytes: Bytes,
  to: number,
  from: number,
  n: number,
): void {
  if (n <= ARENA_BYTES) copyWords(view, to, view, from, n);
  else copyWithin(bytes, to, from, n);
}

/** Hot path. Copies `n` bytes, of which there should be few, from one view to another. */
export function copyWords(
  to: DataView,
  toAt: number,
  from: DataView,
  fromAt: number,
  n: number,
): void {
  const words = n & ~15;
  let i = 0;
  for (; i < words; i += 16) {
    const t = toAt + i;
    const f = fromAt + i;
    to.setInt32(t, from.getInt32(f, true), true);
    to.setInt32(t + 4, from.getInt32(f + 4, true), true);
    to.setInt32(t + 8, from.getInt32(f + 8, true), true);
    to.setInt32(t + 12, from.getInt32(f + 12, true), true);
  }
  for (; i + 4 <= n; i += 4) to.setInt32(toAt + i, from.getInt32(fromAt + i, true), true);
  for (; i < n; i++) to.setUint8(toAt + i, from.getUint8(fromAt + i));
}
