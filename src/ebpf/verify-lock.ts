/**
 * Spin locks, as the kernel's verifier has them: a lock is taken alone, is given back by whoever took it, and until
 * then no helper is called. Nothing but the two helpers touches its bytes.
 */
import { type Btf, BtfKind, type BtfType } from "./btf.js";
import { MapType } from "./map-type.js";
import type { Refuse } from "./verify-memory.js";
import type { State } from "./verify-state.js";
import type { Value } from "./verify-value.js";

const LOCK = "bpf_spin_lock";
const LOCK_BYTES = 4;

/** Where a map's values have their `struct bpf_spin_lock`; null: nowhere, or in a map that cannot have one. */
export function lockIn(btf: Btf, valueType: number, mapType: number): number | null {
  if (mapType !== MapType.ARRAY && mapType !== MapType.HASH) return null;
  const value = btf.resolve(valueType);
  const parts: readonly { type: number; at: number }[] = [
    ...value.members.map(({ type, bitOffset }) => ({ type, at: bitOffset / 8 })),
    ...value.variables.map(({ type, at }) => ({ type: btf.at(type).type, at })),
  ];
  return parts.find(({ type }) => isLock(btf.resolve(type)))?.at ?? null;
}

const isLock = ({ kind, name }: BtfType): boolean => kind === BtfKind.STRUCT && name === LOCK;

/** `pointer` is what a helper was given; `helper` is one of the two. */
export function lockOrUnlock(state: State, helper: string, pointer: Value, refuse: Refuse): void {
  const { map } = pointer;
  const at = map?.lockAt ?? null;
  if (at === null) refuse(`${map?.name} has no struct ${LOCK} in its values`);
  if (pointer.min !== pointer.max || pointer.offset + pointer.min !== at) {
    refuse(`this is not where ${map?.name} has its lock: at byte ${at} of a value`);
  }
  const { lock } = state;
  if (helper === "spin_lock") {
    if (lock !== null) refuse(`the lock of ${lock.map?.name} is held, and there may be only one`);
    state.lock = pointer;
    return;
  }
  if (lock === null) refuse("no lock is held");
  else if (lock.map !== map || lock.id !== pointer.id) {
    refuse(`another lock is held, one of ${lock.map?.name}, from another lookup`);
  }
  state.lock = null;
}

/** Whether an access to a value of a map, from byte `from` to `end`, touches its lock. */
export function touchesLock(lockAt: number | null | undefined, from: number, end: number): boolean {
  return lockAt !== null && lockAt !== undefined && from < lockAt + LOCK_BYTES && end > lockAt;
}
