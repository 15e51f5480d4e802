/**
 * Expressions as WebAssembly. A value that is needed more than once is kept in a local from where it is first
 * needed, as long as the code that follows is only reached through there (scopes).
 *
 * The first four locals, or parameters, are where the packet begins and ends, and the frame; the fifth is for
 * one word, and three are a burst's. All others have 64 bits; values of at most 32 bits are computed in 32.
 */
import { I32, I64, Wasm, type WasmBytes } from "../ebpf/wasm-writer.js";
import { Ex, type Expressions, Input, isBinary, isComparison, isUnary, NONE } from "./expr.js";
import { LOADS32, LOADS64, log2, OPS32, OPS64, WORD_BITS } from "./expression-tables.js";

export const DATA = 0;
export const DATA_END = 1;
export const HARD_START = 2;
export const HARD_END = 3;
/** Types of these four. */
export const ENDS: readonly number[] = [I32, I32, I32, I32];
/** A word, during an operation. */
const SCRATCH = 4;
/** Of a burst: its record at hand, how many records there are, and are left. */
export const RECORD = 5;
export const COUNT = 6;
export const LEFT = 7;
const FIRST_VALUE = 8;

/** What expressions need to know of the instance that they are about. */
export interface Addresses {
  readonly contextAt: number;
  readonly registersAt: number;
  /** Where time (8 bytes), CPU (4), and the frame's start and end (4 each) are. */
  readonly inputsAt: number;
}

/** Writes the call of a lookup, which leaves an address of 32 bits. */
export type LookupWriter = (code: ExpressionCode, node: number) => void;

export class ExpressionCode {
  readonly e: Expressions;
  readonly out: WasmBytes;
  readonly addresses: Addresses;
  /** How often each node is needed; those that are needed twice get a local. */
  readonly uses: ReadonlyMap<number, number>;
  private readonly writeLookup: LookupWriter;
  private readonly cached = new Map<number, number>();
  private readonly order: number[] = [];
  private next = FIRST_VALUE;
  private most = FIRST_VALUE;

  constructor(
    e: Expressions,
    out: WasmBytes,
    addresses: Addresses,
    uses: ReadonlyMap<number, number>,
    writeLookup: LookupWriter,
  ) {
    this.e = e;
    this.out = out;
    this.addresses = addresses;
    this.uses = uses;
    this.writeLookup = writeLookup;
  }

  /** Types of the locals behind the first four. */
  get localTypes(): number[] {
    return [I32, I32, I32, I32, ...new Array<number>(this.most - FIRST_VALUE).fill(I64)];
  }

  /** Runs `write`; what it kept in locals is not valid behind it. */
  scope(write: () => void): void {
    const kept = this.order.length;
    const { next } = this;
    write();
    for (const node of this.order.splice(kept)) this.cached.delete(node);
    this.next = next;
  }

  isCached(node: number): boolean {
    return this.cached.has(node);
  }

  /** Puts what is on the stack, 64 bits, into a local of the node. */
  keep(node: number): void {
    this.out.set(this.localFor(node));
  }

  private localFor(node: number): number {
    const local = this.next++;
    if (this.next > this.most) this.most = this.next;
    this.cached.set(node, local);
    this.order.push(node);
    return local;
  }

  /** Computes a node now and keeps it. */
  preload(node: number): void {
    if (this.cached.has(node) || this.e.isConstant(node)) return;
    this.compute(node);
    this.keep(node);
  }

  private isShared(node: number): boolean {
    return (this.uses.get(node) ?? 0) > 1 && this.e.op[node]! > Ex.PACKET;
  }

  /** Pushes a value, 64 bits. */
  emit(node: number): void {
    const local = this.cached.get(node);
    if (local !== undefined) {
      this.out.get(local);
      return;
    }
    this.compute(node);
    if (this.isShared(node)) this.out.tee(this.localFor(node));
  }

  /** Pushes the low 32 bits of a value. */
  emitLow(node: number): void {
    const { e, out } = this;
    if (e.isConstant(node)) {
      out.i32Const(e.low[node]!);
    } else if (this.cached.has(node) || this.isShared(node) || !this.computeLow(node)) {
      this.emit(node);
      out.byte(Wasm.i32_wrap_i64);
    }
  }

  /** Pushes 1 when a comparison holds. */
  emitTest(node: number): void {
    const { e, out } = this;
    if (this.cached.has(node) || !isComparison(e.op[node]!)) {
      this.emitLow(node);
      return;
    }
    const [op, a, b] = [e.op[node]!, e.a[node]!, e.b[node]!];
    const isZero = op === Ex.EQ && e.isConstant(b) && e.valueOf(b) === 0n;
    const isShort = e.may[a]! <= WORD_BITS && e.may[b]! <= WORD_BITS;
    if (isShort) {
      this.emitLow(a);
      if (isZero) out.byte(Wasm.i32_eqz);
      else {
        this.emitLow(b);
        // Both have no sign in 64 bits.
        out.byte(op === Ex.EQ ? Wasm.i32_eq : Wasm.i32_lt_u);
      }
      return;
    }
    this.emit(a);
    if (isZero) out.byte(Wasm.i64_eqz);
    else {
      this.emit(b);
      out.byte(OPS64.get(op)!);
    }
  }

  /** Pushes the part of an address that no instruction can add itself; returns what it can. */
  address(base: number, offset: number): number {
    const { out } = this;
    if (base === NONE) {
      out.i32Const(offset);
      return 0;
    }
    this.emitLow(base);
    return this.rest(offset);
  }

  /** As {@link address}, in the packet. */
  packetAddress(base: number, offset: number): number {
    const { out } = this;
    out.get(DATA);
    if (base !== NONE) {
      this.emitLow(base);
      out.byte(Wasm.i32_add);
    }
    return this.rest(offset);
  }

  private rest(offset: number): number {
    if (offset >= 0) return offset;
    this.out.i32Const(offset).byte(Wasm.i32_add);
    return 0;
  }

  private compute(node: number): void {
    const { e, out } = this;
    const op = e.op[node]!;
    if (op === Ex.CONST) {
      out.i64Const(e.low[node]!, e.high[node]!);
    } else if (isComparison(op)) {
      this.emitTest(node);
      out.byte(Wasm.i64_extend_i32_u);
    } else if (e.may[node]! <= WORD_BITS && this.computeLow(node)) {
      out.byte(Wasm.i64_extend_i32_u);
    } else if (isBinary(op)) {
      this.binary(node, op);
    } else if (isUnary(op)) {
      this.unary(node, op);
    } else {
      this.leaf(node, op);
    }
  }

  private leaf(node: number, op: number): void {
    const { e, out, addresses } = this;
    switch (op) {
      case Ex.LOAD: {
        const rest = this.packetAddress(e.a[node]!, e.low[node]!);
        out.memory(LOADS64[log2(e.high[node]!)]!, rest);
        break;
      }
      case Ex.MAP_LOAD: {
        const rest = this.address(e.a[node]!, e.low[node]!);
        out.memory(LOADS64[log2(e.high[node]!)]!, rest);
        break;
      }
      case Ex.FILLED:
        out.i32Const(e.low[node]!).memory(LOADS64[log2(e.high[node]!)]!, 0);
        break;
      case Ex.RESULT:
        out.i32Const(addresses.registersAt).memory(Wasm.i64_load, 0);
        break;
      case Ex.INPUT:
        out.i32Const(addresses.inputsAt);
        if (e.low[node] === Input.TIME) out.memory(Wasm.i64_load, 0);
        else out.memory(Wasm.i64_load32_u, 8);
        break;
      default:
        throw new Error(`expression ${node} is no value`);
    }
  }

  /** Pushes the low 32 bits by operations of 32 bits; false: there are none for it. */
  private computeLow(node: number): boolean {
    const { e, out } = this;
    const op = e.op[node]!;
    const plain = OPS32.get(op);
    if (plain !== undefined) {
      this.emitLow(e.a[node]!);
      this.emitLow(e.b[node]!);
      out.byte(plain);
      return true;
    }
    switch (op) {
      case Ex.PACKET:
        out.get(DATA);
        return true;
      case Ex.LENGTH:
        out.get(DATA_END).get(DATA).byte(Wasm.i32_sub);
        return true;
      case Ex.HEADROOM:
        out.get(DATA).get(HARD_START).byte(Wasm.i32_sub);
        return true;
      case Ex.TAILROOM:
        out.get(HARD_END).get(DATA_END).byte(Wasm.i32_sub);
        return true;
      case Ex.LOOKUP:
        this.writeLookup(this, node);
        return true;
      case Ex.CONTEXT:
        out.i32Const(this.addresses.contextAt).memory(Wasm.i32_load, e.low[node]!);
        return true;
      case Ex.COUNT:
        this.writeLookup(this, node);
        return true;
      case Ex.SHL:
      case Ex.SHR:
        return this.shiftLow(node, op);
      case Ex.SWAP16:
        this.swap16(e.a[node]!);
        return true;
      case Ex.SWAP32:
        this.swap32(() => this.emitLow(e.a[node]!));
        return true;
      case Ex.LOAD:
      case Ex.MAP_LOAD:
        return this.loadLow(node, op);
      default:
        return false;
    }
  }

  private shiftLow(node: number, op: number): boolean {
    const { e, out } = this;
    const b = e.b[node]!;
    if (!e.isConstant(b) || e.valueOf(b) > 31n) return false;
    if (op === Ex.SHR && e.may[e.a[node]!]! > WORD_BITS) return false;
    this.emitLow(e.a[node]!);
    out.i32Const(e.low[b]!).byte(op === Ex.SHL ? Wasm.i32_shl : Wasm.i32_shr_u);
    return true;
  }

  private loadLow(node: number, op: number): boolean {
    const { e, out } = this;
    const size = e.high[node]!;
    if (size > 4) return false;
    const [base, low] = [e.a[node]!, e.low[node]!];
    const rest = op === Ex.LOAD ? this.packetAddress(base, low) : this.address(base, low);
    out.memory(LOADS32[log2(size)]!, rest);
    return true;
  }

  private swap16(node: number): void {
    const { out } = this;
    this.emitLow(node);
    out.tee(SCRATCH).i32Const(8).byte(Wasm.i32_shl).get(SCRATCH).i32Const(8).byte(Wasm.i32_shr_u);
    out.byte(Wasm.i32_or).i32Const(0xffff).byte(Wasm.i32_and);
  }

  /** Pushes a word with its bytes the other way round. */
  private swap32(push: () => void): void {
    const { out } = this;
    push();
    out.tee(SCRATCH).i32Const(8).byte(Wasm.i32_rotl).i32Const(0x00ff_00ff).byte(Wasm.i32_and);
    out
      .get(SCRATCH)
      .i32Const(8)
      .byte(Wasm.i32_rotr)
      .i32Const(0xff00_ff00 | 0);
    out.ops(Wasm.i32_and, Wasm.i32_or);
  }

  private unary(node: number, op: number): void {
    const { e, out } = this;
    const a = e.a[node]!;
    if (op === Ex.SWAP64) {
      this.swap32(() => this.emitLow(a));
      out.byte(Wasm.i64_extend_i32_u).i64Const(32, 0).byte(Wasm.i64_shl);
      this.swap32(() => {
        this.emit(a);
        out.i64Const(32, 0).ops(Wasm.i64_shr_u, Wasm.i32_wrap_i64);
      });
      out.ops(Wasm.i64_extend_i32_u, Wasm.i64_or);
      return;
    }
    this.emit(a);
    const extend = [Wasm.i64_extend8_s, Wasm.i64_extend16_s, Wasm.i64_extend32_s][op - Ex.SEXT8]!;
    out.byte(extend);
  }

  private binary(node: number, op: number): void {
    const { e, out } = this;
    const [a, b] = [e.a[node]!, e.b[node]!];
    if (op >= Ex.DIV && op <= Ex.SMOD) {
      this.divide(op, a, b);
      return;
    }
    if (op === Ex.AND && e.isConstant(b) && e.valueOf(b) === WORD_BITS) {
      this.emit(a);
      out.ops(Wasm.i32_wrap_i64, Wasm.i64_extend_i32_u);
      return;
    }
    this.emit(a);
    this.emit(b);
    out.byte(OPS64.get(op)!);
  }

  /** RFC 9669 §4.1: x / 0 = 0, x % 0 = x; and the least number / -1 is itself. */
  private divide(op: number, a: number, b: number): void {
    const { e, out } = this;
    const isDivision = op === Ex.DIV || op === Ex.SDIV;
    const isSigned = op === Ex.SDIV || op === Ex.SMOD;
    const opcode = isDivision
      ? isSigned
        ? Wasm.i64_div_s
        : Wasm.i64_div_u
      : isSigned
        ? Wasm.i64_rem_s
        : Wasm.i64_rem_u;
    const by = e.isConstant(b) ? e.valueOf(b) : null;
    if (by !== null && by !== 0n && by !== (1n << 64n) - 1n) {
      this.emit(a);
      this.emit(b);
      out.byte(opcode);
      return;
    }
    // Both are needed on several ways: into locals first.
    this.preload(a);
    this.preload(b);
    this.emit(b);
    out.ops(Wasm.i64_eqz, Wasm.if, I64);
    if (isDivision) out.i64Const(0, 0);
    else this.emit(a);
    out.byte(Wasm.else);
    if (isSigned && isDivision) {
      this.emit(b);
      out.i64Const(-1, -1).ops(Wasm.i64_eq, Wasm.if, I64).i64Const(0, 0);
      this.emit(a);
      out.ops(Wasm.i64_sub, Wasm.else);
    }
    this.emit(a);
    this.emit(b);
    out.byte(opcode);
    if (isSigned && isDivision) out.byte(Wasm.end);
    out.byte(Wasm.end);
  }
}
