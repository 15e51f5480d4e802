/** What the tracer knows of every byte of the stack. Addresses are constants. */
import { MAX_FRAMES, STACK_BYTES } from "../ebpf/runtime.js";
import type { Builder } from "./build.js";
import { assemble, type ByteOf } from "./bytes.js";
import { NONE } from "./expr.js";

const TOTAL_BYTES = MAX_FRAMES * STACK_BYTES;

export class StackBytes {
  private readonly build: Builder;
  private readonly at: number;
  private readonly nodes = new Int32Array(TOTAL_BYTES).fill(NONE);
  private readonly indexes = new Uint8Array(TOTAL_BYTES);

  constructor(build: Builder, at: number) {
    this.build = build;
    this.at = at;
  }

  clear(): void {
    this.nodes.fill(NONE);
  }

  covers(at: number): boolean {
    return at >= this.at && at < this.at + TOTAL_BYTES;
  }

  store(at: number, size: number, node: number): void {
    const from = at - this.at;
    for (let n = 0; n < size; n++) {
      this.nodes[from + n] = node;
      this.indexes[from + n] = n;
    }
  }

  /** Bytes that nobody wrote are NONE. */
  byte(at: number): ByteOf {
    return { node: this.nodes[at - this.at]!, index: this.indexes[at - this.at]! };
  }

  /** The number at an address; NONE when a byte of it was never written. */
  load(at: number, size: number): number {
    const bytes: ByteOf[] = [];
    for (let n = 0; n < size; n++) {
      const byte = this.byte(at + n);
      if (byte.node === NONE) return NONE;
      bytes.push(byte);
    }
    return assemble(this.build, bytes);
  }
}
