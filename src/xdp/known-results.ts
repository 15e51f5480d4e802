/** What operations on nodes gave, the latest of each slot: nodes never change, so neither do results. */
import { NONE } from "./expr.js";

const SLOTS = 4096;
const WORDS = 4;

export class KnownResults {
  /** op, a, b, result. */
  private readonly words = new Int32Array(SLOTS * WORDS).fill(NONE);

  /** NONE: not known any more, or never was. */
  find(op: number, a: number, b: number): number {
    const { words } = this;
    const at = slotOf(op, a, b);
    return words[at] === op && words[at + 1] === a && words[at + 2] === b ? words[at + 3]! : NONE;
  }

  clear(): void {
    this.words.fill(NONE);
  }

  /** Gives the result back. */
  note(op: number, a: number, b: number, result: number): number {
    const { words } = this;
    const at = slotOf(op, a, b);
    words[at] = op;
    words[at + 1] = a;
    words[at + 2] = b;
    words[at + 3] = result;
    return result;
  }
}

function slotOf(op: number, a: number, b: number): number {
  const h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b + op, 0x85ebca6b);
  return WORDS * ((h ^ (h >>> 15)) & (SLOTS - 1));
}
