/**
 * RINGBUF: records from programs to the host, in order. Positions count bytes and never wrap; a record
 * takes 8 bytes of header and its bytes, rounded up to 8, as in the kernel, so it is full when the
 * kernel's is. The data has twice its size in memory: a record that crosses the end goes on there, which
 * the kernel does by mapping its pages twice.
 */
import { EINVAL } from "../base/errno.js";
import { EbpfError } from "./ebpf-error.js";
import { LinearMap, type MapPlace } from "./linear-map.js";
import { align8 } from "./linear-memory.js";
import type { MapDefinition } from "./map-definition.js";

const HEADER_BYTES = 8;
/** In the header's first word, with the length in the other bits (linux/bpf.h). */
const BUSY = 0x8000_0000 | 0;
const DISCARDED = 0x4000_0000;
const LENGTH_MASK = 0x3fff_ffff;

export class RingMap extends LinearMap {
  private readonly dataAt: number;
  private readonly mask: number;
  /** Bytes ever reserved and ever consumed. */
  produced = 0;
  consumed = 0;

  constructor(definition: MapDefinition, place: MapPlace) {
    super(definition, place);
    const size = definition.maxEntries;
    if (size < 4096 || (size & (size - 1)) !== 0 || size > 2 ** 28) {
      throw new EbpfError(
        "EINVAL",
        `the map ${this.name} (RINGBUF): expected a power of two from 4096 bytes on, got ${size}`,
      );
    }
    this.mask = size - 1;
    this.dataAt = place.memory.take(size * 2, `the map ${this.name}`);
  }

  /** Address of a record's bytes; 0 when the ring is full. */
  reserve(lengthBytes: number): number {
    const total = align8(lengthBytes + HEADER_BYTES);
    if (lengthBytes > LENGTH_MASK || total > this.mask + 1) return 0;
    if (this.produced + total - this.consumed > this.mask) return 0;
    const at = this.dataAt + (this.produced & this.mask);
    this.words[at >>> 2] = lengthBytes | BUSY;
    this.produced += total;
    return at + HEADER_BYTES;
  }

  /** Ends what {@link reserve} began. */
  commit(recordAt: number, isDiscarded: boolean): void {
    const header = (recordAt - HEADER_BYTES) >>> 2;
    const length = this.words[header]! & LENGTH_MASK;
    this.words[header] = isDiscarded ? length | DISCARDED : length;
  }

  /** Length of the record that begins at an address. */
  lengthOf(recordAt: number): number {
    return this.words[(recordAt - HEADER_BYTES) >>> 2]! & LENGTH_MASK;
  }

  /** Calls `visit` with each finished record, in order; its bytes are valid during the call. */
  drain(visit: (record: Uint8Array) => void): void {
    while (this.consumed < this.produced) {
      const at = this.dataAt + (this.consumed & this.mask);
      const header = this.words[at >>> 2]!;
      if ((header & BUSY) !== 0) return;
      const length = header & LENGTH_MASK;
      const from = at + HEADER_BYTES;
      if ((header & DISCARDED) === 0) visit(this.bytes.subarray(from, from + length));
      this.consumed += align8(length + HEADER_BYTES);
    }
  }

  get sizeBytes(): number {
    return this.mask + 1;
  }

  lookup(): number {
    return 0;
  }

  update(): number {
    return this.unsupported();
  }

  delete(): number {
    return this.unsupported();
  }

  override get(): null {
    return null;
  }

  override set(): number {
    return -EINVAL;
  }

  covers(at: number, lengthBytes: number): boolean {
    return (
      at >= this.dataAt + HEADER_BYTES && at + lengthBytes <= this.dataAt + 2 * (this.mask + 1)
    );
  }

  protected walk(): void {}
}
