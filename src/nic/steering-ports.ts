/**
 * The first question that the steering program asks: has this local port any claim at all? One bit for
 * each port of TCP and UDP, in an array of the kernel's.
 *
 * Bits are set and never cleared: one that is left over costs the lookups that would be made without
 * this table, and clearing would cost a system call at the end of each connection.
 */
import type { BpfMap } from "../sys/bpf-map.js";
import * as protocols from "../wire/ip-protocol.js";

/** Ports whose bits share a value of the map, 64 bits. */
export const PORTS_PER_WORD = 64;
const WORD_BYTES = 8;
/** TCP's words, then UDP's. */
export const WORDS_PER_PROTOCOL: number = 65_536 / PORTS_PER_WORD;
export const PORT_WORDS: number = 2 * WORDS_PER_PROTOCOL;

export class SteeringPorts {
  private readonly map: BpfMap;
  private readonly bits = new Uint8Array(PORT_WORDS * WORD_BYTES);
  private readonly key = new Int32Array(1);
  private readonly keyBytes = new Uint8Array(this.key.buffer);

  constructor(map: BpfMap) {
    this.map = map;
  }

  /** Marks a port, in host order. 0 or a negative error number. */
  mark(protocol: number, port: number): number {
    const first = protocol === protocols.UDP ? WORDS_PER_PROTOCOL * WORD_BYTES : 0;
    const at = first + (port >>> 3);
    const bit = 1 << (port & 7);
    if ((this.bits[at]! & bit) !== 0) return 0;
    this.bits[at]! |= bit;
    const wordAt = at & -WORD_BYTES;
    this.key[0] = wordAt / WORD_BYTES;
    const result = this.map.update(this.keyBytes, this.bits.subarray(wordAt, wordAt + WORD_BYTES));
    if (result < 0) this.bits[at]! &= ~bit;
    return result;
  }
}
