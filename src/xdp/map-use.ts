/**
 * What a program does with each of its maps, found without running it: which it writes, and how. A map that
 * is never written by the program can be copied to the NIC; one that is only added to can be summed up.
 *
 * Sound, not exact: what a register may point to is followed along every path, and whatever is stored in
 * memory may come back at any load of eight bytes. A map counts as written when it may be.
 */
import { isExit } from "../ebpf/flow-graph.js";
import { HELPERS } from "../ebpf/helpers.js";
import { type PlacedInstruction, placeInstructions } from "../ebpf/instructions.js";
import {
  Alu,
  Atomic,
  CallKind,
  Class,
  Jmp,
  LDDW,
  Mode,
  SOURCE_REGISTER,
  WideKind,
} from "../ebpf/isa.js";
import type { MapDefinition } from "../ebpf/map-definition.js";
import { isPerCpu, MapFlag, MapType } from "../ebpf/map-type.js";
import type { BpfObject, ObjectProgram } from "../ebpf/object.js";

export interface MapUse {
  readonly name: string;
  readonly isPerCpu: boolean;
  /** Loads of values, or helpers that read them. */
  reads: boolean;
  lookups: boolean;
  /** Stores to values. */
  stores: boolean;
  /** Atomic additions whose result is not used. */
  adds: boolean;
  /** Other atomic operations. */
  atomics: boolean;
  updates: boolean;
  deletes: boolean;
  /** Records to whoever reads the map: a ring buffer, perf events. */
  outputs: boolean;
  locks: boolean;
}

export const isReadOnly = (use: MapUse): boolean =>
  !(use.stores || use.adds || use.atomics || use.updates || use.deletes || use.locks);

/** All that a program does to its values is to add to them; keys stay. */
export const isAddOnly = (use: MapUse): boolean =>
  use.adds && !(use.reads || use.stores || use.atomics || use.updates || use.deletes || use.locks);

/** What a register may hold: map pointers and pointers to values, by the maps' places in the object. */
interface Points {
  readonly maps: ReadonlySet<number>;
  readonly values: ReadonlySet<number>;
}

const NOTHING: Points = { maps: new Set(), values: new Set() };

/** Of each map of the object, in its order. */
export function findMapUse(object: BpfObject, program: ObjectProgram): MapUse[] {
  return new UseFinder(object, program).run();
}

class UseFinder {
  private readonly uses: MapUse[];
  private readonly definitions: readonly MapDefinition[];
  private readonly instructions: readonly PlacedInstruction[];
  private readonly indexOf: ReadonlyMap<number, number>;
  private readonly references: ReadonlyMap<number, number>;
  private readonly functions: readonly number[];
  /** By instruction: what registers may point to before it; undefined: not reached yet. */
  private readonly states: (Points[] | undefined)[] = [];
  private readonly work: number[] = [];
  /** What memory may hold, wherever. */
  private memory: Points = NOTHING;
  private memoryChanged = false;
  /** By function's first word: what r0 may be at its end, and the calls of it. */
  private readonly results = new Map<number, Points>();
  private readonly callers = new Map<number, Set<number>>();
  /** Every map: what a lookup in a map of maps may give. */
  private readonly anyMap: Points;

  constructor(object: BpfObject, program: ObjectProgram) {
    this.definitions = object.maps;
    this.uses = object.maps.map(({ name, type }) => ({
      name,
      isPerCpu: isPerCpu(type),
      reads: false,
      lookups: false,
      stores: false,
      adds: false,
      atomics: false,
      updates: false,
      deletes: false,
      outputs: false,
      locks: false,
    }));
    this.instructions = placeInstructions(program.name, program.code);
    this.indexOf = new Map(this.instructions.map(({ word }, index) => [word, index]));
    const byName = new Map(object.maps.map(({ name }, index) => [name, index]));
    this.references = new Map(program.maps.map(({ at, map }) => [at / 8, byName.get(map) ?? -1]));
    this.functions = program.functions.map(({ at }) => at / 8).sort((a, b) => a - b);
    this.anyMap = { maps: new Set(object.maps.keys()), values: new Set() };
  }

  run(): MapUse[] {
    do {
      this.memoryChanged = false;
      this.states.length = 0;
      // Functions that only helpers call back may get anything.
      for (const word of this.functions) this.reach(word, this.entryState(word));
      for (let at = this.work.pop(); at !== undefined; at = this.work.pop()) this.step(at);
    } while (this.memoryChanged);
    return this.uses;
  }

  private entryState(word: number): Points[] {
    const isEntry = word === this.functions[0];
    const any = { maps: this.anyMap.maps, values: this.anyMap.maps };
    const isCallback = !isEntry && this.isCallback(word);
    return Array.from({ length: 11 }, (_, n) => (isCallback && n >= 1 && n <= 4 ? any : NOTHING));
  }

  private isCallback(word: number): boolean {
    return this.instructions.some(
      (i) => i.opcode === LDDW && i.src === WideKind.CODE && i.word + 1 + i.imm === word,
    );
  }

  private reach(word: number, state: readonly Points[]): void {
    const at = this.indexOf.get(word);
    if (at === undefined) return;
    const known = this.states[at];
    const merged = known === undefined ? [...state] : state.map((p, n) => union(known[n]!, p));
    if (known?.every((p, n) => isSame(p, merged[n]!))) return;
    this.states[at] = merged;
    this.work.push(at);
  }

  private step(at: number): void {
    const i = this.instructions[at]!;
    const state = [...this.states[at]!];
    const next = this.instructions[at + 1]?.word;
    const kind = i.opcode & 7;
    if (isExit(i)) this.leave(i.word, state);
    else if (kind === Class.JMP || kind === Class.JMP32) this.jump(i, state, next);
    else {
      this.plain(i, state);
      if (next !== undefined) this.reach(next, state);
    }
  }

  private plain(i: PlacedInstruction, state: Points[]): void {
    switch (i.opcode & 7) {
      case Class.ALU:
      case Class.ALU64:
        state[i.dst] = this.arithmetic(i, state);
        break;
      case Class.LDX: {
        for (const map of state[i.src]!.values) this.uses[map]!.reads = true;
        const isPointer = (i.opcode & 0x18) === 0x18;
        state[i.dst] = isPointer ? this.memory : NOTHING;
        break;
      }
      case Class.ST:
      case Class.STX:
        this.store(i, state);
        break;
      default:
        if (i.opcode === LDDW) state[i.dst] = this.wide(i);
    }
  }

  private arithmetic(i: PlacedInstruction, state: readonly Points[]): Points {
    if ((i.opcode & 7) === Class.ALU) return NOTHING; // half an address is none
    const source = (i.opcode & SOURCE_REGISTER) !== 0 ? state[i.src]! : NOTHING;
    return (i.opcode & 0xf0) === Alu.MOV ? source : union(state[i.dst]!, source);
  }

  private wide(i: PlacedInstruction): Points {
    const map = this.references.get(i.word);
    if (map === undefined || map < 0) return NOTHING;
    const only = new Set([map]);
    return i.src === WideKind.MAP_FD_VALUE
      ? { maps: new Set(), values: only }
      : { maps: only, values: new Set() };
  }

  private store(i: PlacedInstruction, state: Points[]): void {
    const isAtomic = (i.opcode & 0xe0) === Mode.ATOMIC;
    for (const map of state[i.dst]!.values) {
      const use = this.uses[map]!;
      if (!isAtomic) use.stores = true;
      else if (i.imm === Atomic.ADD) use.adds = true;
      else use.atomics = true;
    }
    if ((i.opcode & 7) === Class.STX) this.remember(state[i.src]!);
    if (isAtomic && i.imm === Atomic.CMPXCHG) state[0] = this.memory;
    else if (isAtomic && (i.imm & Atomic.FETCH) !== 0) state[i.src] = this.memory;
  }

  private remember(points: Points): void {
    const merged = union(this.memory, points);
    if (isSame(merged, this.memory)) return;
    this.memory = merged;
    this.memoryChanged = true;
  }

  private jump(i: PlacedInstruction, state: Points[], next: number | undefined): void {
    const code = i.opcode & 0xf0;
    if (code === Jmp.CALL) {
      if (i.src === CallKind.LOCAL) this.callLocal(i, state, next);
      else {
        this.callHelper(i, state);
        if (next !== undefined) this.reach(next, state);
      }
      return;
    }
    const isFar = (i.opcode & 7) === Class.JMP32 && code === Jmp.JA;
    this.reach(i.word + 1 + (isFar ? i.imm : i.offset), state);
    if (code !== Jmp.JA && next !== undefined) this.reach(next, state);
  }

  private callLocal(i: PlacedInstruction, state: Points[], next: number | undefined): void {
    const target = i.word + 1 + i.imm;
    const callers = this.callers.get(target) ?? new Set();
    this.callers.set(target, callers.add(i.word));
    this.reach(
      target,
      state.map((points, n) => (n >= 1 && n <= 5 ? points : NOTHING)),
    );
    const result = this.results.get(target);
    if (result === undefined || next === undefined) return; // its end comes back here
    this.reach(next, afterCall(state, result));
  }

  private leave(word: number, state: readonly Points[]): void {
    const start = this.functions.filter((first) => first <= word).at(-1)!;
    const known = this.results.get(start);
    const result = union(known ?? NOTHING, state[0]!);
    if (known !== undefined && isSame(known, result)) {
      // Callers that came after this end are served by `callLocal`.
      return;
    }
    this.results.set(start, result);
    for (const caller of this.callers.get(start) ?? []) {
      const at = this.indexOf.get(caller)!;
      if (this.states[at] !== undefined) this.work.push(at);
    }
  }

  private callHelper(i: PlacedInstruction, state: Points[]): void {
    const helper = HELPERS.get(i.imm);
    const name = helper?.name ?? "";
    const maps = new Set<number>();
    for (const [n, argument] of (helper?.arguments ?? []).entries()) {
      const points = state[n + 1]!;
      if (argument === "map") for (const map of points.maps) maps.add(map);
      // Values that are passed are read, or filled.
      else {
        for (const map of points.values) {
          if (argument.endsWith("to fill")) this.uses[map]!.stores = true;
          else if (argument === "lock") this.uses[map]!.locks = true;
          else this.uses[map]!.reads = true;
        }
      }
    }
    for (const map of maps) this.useByHelper(this.uses[map]!, name);
    state[0] = this.resultOf(helper?.result === "value or null" ? maps : new Set());
    for (let register = 1; register <= 5; register++) state[register] = NOTHING;
  }

  private useByHelper(use: MapUse, name: string): void {
    if (name === "map_update_elem") use.updates = true;
    else if (name === "map_delete_elem") use.deletes = true;
    else if (name.startsWith("ringbuf") || name.startsWith("perf")) use.outputs = true;
    else use.lookups = true;
  }

  private resultOf(maps: ReadonlySet<number>): Points {
    const isOfMaps = [...maps].some((map) => {
      const { type } = this.definitions[map]!;
      return type === MapType.ARRAY_OF_MAPS || type === MapType.HASH_OF_MAPS;
    });
    return isOfMaps ? { maps: this.anyMap.maps, values: maps } : { maps: new Set(), values: maps };
  }
}

const afterCall = (state: readonly Points[], result: Points): Points[] =>
  state.map((points, n) => (n === 0 ? result : n <= 5 ? NOTHING : points));

function union(a: Points, b: Points): Points {
  if (b === NOTHING || a === b) return a;
  if (a === NOTHING) return b;
  return { maps: new Set([...a.maps, ...b.maps]), values: new Set([...a.values, ...b.values]) };
}

const isSame = (a: Points, b: Points): boolean =>
  a.maps.size === b.maps.size && a.values.size === b.values.size;

/** Whether user space has promised that programs do not write a map. */
export const isFrozen = (map: MapDefinition): boolean => (map.flags & MapFlag.RDONLY_PROG) !== 0;
