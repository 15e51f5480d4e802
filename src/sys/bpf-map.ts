/**
 * Maps of the kernel's eBPF (bpf(2)): tables that a program in the kernel and this process share.
 *
 * Creating throws `NetError`. What is done with elements returns 0 or a negative error number, as it
 * happens when sockets open and close. A map lives as long as a descriptor or a program refers to it.
 */
import { readFileSync } from "node:fs";
import { release } from "node:os";
import * as errno from "../base/errno.js";
import { addon, type BpfMapHandle } from "./addon.js";
import { check, failure, type Hints } from "./check.js";
import { closeFd } from "./fd.js";

/** `enum bpf_map_type` of linux/bpf.h: those that are used here. */
export const MapType = {
  HASH: 1,
  ARRAY: 2,
  PROG_ARRAY: 3,
  PERCPU_HASH: 5,
  PERCPU_ARRAY: 6,
  LRU_HASH: 9,
  LRU_PERCPU_HASH: 10,
  LPM_TRIE: 11,
  DEVMAP: 14,
  CPUMAP: 16,
  XSKMAP: 17,
} as const;

/** Flags of {@link BpfMap.create}. */
export const MapFlag = {
  /** Memory for an element is taken when it is added. */
  NO_PREALLOC: 1,
} as const;

/** Flags of {@link BpfMap.update}. */
export const UpdateFlag = { ANY: 0, NO_EXIST: 1, EXIST: 2 } as const;

export interface BpfMapOptions {
  /** One of {@link MapType}. */
  readonly type: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxEntries: number;
  /** {@link MapFlag} bits. */
  readonly flags?: number;
  /** Up to 15 letters, digits, `_` and `.`: what `bpftool map` shows. */
  readonly name: string;
  /** Of a map of maps: one that its maps are like. */
  readonly innerFd?: number;
  /** Types of keys and values, which the kernel wants of maps with spin locks. */
  readonly types?: MapTypes;
}

/** See ebpf/kernel-btf.ts, which makes it. */
export interface MapTypes {
  /** For BPF_BTF_LOAD. */
  readonly types: Uint8Array;
  readonly keyType: number;
  readonly valueType: number;
}

export class BpfMap {
  readonly name: string;
  readonly type: number;
  readonly keyBytes: number;
  /** Of one CPU's value in a per-CPU map. */
  readonly valueBytes: number;
  readonly maxEntries: number;
  private readonly handle: BpfMapHandle;

  private constructor(options: BpfMapOptions, handle: BpfMapHandle) {
    this.name = options.name;
    this.type = options.type;
    this.keyBytes = options.keyBytes;
    this.valueBytes = options.valueBytes;
    this.maxEntries = options.maxEntries;
    this.handle = handle;
  }

  /** A new map. Throws `NetError`: EPERM without privilege. */
  static create(options: BpfMapOptions): BpfMap {
    const { types } = options;
    if (types === undefined) return BpfMap.createTyped(options, 0);
    const btfFd = check(addon().bpfBtfLoad(types.types), `bpf BPF_BTF_LOAD ${options.name}`, {
      [errno.EPERM]: privilegeHint(),
    });
    try {
      return BpfMap.createTyped(options, btfFd);
    } finally {
      closeFd(btfFd);
    }
  }

  private static createTyped(options: BpfMapOptions, btfFd: number): BpfMap {
    const { type, keyBytes, valueBytes, maxEntries, flags = 0, name, innerFd = -1 } = options;
    const handle = addon().bpfMapCreate(
      type,
      keyBytes,
      valueBytes,
      maxEntries,
      flags,
      name,
      possibleCpus(),
      innerFd,
      btfFd,
      options.types?.keyType ?? 0,
      options.types?.valueType ?? 0,
    );
    if (typeof handle !== "number") return new BpfMap(options, handle);
    throw failure(handle, `bpf BPF_MAP_CREATE ${name}`, createHints(options));
  }

  /** For programs and other calls; below 0 when closed. */
  get fd(): number {
    return addon().bpfMapFd(this.handle);
  }

  /** Bytes that {@link lookup} and {@link update} take for a value: of all CPUs in a per-CPU map. */
  get bufferBytes(): number {
    if (!isPerCpu(this.type)) return this.valueBytes;
    return ((this.valueBytes + 7) & ~7) * possibleCpus();
  }

  /** Copies the value of `key`; -ENOENT when there is none. */
  lookup(key: Uint8Array, value: Uint8Array): number {
    return addon().bpfMapLookup(this.handle, key, value);
  }

  /** Adds or replaces; -E2BIG when full, -EEXIST or -ENOENT as {@link UpdateFlag} asks. */
  update(key: Uint8Array, value: Uint8Array, flags: number = UpdateFlag.ANY): number {
    return addon().bpfMapUpdate(this.handle, key, value, flags);
  }

  /** -ENOENT when there is no such key. */
  delete(key: Uint8Array): number {
    return addon().bpfMapDelete(this.handle, key);
  }

  /** Copies the key after `key` (null: the first) to `next`; -ENOENT after the last. */
  nextKey(key: Uint8Array | null, next: Uint8Array): number {
    return addon().bpfMapNextKey(this.handle, next, key);
  }

  /**
   * From now on processes cannot write it: what programs may only read, the kernel's verifier then knows.
   * Throws `NetError`: EBUSY while it is mapped.
   */
  freeze(): void {
    check(addon().bpfMapFreeze(this.handle), `bpf BPF_MAP_FREEZE ${this.name}`);
  }

  /** Every key, each a copy. Throws `NetError` when the map cannot be walked. */
  keys(): Uint8Array[] {
    const found: Uint8Array[] = [];
    const next = new Uint8Array(this.keyBytes);
    let result = this.nextKey(null, next);
    // A key that vanishes meanwhile starts the walk again, so it is bounded.
    while (result === 0 && found.length < this.maxEntries) {
      found.push(next.slice());
      result = this.nextKey(found[found.length - 1]!, next);
    }
    if (result < 0 && result !== -errno.ENOENT) throw failure(result, "bpf BPF_MAP_GET_NEXT_KEY");
    return found;
  }

  /** Idempotent. Programs that use the map keep it. */
  close(): void {
    const result = addon().bpfMapClose(this.handle);
    if (result !== -errno.EBADF) check(result, "close");
  }
}

const isPerCpu = (type: number): boolean =>
  type === MapType.PERCPU_HASH || type === MapType.PERCPU_ARRAY || type === MapType.LRU_PERCPU_HASH;

let cpus = 0;

/** CPUs that may ever come: per-CPU maps have a value for each. */
export function possibleCpus(): number {
  if (cpus === 0) cpus = lastCpu(readFileSync("/sys/devices/system/cpu/possible", "utf8")) + 1;
  return cpus;
}

/** The highest number of a list such as `0-3,8-11`. */
function lastCpu(list: string): number {
  return Math.max(...list.trim().split(/[,-]/).map(Number));
}

/** What helps when bpf(2) refuses this user. Before Linux 5.11 too little locked memory is EPERM too. */
export function privilegeHint(): string {
  const needs =
    "needs CAP_BPF and CAP_NET_ADMIN outside of user namespaces (CAP_SYS_ADMIN before Linux 5.8): run as root, or: sudo setcap cap_bpf,cap_net_admin,cap_net_raw+ep NODE";
  const [major, minor] = release().split(".").map(Number);
  const countsLocked = major! < 5 || (major === 5 && minor! < 11);
  return countsLocked ? `${needs}; as root raise the locked memory: ulimit -l unlimited` : needs;
}

function createHints(options: BpfMapOptions): Hints {
  const { type, keyBytes, valueBytes, maxEntries } = options;
  const what = `type ${type}, key ${keyBytes}, value ${valueBytes} bytes, ${maxEntries} entries`;
  const needs = type === MapType.XSKMAP ? "CONFIG_XDP_SOCKETS=y" : "CONFIG_BPF_SYSCALL=y";
  return {
    [errno.EPERM]: privilegeHint(),
    [errno.EINVAL]: `this kernel does not make such a map (${what}); is it configured with ${needs}?`,
    [errno.ENOSYS]: "this kernel has no bpf(2); it must be configured with CONFIG_BPF_SYSCALL=y",
    [errno.ENOMEM]: `not enough memory for the map (${what})`,
    [errno.E2BIG]: `a map of this size is not possible (${what})`,
  };
}
