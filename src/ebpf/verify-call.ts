/** Calls of helpers: whether arguments are what the helper wants, and what is known afterwards. */
import { POISON } from "./core.js";
import type { Argument, Helper } from "./helper.js";
import { calledHelper, helperName } from "./helpers.js";
import type { MapDefinition } from "./map-definition.js";
import { isSupported, MapType, mapTypeName } from "./map-type.js";
import type { Verifier } from "./verify.js";
import { lockOrUnlock } from "./verify-lock.js";
import { describeKind, isReadOnly, stored } from "./verify-memory.js";
import type { State } from "./verify-state.js";
import {
  Kind,
  markPrecise,
  number,
  ofMap,
  recordOrNull,
  unknown,
  type Value,
  worthless,
  worthlessNumber,
} from "./verify-value.js";

/** A function that a helper calls back. */
export interface Callback {
  readonly index: number;
  readonly arguments: readonly Value[];
}

/** The longest memory that a helper takes. */
const MAX_MEMORY_BYTES = 2 ** 29;

/** Helpers that a kind of map is for, and no other. */
const ONLY: ReadonlyMap<number, readonly string[]> = new Map([
  [MapType.PROG_ARRAY, ["tail_call"]],
  [MapType.PERF_EVENT_ARRAY, ["perf_event_output"]],
  [MapType.RINGBUF, ["ringbuf_output", "ringbuf_reserve", "ringbuf_query"]],
  [MapType.CPUMAP, ["redirect_map"]],
  [MapType.DEVMAP, ["redirect_map", "map_lookup_elem"]],
  [MapType.DEVMAP_HASH, ["redirect_map", "map_lookup_elem"]],
  [MapType.XSKMAP, ["redirect_map", "map_lookup_elem"]],
  [MapType.ARRAY_OF_MAPS, ["map_lookup_elem"]],
  [MapType.HASH_OF_MAPS, ["map_lookup_elem"]],
]);

const CHANGES: ReadonlySet<string> = new Set(["map_update_elem", "map_delete_elem"]);

const FILLED = { "u16 to fill": 2, "u32 to fill": 4, "u64 to fill": 8 } as const;

/** Helpers for one kind of map. */
const WANTS: Readonly<Record<string, readonly number[]>> = {
  tail_call: [MapType.PROG_ARRAY],
  perf_event_output: [MapType.PERF_EVENT_ARRAY],
  ringbuf_output: [MapType.RINGBUF],
  ringbuf_reserve: [MapType.RINGBUF],
  ringbuf_query: [MapType.RINGBUF],
  redirect_map: [MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.CPUMAP, MapType.XSKMAP],
  map_lookup_percpu_elem: [MapType.PERCPU_ARRAY, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH],
};

/** Checks a call and does to the state what it does; the callback that it makes, if any. */
export function callHelper(
  verifier: Verifier,
  state: State,
  helperNumber: number,
  isKernelFunction: boolean,
): Callback | null {
  if (helperNumber === POISON) {
    verifier.refuse(
      "it needs a member that the types here do not have (CO-RE), and can be reached",
    );
  }
  const helper = calledHelper(helperNumber, isKernelFunction);
  if (helper === undefined && isKernelFunction)
    return verifier.refuse(`function ${helperNumber} of the kernel cannot be called here`);
  if (helper === undefined) {
    const { map } = state.frame.registers[1]!;
    const isOther = map !== null && !isSupported(map.type);
    const also = isOther ? `, nor are maps of type ${mapTypeName(map.type)}: ${map.name}` : "";
    return verifier.refuse(`${helperName(helperNumber)} is not supported${also}`);
  }
  if (helper.isGpl === true && !verifier.isGpl) {
    verifier.refuse(
      `bpf_${helper.name} is for programs under the GPL only: see its license section`,
    );
  }
  return new Call(verifier, state, helper).run();
}

class Call {
  private readonly verifier: Verifier;
  private readonly state: State;
  private readonly helper: Helper;
  private map: MapDefinition | null = null;
  private callback: Value | null = null;
  private record: Value | null = null;
  private constant = 0;

  constructor(verifier: Verifier, state: State, helper: Helper) {
    this.verifier = verifier;
    this.state = state;
    this.helper = helper;
  }

  run(): Callback | null {
    const { helper, state, verifier } = this;
    if (state.lock !== null && helper.name !== "spin_lock" && helper.name !== "spin_unlock") {
      verifier.refuse(
        `bpf_${helper.name} is called while the lock of ${state.lock.map?.name} is held`,
      );
    }
    for (const [index, wanted] of helper.arguments.entries()) this.check(index + 1, wanted);
    state.noteRead(state.frames.length - 1, (2 << helper.arguments.length) - 2, 0, 0);
    const given = state.frame.registers.slice(1, 6);
    const callback = this.callback === null ? null : this.callbackOf(given);
    verifier.destroyArguments(state);
    if (helper.effect === "moves packet") this.forgetPacket();
    if (this.record !== null) this.release(this.record);
    state.frame.put(0, this.result());
    return callback;
  }

  private refuse(n: number, reason: string): never {
    return this.verifier.refuse(`bpf_${this.helper.name}: argument ${n} (r${n}) ${reason}`);
  }

  private check(n: number, wanted: Argument): void {
    if (wanted === "ignored" || wanted === "size" || wanted === "size or 0") return;
    const value = this.state.frame.registers[n]!;
    if (value.kind === Kind.NOTHING) this.refuse(n, value.reason);
    switch (wanted) {
      case "context":
        this.expect(n, value, Kind.CONTEXT, "the context");
        break;
      case "map":
        this.checkMap(n, value);
        break;
      case "key":
        this.checkMemory(n, value, this.map!.keyBytes, false);
        break;
      case "value":
        this.checkMemory(n, value, this.map!.valueBytes, false);
        break;
      case "memory":
      case "memory or null":
      case "memory to fill":
        this.checkSized(n, value, wanted);
        break;
      case "ipv4 header":
      case "tcp header":
        this.checkMemory(n, value, 20, false);
        break;
      case "ipv6 header":
        this.checkMemory(n, value, 40, false);
        break;
      case "u16 to fill":
      case "u32 to fill":
      case "u64 to fill":
        this.checkMemory(n, value, FILLED[wanted], true);
        break;
      case "constant":
        this.checkConstant(n, value);
        break;
      case "record":
        this.checkRecord(n, value);
        break;
      case "function":
        this.expect(n, value, Kind.FUNCTION, "a function");
        this.callback = value;
        break;
      case "stack or null":
        if (!isNull(value)) this.expect(n, value, Kind.STACK, "a pointer into the stack, or 0");
        break;
      case "text":
        this.checkText(n, value);
        break;
      case "lock":
        this.expect(n, value, Kind.VALUE, "a pointer to a lock in a map's value");
        lockOrUnlock(this.state, this.helper.name, value, (reason) => this.refuse(n, reason));
        break;
    }
  }

  private expect(n: number, value: Value, kind: number, what: string): void {
    if (value.kind !== kind || value.mayBeNull)
      this.refuse(n, `is ${describeKind(value)}, expected ${what}`);
  }

  private checkMap(n: number, value: Value): void {
    this.expect(n, value, Kind.MAP, "a map");
    const map = value.map!;
    if (!isSupported(map.type))
      this.refuse(n, `is ${map.name}, a ${mapTypeName(map.type)}, which is not supported`);
    const { name } = this.helper;
    const only = ONLY.get(map.type);
    const wants = WANTS[name];
    if (
      (only !== undefined && !only.includes(name)) ||
      (wants !== undefined && !wants.includes(map.type))
    ) {
      this.refuse(n, `is ${map.name}, a ${mapTypeName(map.type)}, for which it is not`);
    }
    if (CHANGES.has(name) && isReadOnly(map))
      this.refuse(n, `is ${map.name}, which is for reading only`);
    this.map = map;
  }

  private checkMemory(n: number, value: Value, lengthBytes: number, isWrite: boolean): void {
    const isMemory =
      value.kind === Kind.PACKET ||
      value.kind === Kind.PACKET_META ||
      value.kind === Kind.STACK ||
      value.kind === Kind.VALUE ||
      value.kind === Kind.RECORD;
    if (!isMemory) this.refuse(n, `is ${describeKind(value)}, expected memory`);
    const access = {
      name: `r${n}`,
      pointer: value,
      offset: 0,
      lengthBytes,
      isWrite,
      isInstruction: false,
    };
    this.verifier.check(this.state, access);
    if (isWrite) stored(this.state, access, null);
  }

  /** Memory whose length is the next argument. */
  private checkSized(n: number, value: Value, wanted: Argument): void {
    const size = this.state.frame.registers[n + 1]!;
    if (size.kind !== Kind.NUMBER)
      this.refuse(n + 1, `is ${describeKind(size)}, expected a length`);
    markPrecise(size);
    const mayBeZero = this.helper.arguments[n] === "size or 0";
    if (size.min < 0) this.refuse(n + 1, "may be negative: a length is at least 0");
    if (size.max > MAX_MEMORY_BYTES)
      this.refuse(n + 1, "has no bound: compare the length with one first");
    if (size.min === 0 && !mayBeZero) this.refuse(n + 1, "may be 0: a length is at least 1");
    if (wanted === "memory or null" && isNull(value)) {
      if (size.max > 0) this.refuse(n, "is 0, and its length is not");
      return;
    }
    this.checkMemory(n, value, size.max, wanted === "memory to fill");
  }

  private checkConstant(n: number, value: Value): void {
    if (value.kind !== Kind.NUMBER || !value.isConstant || value.min < 0) {
      this.refuse(n, "is not a constant of at least 0");
    }
    markPrecise(value);
    this.constant = value.min;
  }

  private checkRecord(n: number, value: Value): void {
    this.expect(n, value, Kind.RECORD, "what bpf_ringbuf_reserve returned, compared with 0");
    if (value.offset !== 0 || value.min !== value.max)
      this.refuse(n, "does not point to the start of its record");
    if (!this.state.held.includes(value.id))
      this.refuse(n, "is a record that was already given back");
    this.record = value;
  }

  private checkText(n: number, value: Value): void {
    this.expect(n, value, Kind.VALUE, "text in variables that are only read");
    const { map, offset } = value;
    const hasEnd = map!.initial !== null && map!.initial.indexOf(0, offset) >= 0;
    const isKnown = value.min === value.max && map!.name.startsWith(".rodata");
    if (!hasEnd || !isKnown)
      this.refuse(n, "does not point to text that ends with a zero byte in .rodata");
  }

  private callbackOf(given: readonly Value[]): Callback {
    const index = this.callback!.extra;
    if (this.helper.name === "loop") {
      return { index, arguments: [number(0, 2 ** 32 - 1), given[2]!] };
    }
    const map = this.map!;
    const key = ofMap(Kind.VALUE, keysOf(map));
    const value = ofMap(Kind.VALUE, map);
    return { index, arguments: [given[0]!, key, value, given[2]!] };
  }

  /** Pointers to the packet are worthless once it may have moved. */
  private forgetPacket(): void {
    const reason = `pointed into the packet, which bpf_${this.helper.name} may have moved`;
    const gone = worthlessNumber(reason);
    this.state.replace((value) => {
      const isPacket =
        value.kind === Kind.PACKET ||
        value.kind === Kind.PACKET_END ||
        value.kind === Kind.PACKET_META;
      return isPacket ? gone : value;
    });
  }

  private release(record: Value): void {
    const { state } = this;
    state.held = state.held.filter((id) => id !== record.id);
    const gone = worthless("is a record that was given back");
    state.replace((value) => (value.kind === Kind.RECORD && value.id === record.id ? gone : value));
  }

  private result(): Value {
    const { helper, state, verifier } = this;
    const id = verifier.freshId();
    switch (helper.result) {
      case "nothing":
        return worthless(`is nothing after bpf_${helper.name}`);
      case "value or null":
        return this.found(id);
      case "record or null":
        state.held = [...state.held, id];
        return recordOrNull(id, this.constant);
      default:
        return unknown();
    }
  }

  private found(id: number): Value {
    const map = this.map!;
    const holdsMaps = map.type === MapType.ARRAY_OF_MAPS || map.type === MapType.HASH_OF_MAPS;
    if (!holdsMaps) return ofMap(Kind.VALUE, map, 0, id, true);
    if (map.inner === null)
      return this.verifier.refuse(`${map.name} does not say what its maps are like`);
    return ofMap(Kind.MAP, map.inner, 0, id, true);
  }
}

const isNull = (value: Value): boolean =>
  value.kind === Kind.NUMBER && value.isConstant && value.min === 0;

/** A map's keys as memory to read. */
function keysOf(map: MapDefinition): MapDefinition {
  return {
    ...map,
    name: `${map.name} (keys)`,
    valueBytes: map.keyBytes,
    flags: 1 << 7,
    lockAt: null,
  };
}
