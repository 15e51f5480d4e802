/**
 * A map in linear memory: what all kinds share. Programs, interpreted or compiled, and the host see the
 * same bytes. Keys and values are addresses on the programs' side, byte arrays on the host's.
 *
 *  0      4           8             12            16      20      24      28
 * +------+-----------+-------------+-------------+-------+-------+-------+---------+
 * | type | key bytes | value bytes | max entries | count | epoch | index | strides |   header, 64 bytes
 * +------+-----------+-------------+-------------+-------+-------+-------+---------+
 *
 * The header's address is what a program has as the map's pointer. `epoch` changes with every change
 * that the host makes and every key that comes or goes, never with a value that a program stores.
 *
 * Values do not move while their key is there. In per-CPU maps a value is `valueStride` bytes for each
 * CPU, one after the other; the host reads and writes all of them at once, as with the kernel's.
 */
import { EOPNOTSUPP } from "../base/errno.js";
import { EbpfError } from "./ebpf-error.js";
import { align8, type LinearMemory } from "./linear-memory.js";
import type { MapDefinition } from "./map-definition.js";
import { isPerCpu, mapTypeName } from "./map-type.js";

export const MAP_HEADER_BYTES = 64;
const COUNT = 4;
const EPOCH = 5;
const VALUE_STRIDE = 7;

/** What making a map needs besides its definition. */
export interface MapPlace {
  readonly memory: LinearMemory;
  /** CPUs that per-CPU maps have values for. */
  readonly cpus: number;
  /** Of hash functions: an attacker must not know it. */
  readonly seed: number;
  /** The map's place in the instance's list. */
  readonly index: number;
}

export abstract class LinearMap {
  readonly definition: MapDefinition;
  readonly name: string;
  readonly type: number;
  readonly keyBytes: number;
  /** Of one CPU's value. */
  readonly valueBytes: number;
  readonly maxEntries: number;
  readonly cpus: number;
  /** From one CPU's value to the next. */
  readonly valueStride: number;
  /** Of what {@link get} returns and {@link set} takes. */
  readonly bufferBytes: number;
  readonly index: number;
  /** Address of the header: the map's pointer in programs. */
  readonly at: number;
  protected readonly memory: LinearMemory;
  protected readonly bytes: Uint8Array;
  protected readonly words: Int32Array;
  /** The header as an index of `words`. */
  private readonly header: number;
  private readonly scratchKey: number;
  private readonly scratchValue: number;
  /** The CPU that programs run on. */
  cpu = 0;
  /** Asked before the host writes a value; throws when that cannot be. */
  beforeSet: ((value: Uint8Array) => void) | null = null;

  constructor(definition: MapDefinition, place: MapPlace) {
    const { name, type, keyBytes, valueBytes, maxEntries } = definition;
    this.definition = definition;
    this.name = name;
    this.type = type;
    this.keyBytes = keyBytes;
    this.valueBytes = valueBytes;
    this.maxEntries = maxEntries;
    this.cpus = isPerCpu(type) ? place.cpus : 1;
    this.valueStride = align8(valueBytes);
    this.bufferBytes = isPerCpu(type) ? this.valueStride * this.cpus : valueBytes;
    this.index = place.index;
    this.memory = place.memory;
    this.bytes = place.memory.bytes;
    this.words = place.memory.words;
    const what = `the map ${name}`;
    this.at = place.memory.take(MAP_HEADER_BYTES, what);
    this.scratchKey = place.memory.take(align8(keyBytes), what);
    this.scratchValue = place.memory.take(align8(this.valueStride * this.cpus), what);
    this.header = this.at >>> 2;
    this.words.set([type, keyBytes, valueBytes, maxEntries, 0, 0, place.index], this.header);
    this.words[this.header + VALUE_STRIDE] = this.valueStride;
  }

  /** Entries that are there. */
  get count(): number {
    return this.words[this.header + COUNT]!;
  }

  protected set count(n: number) {
    this.words[this.header + COUNT] = n;
  }

  /** See the head of this file. */
  get epoch(): number {
    return this.words[this.header + EPOCH]!;
  }

  protected touch(): void {
    this.words[this.header + EPOCH]! += 1;
  }

  /** Hot path. Address of the value of the key at an address, of this CPU; 0 when there is none. */
  abstract lookup(keyAt: number): number;

  /** Hot path. Adds or replaces this CPU's value; 0 or a negative error number, as the kernel's. */
  abstract update(keyAt: number, valueAt: number, flags: number): number;

  /** Hot path. 0 or a negative error number. */
  abstract delete(keyAt: number): number;

  /** Address of the first CPU's value of every entry, with its key's. */
  protected abstract walk(visit: (keyAt: number, valueAt: number) => void): void;

  /** Whether `lengthBytes` from an address are inside of one value (strict mode). */
  abstract covers(at: number, lengthBytes: number): boolean;

  /** The value of a key, a copy, of all CPUs in a per-CPU map; null when there is none. It is no use of the entry. */
  get(key: Uint8Array): Uint8Array | null {
    const at = this.peek(this.putKey(key));
    if (at === 0) return null;
    const first = at - this.cpu * (this.cpus > 1 ? this.valueStride : 0);
    return this.bytes.slice(first, first + this.bufferBytes);
  }

  /** As {@link lookup}, which is no use of the entry where that counts. */
  peek(keyAt: number): number {
    return this.lookup(keyAt);
  }

  /** Address of the value of a key, as {@link lookup} gives it; 0 when there is none. */
  addressOf(key: Uint8Array): number {
    return this.peek(this.putKey(key));
  }

  /** Adds or replaces; 0 or a negative error number: -E2BIG when full, -EEXIST, -ENOENT. */
  set(key: Uint8Array, value: Uint8Array, flags = 0): number {
    if (value.length !== this.bufferBytes) {
      throw new RangeError(
        `${this.name}: expected a value of ${this.bufferBytes} bytes, got ${value.length}`,
      );
    }
    this.beforeSet?.(value);
    const keyAt = this.putKey(key);
    const valueAt = this.scratchValue;
    this.bytes.set(value, valueAt);
    this.touch();
    const result = this.update(keyAt, valueAt + this.cpu * this.cpuStride, flags);
    if (result !== 0 || this.cpus === 1) return result;
    const at = this.peek(keyAt) - this.cpu * this.valueStride;
    this.bytes.copyWithin(at, valueAt, valueAt + this.bufferBytes);
    return 0;
  }

  /** 0 or -ENOENT; -EINVAL for kinds whose entries stay. */
  remove(key: Uint8Array): number {
    this.touch();
    return this.delete(this.putKey(key));
  }

  /** Every entry, copies. */
  entries(): { key: Uint8Array; value: Uint8Array }[] {
    const found: { key: Uint8Array; value: Uint8Array }[] = [];
    this.walk((keyAt, valueAt) => {
      found.push({
        key: this.bytes.slice(keyAt, keyAt + this.keyBytes),
        value: this.bytes.slice(valueAt, valueAt + this.bufferBytes),
      });
    });
    return found;
  }

  /** Calls `visit` with the addresses of each entry's key and this CPU's value. */
  forEach(visit: (keyAt: number, valueAt: number) => void): void {
    const offset = this.cpu * this.cpuStride;
    this.walk((keyAt, valueAt) => visit(keyAt, valueAt + offset));
  }

  protected get cpuStride(): number {
    return this.cpus > 1 ? this.valueStride : 0;
  }

  protected putKey(key: Uint8Array): number {
    if (key.length !== this.keyBytes) {
      throw new RangeError(
        `${this.name}: expected a key of ${this.keyBytes} bytes, got ${key.length}`,
      );
    }
    this.bytes.set(key, this.scratchKey);
    return this.scratchKey;
  }

  /** What maps without elements answer. */
  protected unsupported(): number {
    return -EOPNOTSUPP;
  }
}

/** Throws EINVAL unless the numbers of a definition are as its kind wants them. */
export function expectSizes(
  definition: MapDefinition,
  wanted: { readonly keyBytes?: number; readonly leastValue?: number },
): void {
  const { name, type, keyBytes, valueBytes, maxEntries } = definition;
  const what = `the map ${name} (${mapTypeName(type)})`;
  if (maxEntries < 1) {
    throw new EbpfError("EINVAL", `${what} has no max_entries: give a number`);
  }
  if (wanted.keyBytes !== undefined && keyBytes !== wanted.keyBytes) {
    throw new EbpfError(
      "EINVAL",
      `${what}: expected a key of ${wanted.keyBytes} bytes, got ${keyBytes}`,
    );
  }
  if (keyBytes < 1 || keyBytes > 512) {
    throw new EbpfError("EINVAL", `${what}: expected a key of 1 to 512 bytes, got ${keyBytes}`);
  }
  if (valueBytes < (wanted.leastValue ?? 1)) {
    throw new EbpfError("EINVAL", `${what}: a value of ${valueBytes} bytes is too short`);
  }
}
