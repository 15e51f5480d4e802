/** Kinds of maps and their flags: `enum bpf_map_type` and `BPF_F_*` of linux/bpf.h, which never change. */

export const MapType = {
  HASH: 1,
  ARRAY: 2,
  PROG_ARRAY: 3,
  PERF_EVENT_ARRAY: 4,
  PERCPU_HASH: 5,
  PERCPU_ARRAY: 6,
  LRU_HASH: 9,
  LRU_PERCPU_HASH: 10,
  LPM_TRIE: 11,
  ARRAY_OF_MAPS: 12,
  HASH_OF_MAPS: 13,
  DEVMAP: 14,
  CPUMAP: 16,
  XSKMAP: 17,
  DEVMAP_HASH: 25,
  RINGBUF: 27,
} as const;

const SUPPORTED: ReadonlySet<number> = new Set(Object.values(MapType));

/** Whether this engine has maps of that kind. */
export const isSupported = (type: number): boolean => SUPPORTED.has(type);

/** Every kind that the kernel has, by number, for messages. */
const NAMES =
  "UNSPEC HASH ARRAY PROG_ARRAY PERF_EVENT_ARRAY PERCPU_HASH PERCPU_ARRAY STACK_TRACE CGROUP_ARRAY " +
  "LRU_HASH LRU_PERCPU_HASH LPM_TRIE ARRAY_OF_MAPS HASH_OF_MAPS DEVMAP SOCKMAP CPUMAP XSKMAP SOCKHASH " +
  "CGROUP_STORAGE REUSEPORT_SOCKARRAY PERCPU_CGROUP_STORAGE QUEUE STACK SK_STORAGE DEVMAP_HASH " +
  "STRUCT_OPS RINGBUF INODE_STORAGE TASK_STORAGE BLOOM_FILTER USER_RINGBUF CGRP_STORAGE ARENA";
const MAP_TYPE_NAMES: readonly string[] = NAMES.split(" ");

export function mapTypeName(type: number): string {
  return MAP_TYPE_NAMES[type] ?? `type ${type}`;
}

export const MapFlag = {
  NO_PREALLOC: 1 << 0,
  /** Programs only read it; user space may write. */
  RDONLY_PROG: 1 << 7,
  WRONLY_PROG: 1 << 8,
  /** Arrays of a map of maps may have different numbers of entries. */
  INNER_MAP: 1 << 12,
} as const;

export const UpdateFlag = { ANY: 0, NO_EXIST: 1, EXIST: 2, LOCK: 4 } as const;

/** Whether each CPU has a value of its own. */
export function isPerCpu(type: number): boolean {
  return (
    type === MapType.PERCPU_ARRAY ||
    type === MapType.PERCPU_HASH ||
    type === MapType.LRU_PERCPU_HASH
  );
}
