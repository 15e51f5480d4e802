/**
 * Control flow as WebAssembly has it: blocks and loops from a graph of basic blocks, by the dominator tree
 * (Ramsey, "Beyond Relooper", ICFP 2022). Graphs with loops that are entered at several places, which
 * compilers hardly make, and very large ones become one loop around a table of blocks.
 */
import type { BasicBlock, FlowGraph } from "./flow-graph.js";
import { NO_RESULT, Wasm, type WasmBytes } from "./wasm-writer.js";

/** Deeper nesting would exhaust the stack, of the writer here or of the engine that reads it. */
const MAX_NESTED_BLOCKS = 1_500;

export interface BlockWriter {
  /** Writes a block's instructions but the jump at its end; so many blocks of the flow are open there. */
  writeBody(block: BasicBlock, depth: number): void;
  /** Pushes 1 when the branch at the block's end is taken, else 0. */
  writeCondition(block: BasicBlock): void;
}

/** Writes a function's flow. The code after it is never reached. */
export function writeFlow(
  out: WasmBytes,
  graph: FlowGraph,
  writer: BlockWriter,
  stateLocal: number,
): void {
  if (graph.isReducible && graph.blocks.length <= MAX_NESTED_BLOCKS)
    new Structure(out, graph, writer).tree(0);
  else writeTable(out, graph, writer, stateLocal);
  out.byte(Wasm.unreachable);
}

/** What surrounds the place being written, innermost last: the block that a jump to it leads to. */
const NOWHERE = -1;

class Structure {
  private readonly out: WasmBytes;
  private readonly graph: FlowGraph;
  private readonly writer: BlockWriter;
  private readonly around: number[] = [];
  private readonly children: number[][];
  /** Joins: blocks that several lead to, not counting loops back. */
  private readonly isJoin: boolean[];
  private readonly isLoop: boolean[];

  constructor(out: WasmBytes, graph: FlowGraph, writer: BlockWriter) {
    this.out = out;
    this.graph = graph;
    this.writer = writer;
    this.children = graph.blocks.map(() => []);
    for (const [number, above] of graph.dominators.entries()) {
      if (number > 0) this.children[above]!.push(number);
    }
    const { blocks } = graph;
    this.isJoin = blocks.map((b) => b.before.filter((from) => from < b.number).length > 1);
    this.isLoop = blocks.map((b) => b.before.some((from) => from >= b.number));
  }

  tree(number: number): void {
    const joins = this.children[number]!.filter((child) => this.isJoin[child]);
    if (!this.isLoop[number]) {
      this.within(number, joins);
      return;
    }
    this.open(Wasm.loop, number);
    this.within(number, joins);
    this.close();
  }

  /** A block and the joins that it dominates, the last of which is outermost. */
  private within(number: number, joins: readonly number[]): void {
    const last = joins.at(-1);
    if (last !== undefined) {
      this.open(Wasm.block, last);
      this.within(number, joins.slice(0, -1));
      this.close();
      this.tree(last);
      return;
    }
    const block = this.graph.blocks[number]!;
    this.writer.writeBody(block, this.around.length);
    const [first, second] = block.next;
    if (first === undefined) return;
    if (second === undefined) {
      this.goTo(number, first);
      return;
    }
    this.writer.writeCondition(block);
    this.open(Wasm.if, NOWHERE);
    this.goTo(number, first);
    this.out.byte(Wasm.else);
    this.goTo(number, second);
    this.close();
  }

  private goTo(from: number, to: number): void {
    if (to <= from || this.isJoin[to]) {
      const depth = this.around.length - 1 - this.around.lastIndexOf(to);
      this.out.byte(Wasm.br).unsigned(depth);
    } else {
      this.tree(to);
    }
  }

  private open(opcode: number, leadsTo: number): void {
    this.out.ops(opcode, NO_RESULT);
    this.around.push(leadsTo);
  }

  private close(): void {
    this.out.byte(Wasm.end);
    this.around.pop();
  }
}

/** `loop { block … { br_table } block 0 … }`: a local says which block is next. */
function writeTable(
  out: WasmBytes,
  graph: FlowGraph,
  writer: BlockWriter,
  stateLocal: number,
): void {
  const { blocks } = graph;
  out.i32Const(0).set(stateLocal).ops(Wasm.loop, NO_RESULT);
  for (let i = 0; i < blocks.length; i++) out.ops(Wasm.block, NO_RESULT);
  out
    .get(stateLocal)
    .byte(Wasm.br_table)
    .unsigned(blocks.length - 1);
  for (let i = 0; i < blocks.length; i++) out.unsigned(i);
  for (const block of blocks) {
    out.byte(Wasm.end);
    writer.writeBody(block, blocks.length - block.number);
    const [first, second] = block.next;
    if (first === undefined) continue;
    if (second === undefined) {
      out.i32Const(first);
    } else {
      out.i32Const(first).i32Const(second);
      writer.writeCondition(block);
      out.byte(Wasm.select);
    }
    out
      .set(stateLocal)
      .byte(Wasm.br)
      .unsigned(blocks.length - 1 - block.number);
  }
  out.byte(Wasm.end);
}
