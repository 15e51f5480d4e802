/**
 * LPM_TRIE: the value of the longest prefix that a key begins with. A key is its length in bits (a word
 * of the host) and then its bytes, most significant bit first (linux/bpf.h, `bpf_lpm_trie_key`).
 *
 * A binary trie whose paths are compressed, as the kernel's (lpm_trie.c). A node without a value of its
 * own stands where two longer prefixes part:
 *
 *   node: child 0 (4) | child 1 (4) | has a value (4) | unused (4) | key, padded to 8 | value
 */
import { EEXIST, EINVAL, ENOENT, ENOSPC } from "../base/errno.js";
import { EbpfError } from "./ebpf-error.js";
import { expectSizes, LinearMap, type MapPlace } from "./linear-map.js";
import { align8 } from "./linear-memory.js";
import type { MapDefinition } from "./map-definition.js";
import { UpdateFlag } from "./map-type.js";

const HAS_VALUE = 2;
const KEY_AT = 16;
const LENGTH_BYTES = 4;

export class TrieMap extends LinearMap {
  private readonly nodesAt: number;
  private readonly nodeStride: number;
  private readonly valueOffset: number;
  private readonly maxBits: number;
  /** Inner nodes are at most one fewer than those with values. */
  private readonly nodes: number;
  private root = 0;
  private free = 0;
  private fresh = 0;

  constructor(definition: MapDefinition, place: MapPlace) {
    super(definition, place);
    expectSizes(definition, {});
    if (this.keyBytes <= LENGTH_BYTES) {
      throw new EbpfError(
        "EINVAL",
        `the map ${this.name} (LPM_TRIE): a key of ${this.keyBytes} bytes has no prefix`,
      );
    }
    this.maxBits = (this.keyBytes - LENGTH_BYTES) * 8;
    this.valueOffset = KEY_AT + align8(this.keyBytes);
    this.nodeStride = this.valueOffset + this.valueStride;
    this.nodes = this.maxEntries * 2;
    this.nodesAt = place.memory.take(this.nodes * this.nodeStride, `the map ${this.name}`);
  }

  lookup(keyAt: number): number {
    const bits = this.bitsOf(keyAt);
    if (bits > this.maxBits) return 0;
    let found = 0;
    let node = this.root;
    while (node !== 0) {
      const own = this.bitsOf(node + KEY_AT);
      const common = this.commonBits(keyAt, node + KEY_AT, Math.min(own, bits));
      if (common < own) break;
      if (this.words[(node >>> 2) + HAS_VALUE] !== 0) found = node;
      if (own === bits) break;
      node = this.words[(node >>> 2) + this.bit(keyAt, own)]!;
    }
    return found === 0 ? 0 : found + this.valueOffset;
  }

  update(keyAt: number, valueAt: number, flags: number): number {
    const bits = this.bitsOf(keyAt);
    if (flags > UpdateFlag.EXIST || bits > this.maxBits) return -EINVAL;
    const link = this.findLink(keyAt, bits);
    const node = link === ROOT ? this.root : this.words[link]!;
    const same = node !== 0 && this.isSame(node, keyAt, bits);
    const exists = same && this.words[(node >>> 2) + HAS_VALUE] !== 0;
    if (exists && flags === UpdateFlag.NO_EXIST) return -EEXIST;
    if (!exists && flags === UpdateFlag.EXIST) return -ENOENT;
    if (!exists && this.count === this.maxEntries) return -ENOSPC;
    const to = same ? node : this.insert(link, node, keyAt, bits);
    if (!exists) {
      this.words[(to >>> 2) + HAS_VALUE] = 1;
      this.count++;
      this.touch();
    }
    // The kernel replaces the node: bits behind the prefix are those of the last key that was given.
    this.bytes.copyWithin(to + KEY_AT, keyAt, keyAt + this.keyBytes);
    const value = to + this.valueOffset;
    this.bytes.copyWithin(value, valueAt, valueAt + this.valueBytes);
    return 0;
  }

  delete(keyAt: number): number {
    const bits = this.bitsOf(keyAt);
    if (bits > this.maxBits) return -EINVAL;
    const w = this.words;
    let parent = ROOT;
    let link = ROOT;
    let node = this.root;
    while (node !== 0 && !this.isSame(node, keyAt, bits)) {
      const own = this.bitsOf(node + KEY_AT);
      if (own >= bits || this.commonBits(keyAt, node + KEY_AT, own) < own) return -ENOENT;
      parent = link;
      link = (node >>> 2) + this.bit(keyAt, own);
      node = w[link]!;
    }
    if (node === 0 || w[(node >>> 2) + HAS_VALUE] === 0) return -ENOENT;
    w[(node >>> 2) + HAS_VALUE] = 0;
    this.count--;
    this.touch();
    this.prune(parent, link, node);
    return 0;
  }

  covers(at: number, lengthBytes: number): boolean {
    const offset = at - this.nodesAt;
    if (offset < 0 || offset >= this.nodes * this.nodeStride) return false;
    const inside = (offset % this.nodeStride) - this.valueOffset;
    return inside >= 0 && inside + lengthBytes <= this.valueBytes;
  }

  protected walk(visit: (keyAt: number, valueAt: number) => void): void {
    const open = [this.root];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (node === 0) continue;
      open.push(this.words[(node >>> 2) + 1]!, this.words[node >>> 2]!);
      if (this.words[(node >>> 2) + HAS_VALUE] !== 0) visit(node + KEY_AT, node + this.valueOffset);
    }
  }

  /** The word that refers to the first node that is the key's or not on its path. */
  private findLink(keyAt: number, bits: number): number {
    let link = ROOT;
    let node = this.root;
    while (node !== 0) {
      const own = this.bitsOf(node + KEY_AT);
      if (own >= bits || this.commonBits(keyAt, node + KEY_AT, own) < own) return link;
      link = (node >>> 2) + this.bit(keyAt, own);
      node = this.words[link]!;
    }
    return link;
  }

  /** Puts a new node where `link` referred to `below`, with a node between them when neither covers the other. */
  private insert(link: number, below: number, keyAt: number, bits: number): number {
    const node = this.allocate(keyAt, bits);
    if (below === 0) {
      this.setLink(link, node);
      return node;
    }
    const belowKey = below + KEY_AT;
    const common = this.commonBits(keyAt, belowKey, Math.min(bits, this.bitsOf(belowKey)));
    if (common === bits) {
      this.words[(node >>> 2) + this.bit(belowKey, bits)] = below;
      this.setLink(link, node);
      return node;
    }
    const fork = this.allocate(keyAt, common);
    this.words[(fork >>> 2) + this.bit(keyAt, common)] = node;
    this.words[(fork >>> 2) + this.bit(belowKey, common)] = below;
    this.setLink(link, fork);
    return node;
  }

  /** Removes a node without a value that no longer parts two prefixes, and then perhaps its parent. */
  private prune(parent: number, link: number, node: number): void {
    const w = this.words;
    const left = w[node >>> 2]!;
    const right = w[(node >>> 2) + 1]!;
    if (left !== 0 && right !== 0) return;
    this.setLink(link, left === 0 ? right : left);
    this.release(node);
    if (left !== 0 || right !== 0 || link === ROOT) return;
    const place = link << 2;
    const parentNode = place - ((place - this.nodesAt) % this.nodeStride);
    if (w[(parentNode >>> 2) + HAS_VALUE] === 0) {
      const child = w[parentNode >>> 2]! === 0 ? w[(parentNode >>> 2) + 1]! : w[parentNode >>> 2]!;
      this.setLink(parent, child);
      this.release(parentNode);
    }
  }

  private setLink(link: number, node: number): void {
    if (link === ROOT) this.root = node;
    else this.words[link] = node;
  }

  private allocate(keyAt: number, bits: number): number {
    let node = this.free;
    if (node !== 0) {
      this.free = this.words[node >>> 2]!;
      this.bytes.fill(0, node, node + this.nodeStride);
    } else {
      node = this.nodesAt + this.fresh * this.nodeStride;
      this.fresh++;
    }
    const to = node + KEY_AT;
    this.bytes.copyWithin(to, keyAt, keyAt + this.keyBytes);
    this.words[to >>> 2] = bits;
    return node;
  }

  private release(node: number): void {
    this.words[node >>> 2] = this.free;
    this.free = node;
  }

  private isSame(node: number, keyAt: number, bits: number): boolean {
    const own = node + KEY_AT;
    return this.bitsOf(own) === bits && this.commonBits(keyAt, own, bits) === bits;
  }

  private bitsOf(keyAt: number): number {
    const b = this.bytes;
    return (b[keyAt]! | (b[keyAt + 1]! << 8) | (b[keyAt + 2]! << 16) | (b[keyAt + 3]! << 24)) >>> 0;
  }

  private bit(keyAt: number, n: number): number {
    return (this.bytes[keyAt + LENGTH_BYTES + (n >>> 3)]! >> (7 - (n & 7))) & 1;
  }

  /** Bits that two keys have in common from the start, at most `limit`. */
  private commonBits(a: number, b: number, limit: number): number {
    for (let i = 0; i * 8 < limit; i++) {
      const difference = this.bytes[a + LENGTH_BYTES + i]! ^ this.bytes[b + LENGTH_BYTES + i]!;
      if (difference !== 0) return Math.min(limit, i * 8 + Math.clz32(difference) - 24);
    }
    return limit;
  }
}

/** Stands for the word that holds the root. */
const ROOT = -1;
