/**
 * Sums and the like of many operands as trees: a + b + c + d takes two rows as (a + b) + (c + d) and three one after the
 * other. Numbers have 64 bits and wrap, so any order gives the same.
 */
import { Ex, type Expressions, isBinary } from "./expr.js";

const isAssociative = (op: number): boolean =>
  op === Ex.ADD || op === Ex.AND || op === Ex.OR || op === Ex.XOR;

export class Chains {
  private readonly e: Expressions;
  /** By node: how many others, or effects, use its value. */
  private readonly uses = new Map<number, number>();

  constructor(expressions: Expressions) {
    this.e = expressions;
  }

  /** Says that something uses a value. */
  noteUse(node: number): void {
    const before = this.uses.get(node) ?? 0;
    this.uses.set(node, before + 1);
    if (before > 0) return;
    for (const operand of this.e.operands(node)) this.noteUse(operand);
  }

  /**
   * What a node is the sum (or AND, OR, XOR) of, from left to right: sums that nothing else uses are taken apart, unless
   * `isWhole`. Null: it has two operands, and those are its own.
   */
  operandsOf(node: number, isWhole: (node: number) => boolean): readonly number[] | null {
    const { e } = this;
    const op = e.op[node]!;
    if (!isBinary(op) || !isAssociative(op)) return null;
    const found: number[] = [];
    const add = (one: number): void => {
      const isPart = e.op[one] === op && this.uses.get(one) === 1 && !isWhole(one);
      if (!isPart) found.push(one);
      else for (const operand of e.operands(one)) add(operand);
    };
    for (const operand of e.operands(node)) add(operand);
    return found.length > 2 ? found : null;
  }
}
