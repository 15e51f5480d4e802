/**
 * Hash tables: HASH, PERCPU_HASH, their LRU kinds, and those of references (DEVMAP_HASH, HASH_OF_MAPS).
 *
 * Buckets are chains of entries; all memory is taken when the map is made, and an entry never moves:
 *
 *   entry: next (4) | hash (4) | key, padded to 8 | value × CPUs, padded to 8
 *
 * `next` is the address of the next entry of the bucket, or of the next free one. Where the LRU kinds are
 * full, a hand goes round the entries and takes the first that was not used since it last came by
 * (CLOCK). Being looked up is use, being added is not. The kernel's choice is approximate too, and other.
 */
import { E2BIG, EEXIST, EINVAL, ENOENT } from "../base/errno.js";
import { expectSizes, LinearMap, type MapPlace } from "./linear-map.js";
import { align8 } from "./linear-memory.js";
import type { MapDefinition } from "./map-definition.js";
import { MapType, UpdateFlag } from "./map-type.js";

/** Of the hash function, which compiled code has too. */
export const HASH_CONSTANTS = {
  first: 0xcc9e2d51,
  second: 0x1b873593,
  add: 0xe6546b64,
  last1: 0x85ebca6b,
  last2: 0xc2b2ae35,
} as const;

const NEXT = 0;
const HASH = 1;
const KEY_AT = 8;
const MAX_BUCKETS = 2 ** 24;

export class HashMap extends LinearMap {
  /** Address of the buckets, each the address of its first entry. */
  readonly bucketsAt: number;
  readonly bucketMask: number;
  readonly entriesAt: number;
  readonly entryStride: number;
  /** Of the first value, from the start of an entry. */
  readonly valueOffset: number;
  readonly seed: number;
  private readonly isLru: boolean;
  /** One byte an entry: used since the hand came by; 0: no LRU kind. */
  readonly usedAt: number;
  private free = 0;
  /** Entries that were never used lie behind this one. */
  private fresh = 0;
  private hand = 0;

  constructor(definition: MapDefinition, place: MapPlace) {
    super(definition, place);
    expectSizes(definition, {});
    this.isLru =
      definition.type === MapType.LRU_HASH || definition.type === MapType.LRU_PERCPU_HASH;
    const what = `the map ${this.name}`;
    const buckets = Math.min(MAX_BUCKETS, 2 ** Math.ceil(Math.log2(this.maxEntries)));
    this.bucketMask = buckets - 1;
    this.bucketsAt = place.memory.take(buckets * 4, what);
    this.valueOffset = KEY_AT + align8(this.keyBytes);
    this.entryStride = this.valueOffset + this.valueStride * this.cpus;
    this.entriesAt = place.memory.take(this.entryStride * this.maxEntries, what);
    this.usedAt = this.isLru ? place.memory.take(this.maxEntries, what) : 0;
    this.seed = place.seed | 0;
  }

  lookup(keyAt: number): number {
    const entry = this.find(keyAt, this.hash(keyAt));
    if (entry === 0) return 0;
    if (this.isLru) this.bytes[this.usedAt + (entry - this.entriesAt) / this.entryStride] = 1;
    return entry + this.valueOffset + this.cpu * this.cpuStride;
  }

  override peek(keyAt: number): number {
    const entry = this.find(keyAt, this.hash(keyAt));
    return entry === 0 ? 0 : entry + this.valueOffset + this.cpu * this.cpuStride;
  }

  update(keyAt: number, valueAt: number, flags: number): number {
    if (flags > UpdateFlag.EXIST) return -EINVAL;
    const hash = this.hash(keyAt);
    let entry = this.find(keyAt, hash);
    if (entry !== 0) {
      if (flags === UpdateFlag.NO_EXIST) return -EEXIST;
    } else {
      if (flags === UpdateFlag.EXIST) return -ENOENT;
      entry = this.allocate();
      if (entry === 0) return -E2BIG;
      this.insert(entry, keyAt, hash);
    }
    const to = entry + this.valueOffset + this.cpu * this.cpuStride;
    this.bytes.copyWithin(to, valueAt, valueAt + this.valueBytes);
    return 0;
  }

  delete(keyAt: number): number {
    const hash = this.hash(keyAt);
    const entry = this.find(keyAt, hash);
    if (entry === 0) return -ENOENT;
    this.unlink(entry);
    this.words[entry >>> 2] = this.free;
    this.free = entry;
    return 0;
  }

  covers(at: number, lengthBytes: number): boolean {
    const offset = at - this.entriesAt;
    if (offset < 0 || offset >= this.entryStride * this.maxEntries) return false;
    const inside = (offset % this.entryStride) - this.valueOffset;
    return inside >= 0 && (inside % this.valueStride) + lengthBytes <= this.valueBytes;
  }

  protected walk(visit: (keyAt: number, valueAt: number) => void): void {
    for (let bucket = 0; bucket <= this.bucketMask; bucket++) {
      let entry = this.words[(this.bucketsAt >>> 2) + bucket]!;
      while (entry !== 0) {
        const next = this.words[(entry >>> 2) + NEXT]!;
        visit(entry + KEY_AT, entry + this.valueOffset);
        entry = next;
      }
    }
  }

  /** Mixes the key by words (the mixing of MurmurHash3), with a seed that attackers do not know. */
  private hash(keyAt: number): number {
    let h = this.seed;
    const end = keyAt + this.keyBytes;
    if (((keyAt | end) & 3) === 0) {
      for (let i = keyAt >>> 2; i < end >>> 2; i++) h = mix(h, this.words[i]!);
    } else {
      h = this.mixBytes(h, keyAt, end);
    }
    h = Math.imul(h ^ (h >>> 16), HASH_CONSTANTS.last1);
    h = Math.imul(h ^ (h >>> 13), HASH_CONSTANTS.last2);
    return h ^ (h >>> 16);
  }

  /** Words of keys that are not aligned, and a last one of fewer bytes. */
  private mixBytes(from: number, keyAt: number, end: number): number {
    const b = this.bytes;
    let h = from;
    for (let at = keyAt; at < end; at += 4) {
      let word = 0;
      const n = Math.min(4, end - at);
      for (let i = 0; i < n; i++) word |= b[at + i]! << (8 * i);
      h = mix(h, word);
    }
    return h;
  }

  private find(keyAt: number, hash: number): number {
    const w = this.words;
    let entry = w[(this.bucketsAt >>> 2) + (hash & this.bucketMask)]!;
    for (; entry !== 0; entry = w[entry >>> 2]!) {
      if (w[(entry >>> 2) + HASH] === hash && this.isKey(entry + KEY_AT, keyAt)) return entry;
    }
    return 0;
  }

  private isKey(one: number, other: number): boolean {
    const { keyBytes } = this;
    if (((other | keyBytes) & 3) === 0) {
      const w = this.words;
      const a = one >>> 2;
      const b = other >>> 2;
      const n = keyBytes >>> 2;
      for (let i = 0; i < n; i++) if (w[a + i] !== w[b + i]) return false;
      return true;
    }
    const bytes = this.bytes;
    for (let i = 0; i < keyBytes; i++) if (bytes[one + i] !== bytes[other + i]) return false;
    return true;
  }

  private allocate(): number {
    if (this.free !== 0) {
      const entry = this.free;
      this.free = this.words[entry >>> 2]!;
      return entry;
    }
    if (this.fresh < this.maxEntries) {
      const entry = this.entriesAt + this.fresh * this.entryStride;
      this.fresh++;
      return entry;
    }
    return this.isLru ? this.evict() : 0;
  }

  /** The entry that leaves a full LRU table; every entry is in use. */
  private evict(): number {
    for (;;) {
      const used = this.usedAt + this.hand;
      const entry = this.entriesAt + this.hand * this.entryStride;
      this.hand = this.hand + 1 === this.maxEntries ? 0 : this.hand + 1;
      if (this.bytes[used] === 0) {
        this.unlink(entry);
        return entry;
      }
      this.bytes[used] = 0;
    }
  }

  private insert(entry: number, keyAt: number, hash: number): void {
    const w = this.words;
    const bucket = (this.bucketsAt >>> 2) + (hash & this.bucketMask);
    this.bytes.copyWithin(entry + KEY_AT, keyAt, keyAt + this.keyBytes);
    this.bytes.fill(0, entry + this.valueOffset, entry + this.entryStride);
    w[(entry >>> 2) + HASH] = hash;
    w[(entry >>> 2) + NEXT] = w[bucket]!;
    w[bucket] = entry;
    this.count++;
    this.touch();
  }

  private unlink(entry: number): void {
    const w = this.words;
    let link = (this.bucketsAt >>> 2) + (w[(entry >>> 2) + HASH]! & this.bucketMask);
    while (w[link] !== entry) link = w[link]! >>> 2;
    w[link] = w[(entry >>> 2) + NEXT]!;
    this.count--;
    this.touch();
  }
}

function mix(h: number, word: number): number {
  let k = Math.imul(word, HASH_CONSTANTS.first);
  k = (k << 15) | (k >>> 17);
  k = h ^ Math.imul(k, HASH_CONSTANTS.second);
  k = (k << 13) | (k >>> 19);
  return (Math.imul(k, 5) + HASH_CONSTANTS.add) | 0;
}
