/** Bytes as parts of expressions, and numbers put together from them. */
import type { Builder } from "./build.js";

/** Byte `index` (0 is the lowest) of a value. */
export interface ByteOf {
  readonly node: number;
  readonly index: number;
}

/** The number of up to eight bytes, lowest first. Runs of one value's bytes are taken together. */
export function assemble(build: Builder, bytes: readonly ByteOf[]): number {
  let whole = build.zero;
  for (let from = 0; from < bytes.length; ) {
    const { node, index } = bytes[from]!;
    let end = from + 1;
    while (
      end < bytes.length &&
      bytes[end]!.node === node &&
      bytes[end]!.index === index + end - from
    )
      end++;
    const shifted = build.shr(node, build.number(8 * index));
    const part = build.and(shifted, build.number((1n << BigInt(8 * (end - from))) - 1n));
    whole = build.or(whole, build.shl(part, build.number(8 * from)));
    from = end;
  }
  return whole;
}
