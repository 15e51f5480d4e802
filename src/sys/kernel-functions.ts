/**
 * Functions of the kernel that eBPF programs may call (kfuncs): their numbers in the kernel's own BTF
 * (Documentation/bpf/btf.rst), which differ from kernel to kernel.
 */
import { readFileSync } from "node:fs";

const KERNEL_BTF = "/sys/kernel/btf/vmlinux";
const MAGIC = 0xeb9f;
const KIND_FUNC = 12;
const TYPE_BYTES = 12;

/** Bytes behind a type's three words, by kind: fixed, and for each of its members. */
const EXTRA: Readonly<Record<number, readonly [fixed: number, each: number]>> = {
  1: [4, 0], // INT
  3: [12, 0], // ARRAY
  4: [0, 12], // STRUCT
  5: [0, 12], // UNION
  6: [0, 8], // ENUM
  13: [0, 8], // FUNC_PROTO
  14: [4, 0], // VAR
  15: [0, 12], // DATASEC
  17: [4, 0], // DECL_TAG
  19: [0, 12], // ENUM64
};
const LAST_KIND = 19;

/**
 * Numbers of kernel functions by name, without those that this kernel lacks; empty where it has no
 * BTF (CONFIG_DEBUG_INFO_BTF). Takes some 20 ms.
 */
export function kernelFunctionIds(names: readonly string[]): ReadonlyMap<string, number> {
  let btf: Uint8Array;
  try {
    btf = readFileSync(KERNEL_BTF);
  } catch {
    return new Map();
  }
  return functionIds(btf, names);
}

/** As {@link kernelFunctionIds}, of any BTF; what cannot be read ends the search. */
export function functionIds(
  btf: Uint8Array,
  names: readonly string[],
): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  const view = new DataView(btf.buffer, btf.byteOffset, btf.length);
  if (btf.length < 24 || view.getUint16(0, true) !== MAGIC) return found;
  const headerBytes = view.getUint32(4, true);
  const typesAt = headerBytes + view.getUint32(8, true);
  const typesEnd = Math.min(typesAt + view.getUint32(12, true), btf.length);
  const stringsAt = headerBytes + view.getUint32(16, true);
  const wanted = names.map((name) => Buffer.from(`${name}\0`, "latin1"));
  const isNamed = (at: number, name: Buffer): boolean =>
    at + name.length <= btf.length && name.equals(btf.subarray(at, at + name.length));
  let id = 1;
  for (let at = typesAt; at + TYPE_BYTES <= typesEnd; id++) {
    const info = view.getUint32(at + 4, true);
    const kind = (info >>> 24) & 0x1f;
    if (kind === 0 || kind > LAST_KIND) return found;
    if (kind === KIND_FUNC) {
      const nameAt = stringsAt + view.getUint32(at, true);
      const i = wanted.findIndex((name) => isNamed(nameAt, name));
      if (i >= 0) found.set(names[i]!, id);
    }
    const [fixed, each] = EXTRA[kind] ?? [0, 0];
    at += TYPE_BYTES + fixed + each * (info & 0xffff);
  }
  return found;
}
