/** Expressions, conditions and effects in words that people read. */

import { helperName } from "../ebpf/helpers.js";
import { Atomic } from "../ebpf/isa.js";
import type { LinearMap } from "../ebpf/linear-map.js";
import { Ctx } from "../ebpf/runtime.js";
import { verdictName } from "../ebpf/xdp-verdict.js";
import { signed } from "./arithmetic.js";
import type { Atom } from "./condition.js";
import { Ex, type Expressions, Input, NONE } from "./expr.js";
import type { CallOp, EffectOp, Trace } from "./trace.js";

const INFIX: ReadonlyMap<number, string> = new Map([
  [Ex.ADD, "+"],
  [Ex.SUB, "-"],
  [Ex.MUL, "*"],
  [Ex.DIV, "/"],
  [Ex.MOD, "%"],
  [Ex.SDIV, "/s"],
  [Ex.SMOD, "%s"],
  [Ex.AND, "&"],
  [Ex.OR, "|"],
  [Ex.XOR, "^"],
  [Ex.SHL, "<<"],
  [Ex.SHR, ">>"],
  [Ex.SAR, ">>s"],
  [Ex.EQ, "=="],
  [Ex.LTU, "<"],
  [Ex.LTS, "<s"],
]);

const NAMES: ReadonlyMap<number, string> = new Map([
  [Ex.PACKET, "data"],
  [Ex.LENGTH, "length"],
  [Ex.HEADROOM, "headroom"],
  [Ex.TAILROOM, "tailroom"],
  [Ex.SEXT8, "s8"],
  [Ex.SEXT16, "s16"],
  [Ex.SEXT32, "s32"],
  [Ex.SWAP16, "swap16"],
  [Ex.SWAP32, "swap32"],
  [Ex.SWAP64, "swap64"],
]);

const CONTEXT_FIELDS: ReadonlyMap<number, string> = new Map([
  [Ctx.INGRESS_IFINDEX, "ingress_ifindex"],
  [Ctx.RX_QUEUE_INDEX, "rx_queue_index"],
]);

/** Longer expressions are cut. */
const MAX_DEPTH = 12;

export class Words {
  private readonly e: Expressions;
  private readonly maps: readonly LinearMap[];
  private readonly maxDepth: number;

  /** `maxDepth`: of operations in operations; what is deeper is `…`. */
  constructor(e: Expressions, maps: readonly LinearMap[], maxDepth: number = MAX_DEPTH) {
    this.e = e;
    this.maps = maps;
    this.maxDepth = maxDepth;
  }

  /** `packet[12:14]`, `length`, `flows[packet[26:30]]`, sums and so on. */
  value(node: number, depth = 0): string {
    const { e } = this;
    const op = e.op[node]!;
    if (depth > this.maxDepth) return "…";
    const of = (operand: number): string => this.value(operand, depth + 1);
    const infix = INFIX.get(op);
    if (infix !== undefined) return this.infix(infix, op, node, depth);
    const name = NAMES.get(op);
    if (name !== undefined) return op < Ex.ADD ? name : `${name}(${of(e.a[node]!)})`;
    switch (op) {
      case Ex.CONST:
        return number(e.valueOf(node));
      case Ex.LOAD:
        return this.packet(e.a[node]!, e.low[node]!, e.high[node]!, depth);
      case Ex.MAP_LOAD:
        return this.mapValue(e.b[node]!, e.a[node]!, e.low[node]!, e.high[node]!, depth);
      case Ex.LOOKUP:
        return `${this.mapName(e.low[node]!)}[${this.key(e.a[node]!, depth)}]`;
      case Ex.CONTEXT:
        return CONTEXT_FIELDS.get(e.low[node]!) ?? `context+${e.low[node]}`;
      case Ex.INPUT:
        return e.low[node] === Input.TIME ? "time" : "cpu";
      case Ex.COUNT:
        return `keys of ${this.mapName(e.low[node]!)}`;
      case Ex.RESULT:
        return `${helperName(e.high[node]!)}()`;
      default:
        return "what a call wrote";
    }
  }

  private infix(sign: string, op: number, node: number, depth: number): string {
    const { e } = this;
    const [a, b] = [e.a[node]!, e.b[node]!];
    const part = (one: number): string => {
      const text = this.value(one, depth + 1);
      return INFIX.has(e.op[one]!) ? `(${text})` : text;
    };
    if (op === Ex.ADD && e.isConstant(b) && signed(e.valueOf(b)) < 0n) {
      return `${part(a)} - ${-signed(e.valueOf(b))}`;
    }
    return `${part(a)} ${sign} ${part(b)}`;
  }

  private packet(base: number, offset: number, size: number, depth: number): string {
    if (base === NONE) return field("packet", offset, size);
    return `packet[${this.sum(base, offset, depth)}, ${size} bytes]`;
  }

  private mapName(index: number): string {
    return this.maps[index]?.name ?? `map ${index}`;
  }

  private mapValue(map: number, base: number, offset: number, size: number, depth: number): string {
    const { e } = this;
    if (base === NONE) return field(this.mapName(map), this.placeIn(map, offset), size);
    if (e.op[base] === Ex.LOOKUP) return field(this.value(base, depth + 1), offset, size);
    const place = this.placeIn(map, offset);
    return `${this.mapName(map)}[${this.sum(base, place, depth)}, ${size} bytes]`;
  }

  private sum(base: number, offset: number, depth: number): string {
    const text = this.value(base, depth + 1);
    if (offset === 0) return text;
    return `${INFIX.has(this.e.op[base]!) ? `(${text})` : text} + ${offset}`;
  }

  /** Where an address is in the storage of an array. */
  private placeIn(map: number, address: number): number {
    const values = (this.maps[map] as { valuesAt?: number } | undefined)?.valuesAt ?? 0;
    return address - values;
  }

  private key(first: number, depth: number): string {
    const { e } = this;
    const parts: string[] = [];
    for (let part = first; part !== NONE; part = e.b[part]!)
      parts.push(this.value(e.a[part]!, depth + 1));
    return parts.join(", ");
  }

  /** One atom: `packet[12:14] == 0x86dd`, `length >= 34`, `flows has packet[26:30]`. */
  atom(atom: Atom): string {
    const { e } = this;
    const { kind, subject, mask, least, most, isInside } = atom;
    if (kind === "computed") return this.test(subject, least === 1n);
    if (kind === "lookup") {
      const map = this.mapName(e.low[subject]!);
      const hasKey = most !== 0n;
      return `${map} has ${hasKey ? "" : "no "}${this.key(e.a[subject]!, 1)}`;
    }
    const isHexadecimal = kind === "packet" && least === most;
    const show = (value: bigint): string =>
      isHexadecimal ? hexadecimal(value, e.high[subject]!) : number(value);
    const full = (1n << BigInt(mask.toString(2).length)) - 1n;
    const isWhole = kind === "packet" ? mask === fullMask(e.high[subject]!) : mask === full;
    let what = this.value(subject);
    if (kind === "packet" && !atom.isBigEndian && e.high[subject]! > 1) what = `le ${what}`;
    if (!isWhole) what = `(${what} & ${hexadecimal(mask, 1)})`;
    if (least === most) return `${what} ${isInside ? "==" : "!="} ${show(least)}`;
    if (most === mask) return `${what} ${isInside ? ">=" : "<"} ${show(least)}`;
    if (least === 0n) return `${what} ${isInside ? "<=" : ">"} ${show(most)}`;
    return `${isInside ? "" : "not "}${show(least)} <= ${what} <= ${show(most)}`;
  }

  private test(node: number, holds: boolean): string {
    const { e } = this;
    const op = e.op[node]!;
    const [a, b] = [this.value(e.a[node]!, 1), this.value(e.b[node]!, 1)];
    if (op === Ex.EQ) return `${a} ${holds ? "==" : "!="} ${b}`;
    return holds ? `${a} < ${b}` : `${a} >= ${b}`;
  }

  /** What a trace does, one line each; nothing for one that only has a verdict. */
  effects(trace: Trace): string[] {
    return trace.effects
      .map((op) => this.effect(op))
      .filter((text): text is string => text !== null);
  }

  effect(op: EffectOp): string | null {
    switch (op.kind) {
      case "store": {
        const to =
          op.space === "packet"
            ? this.packet(op.base, op.offset, op.size, 0)
            : this.mapValue(op.map, op.base, op.offset, op.size, 0);
        return `${to} = ${this.value(op.value)}`;
      }
      case "atomic": {
        const to = this.mapValue(op.map, op.base, op.offset, op.size, 0);
        const what = op.what & ~Atomic.FETCH;
        const sign =
          what === Atomic.ADD ? "+" : what === Atomic.OR ? "|" : what === Atomic.AND ? "&" : "^";
        return `${to} ${sign}= ${this.value(op.value)}`;
      }
      case "call":
        return this.call(op);
      case "move": {
        const end = this.value(op.end);
        return `packet from ${this.value(op.start)} to ${end}`;
      }
      default:
        return null;
    }
  }

  private call(op: CallOp): string {
    const args = op.args.filter((node) => node !== NONE).map((node) => this.argument(node));
    return `${helperName(op.helper)}(${args.join(", ")})`;
  }

  private argument(node: number): string {
    const map = this.e.isConstant(node)
      ? this.maps.find(({ at }) => at === this.e.low[node])
      : undefined;
    return map?.name ?? this.value(node, 1);
  }

  verdict(trace: Trace): string {
    const { e } = this;
    return e.isConstant(trace.verdict)
      ? verdictName(e.low[trace.verdict]!)
      : this.value(trace.verdict);
  }
}

const fullMask = (size: number): bigint => (1n << BigInt(8 * size)) - 1n;

function field(name: string, offset: number, size: number): string {
  return size === 1 ? `${name}[${offset}]` : `${name}[${offset}:${offset + size}]`;
}

function number(value: bigint): string {
  const plain = signed(value);
  if (plain < 0n && plain > -65_536n) return String(plain);
  return value > 0xffffn ? `0x${value.toString(16)}` : String(value);
}

function hexadecimal(value: bigint, size: number): string {
  return `0x${value.toString(16).padStart(2 * size, "0")}`;
}
