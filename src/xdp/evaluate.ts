/**
 * Values of expressions for one packet: what a tracer follows the program by, and the reference that
 * compiled conditions are tested against.
 */
import type { LinearMap } from "../ebpf/linear-map.js";
import type { Runtime } from "../ebpf/runtime.js";
import { divide, remainder, signed, swap } from "./arithmetic.js";
import { Ex, type Expressions, Input, NONE } from "./expr.js";

export class Evaluator {
  private readonly e: Expressions;
  private readonly runtime: Runtime;
  private value = new BigUint64Array(1024);
  private stamp = new Int32Array(1024);
  private now = 0;
  /** The frame as it was: bytes from `hardStart` on. */
  private frame = new Uint8Array(0);
  private frameView = new DataView(this.frame.buffer);
  private packetAt = 0;
  private headroom = 0;
  private length = 0;
  private tailroom = 0;

  constructor(e: Expressions, runtime: Runtime) {
    this.e = e;
    this.runtime = runtime;
  }

  /** Takes the packet that the runtime has; what was known of the last one is forgotten. */
  begin(): void {
    const { runtime } = this;
    this.now++;
    this.packetAt = runtime.dataAt;
    this.headroom = runtime.dataAt - runtime.hardStart;
    this.length = runtime.dataEnd - runtime.dataAt;
    this.tailroom = runtime.hardEnd - runtime.dataEnd;
    const size = runtime.hardEnd - runtime.hardStart;
    if (this.frame.length < size) {
      this.frame = new Uint8Array(size);
      this.frameView = new DataView(this.frame.buffer);
    }
    this.frame.set(runtime.bytes.subarray(runtime.hardStart, runtime.hardEnd));
  }

  /** Says what a RESULT, FILLED or MAP_LOAD is, which only whoever makes it can know in time. */
  define(node: number, value: bigint): void {
    this.room(node);
    this.value[node] = value;
    this.stamp[node] = this.now;
  }

  isDefined(node: number): boolean {
    return node < this.stamp.length && this.stamp[node] === this.now;
  }

  /** The value as an address or another small number. */
  numberOf(node: number): number {
    return Number(BigInt.asIntN(64, this.of(node)));
  }

  of(node: number): bigint {
    if (node >= this.stamp.length) this.room(node);
    if (this.stamp[node] === this.now) return this.value[node]!;
    const value = BigInt.asUintN(64, this.compute(node));
    this.value[node] = value;
    this.stamp[node] = this.now;
    return value;
  }

  /** Whether a comparison holds. */
  holds(node: number): boolean {
    return this.of(node) !== 0n;
  }

  private room(node: number): void {
    if (node < this.stamp.length) return;
    const size = Math.max(this.stamp.length * 2, node + 1);
    const value = new BigUint64Array(size);
    value.set(this.value);
    const stamp = new Int32Array(size);
    stamp.set(this.stamp);
    this.value = value;
    this.stamp = stamp;
  }

  private compute(node: number): bigint {
    const { e } = this;
    const op = e.op[node]!;
    if (op < Ex.ADD) return this.leaf(node, op);
    const a = this.of(e.a[node]!);
    if (op >= Ex.SEXT8 && op <= Ex.SWAP64) return unary(op, a);
    return binary(op, a, this.of(e.b[node]!));
  }

  private leaf(node: number, op: number): bigint {
    const { e, runtime } = this;
    switch (op) {
      case Ex.CONST:
        return e.valueOf(node);
      case Ex.PACKET:
        return BigInt(this.packetAt);
      case Ex.LENGTH:
        return BigInt(this.length);
      case Ex.HEADROOM:
        return BigInt(this.headroom);
      case Ex.TAILROOM:
        return BigInt(this.tailroom);
      case Ex.CONTEXT:
        return BigInt(runtime.view.getUint32(runtime.contextAt + e.low[node]!, true));
      case Ex.INPUT:
        return this.input(e.low[node]!);
      case Ex.LOAD:
        return this.load(node);
      case Ex.MAP_LOAD:
        return read(runtime.view, this.base(node) + e.low[node]!, e.high[node]!);
      case Ex.LOOKUP:
        return BigInt(this.lookup(node));
      case Ex.COUNT:
        return BigInt(runtime.maps[e.low[node]!]!.count);
      default:
        throw new Error(`expression ${node} has no value here`);
    }
  }

  private base(node: number): number {
    const base = this.e.a[node]!;
    return base === NONE ? 0 : this.numberOf(base);
  }

  private input(which: number): bigint {
    const { runtime } = this;
    if (which === Input.CPU) return BigInt(runtime.cpu);
    return (BigInt(runtime.nowHigh >>> 0) << 32n) | BigInt(runtime.nowLow >>> 0);
  }

  /** Bytes outside of the frame are 0: a guard that the packet does not reach would have come first. */
  private load(node: number): bigint {
    const { e } = this;
    const at = this.headroom + this.base(node) + e.low[node]!;
    const size = e.high[node]!;
    if (at < 0 || at + size > this.headroom + this.length + this.tailroom) return 0n;
    return read(this.frameView, at, size);
  }

  /** The address that the map says. */
  private lookup(node: number): number {
    const { e, runtime } = this;
    const map = runtime.maps[e.low[node]!] as LinearMap;
    const key = new Uint8Array(map.keyBytes);
    let at = 0;
    for (let part = e.a[node]!; part !== NONE; part = e.b[part]!) {
      let value = this.of(e.a[part]!);
      for (let n = 0; n < e.low[part]!; n++, value >>= 8n) key[at++] = Number(value & 0xffn);
    }
    return map.addressOf(key);
  }
}

export function read(view: DataView, at: number, size: number): bigint {
  if (size === 1) return BigInt(view.getUint8(at));
  if (size === 2) return BigInt(view.getUint16(at, true));
  if (size === 4) return BigInt(view.getUint32(at, true));
  return view.getBigUint64(at, true);
}

export function write(view: DataView, at: number, size: number, value: bigint): void {
  if (size === 8) view.setBigUint64(at, value, true);
  else if (size === 4) view.setUint32(at, Number(value & 0xffff_ffffn), true);
  else if (size === 2) view.setUint16(at, Number(value & 0xffffn), true);
  else view.setUint8(at, Number(value & 0xffn));
}

function unary(op: number, a: bigint): bigint {
  switch (op) {
    case Ex.SEXT8:
      return BigInt.asIntN(8, a);
    case Ex.SEXT16:
      return BigInt.asIntN(16, a);
    case Ex.SEXT32:
      return BigInt.asIntN(32, a);
    case Ex.SWAP16:
      return swap(a, 16);
    case Ex.SWAP32:
      return swap(a, 32);
    default:
      return swap(a, 64);
  }
}

function binary(op: number, a: bigint, b: bigint): bigint {
  switch (op) {
    case Ex.ADD:
      return a + b;
    case Ex.SUB:
      return a - b;
    case Ex.MUL:
      return a * b;
    case Ex.DIV:
      return divide(a, b, false);
    case Ex.MOD:
      return remainder(a, b, false);
    case Ex.SDIV:
      return divide(a, b, true);
    case Ex.SMOD:
      return remainder(a, b, true);
    case Ex.AND:
      return a & b;
    case Ex.OR:
      return a | b;
    case Ex.XOR:
      return a ^ b;
    case Ex.SHL:
      return a << (b & 63n);
    case Ex.SHR:
      return a >> (b & 63n);
    case Ex.SAR:
      return signed(a) >> (b & 63n);
    case Ex.EQ:
      return a === b ? 1n : 0n;
    case Ex.LTU:
      return a < b ? 1n : 0n;
    default:
      return signed(a) < signed(b) ? 1n : 0n;
  }
}
