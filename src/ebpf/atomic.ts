/**
 * Atomic instructions (RFC 9669 §5.3). One thread runs a program and nobody else writes its maps, so they
 * are plain ones here. `s` is the place of the source register and `r0` that of r0, two words each.
 */
import { Atomic } from "./isa.js";

export function atomic32(
  view: DataView,
  at: number,
  r: Int32Array,
  s: number,
  what: number,
  r0: number,
): void {
  const old = view.getInt32(at, true);
  if (what === Atomic.CMPXCHG) {
    if (old === r[r0]) view.setInt32(at, r[s]!, true);
    r[r0] = old;
    r[r0 + 1] = 0;
    return;
  }
  view.setInt32(at, combine(what, old, r[s]!), true);
  if ((what & Atomic.FETCH) === 0) return;
  r[s] = old;
  r[s + 1] = 0;
}

function combine(what: number, old: number, operand: number): number {
  switch (what & ~Atomic.FETCH) {
    case Atomic.ADD:
      return old + operand;
    case Atomic.OR:
      return old | operand;
    case Atomic.AND:
      return old & operand;
    case Atomic.XOR:
      return old ^ operand;
    default:
      return operand; // exchange
  }
}

export function atomic64(
  view: DataView,
  at: number,
  r: Int32Array,
  s: number,
  what: number,
  r0: number,
): void {
  const high = view.getInt32(at + 4, true);
  const low = view.getInt32(at, true);
  if (what === Atomic.CMPXCHG) {
    if (low === r[r0] && high === r[r0 + 1]) put(view, at, r[s]!, r[s + 1]!);
    r[r0] = low;
    r[r0 + 1] = high;
    return;
  }
  const sum = combine(what, low, r[s]!);
  const isAdd = (what & ~Atomic.FETCH) === Atomic.ADD;
  const carry = isAdd && sum >>> 0 < low >>> 0 ? 1 : 0;
  put(view, at, sum, combine(what, high, r[s + 1]!) + carry);
  if ((what & Atomic.FETCH) === 0) return;
  r[s] = low;
  r[s + 1] = high;
}

function put(view: DataView, at: number, low: number, high: number): void {
  view.setInt32(at, low, true);
  view.setInt32(at + 4, high, true);
}
