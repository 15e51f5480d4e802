/**
 * Helper calls in traces. Those that programs use for every packet are arithmetic, loads and stores here
 * (lookups in arrays, checksums, moving the packet's ends); the others stay calls, in the first phase
 * when they change nothing, in the second when they do. Each is also really made.
 */
import { E2BIG, EEXIST, ENOENT } from "../base/errno.js";
import { ArrayMap } from "../ebpf/array-map.js";
import type { Helper } from "../ebpf/helper.js";
import { HELPERS } from "../ebpf/helpers.js";
import type { LinearMap } from "../ebpf/linear-map.js";
import { lookup } from "../ebpf/map-helpers.js";
import { MapType } from "../ebpf/map-type.js";
import type { Runtime } from "../ebpf/runtime.js";
import type { Builder } from "./build.js";
import { read } from "./evaluate.js";
import { Ex, Input, NONE, Use } from "./expr.js";
import { PacketCalls } from "./packet-calls.js";
import type { Prediction, Recorder } from "./recorder.js";
import type { CallBytes } from "./trace.js";
import type { Change, TraceMemory } from "./trace-memory.js";
import { whyUntraced } from "./untraced-calls.js";

const HelperNumber = {
  LOOKUP: 1,
  UPDATE: 2,
  DELETE: 3,
  TIME: 5,
  CPU: 8,
  NUMA: 42,
  SPIN_LOCK: 93,
  SPIN_UNLOCK: 94,
  BOOT_TIME: 125,
  COARSE_TIME: 160,
  TAI_TIME: 208,
} as const;

/** Larger memory that a helper reads or fills is not worth a trace. */
const MAX_BYTES = 512;

const UPDATE_NO_EXIST = 1;
const UPDATE_EXIST = 2;

/** A change of which nothing is known. */
const ANY_CHANGE: Change = { key: NONE, keepsOthers: () => false };

/** Kinds that note which entries are looked up. */
const isLru = ({ type }: LinearMap): boolean =>
  type === MapType.LRU_HASH || type === MapType.LRU_PERCPU_HASH;

/** Guards on what decides how a change of a hash table ends. */
interface Expected {
  readonly isLru: boolean;
  isThere(): boolean;
  hasRoom(): boolean;
}

export class TraceCalls {
  private readonly runtime: Runtime;
  private readonly recorder: Recorder;
  private readonly memory: TraceMemory;
  private readonly build: Builder;
  private readonly packet: PacketCalls;
  private ordinal = 0;

  constructor(runtime: Runtime, recorder: Recorder, memory: TraceMemory) {
    this.runtime = runtime;
    this.recorder = recorder;
    this.memory = memory;
    this.build = recorder.build;
    this.packet = new PacketCalls(runtime, recorder, memory);
  }

  clear(): void {
    this.ordinal = 0;
  }

  /** Calls a helper with the nodes of r1 to r5 (NONE where nothing is); what r0 is then. */
  call(number: number, args: readonly number[]): number {
    const { build } = this;
    switch (number) {
      case HelperNumber.LOOKUP:
        return this.lookup(args);
      case HelperNumber.UPDATE:
        return this.update(args);
      case HelperNumber.DELETE:
        return this.delete(args);
      case HelperNumber.TIME:
      case HelperNumber.BOOT_TIME:
      case HelperNumber.COARSE_TIME:
      case HelperNumber.TAI_TIME:
        return build.e.node(Ex.INPUT, NONE, NONE, Input.TIME, 0);
      case HelperNumber.CPU:
        return build.e.node(Ex.INPUT, NONE, NONE, Input.CPU, 0);
      case HelperNumber.NUMA:
      case HelperNumber.SPIN_LOCK:
      case HelperNumber.SPIN_UNLOCK:
        return build.zero;
      default: {
        const found = this.packet.call(number, args);
        if (found !== NONE) return found;
      }
    }
    return this.plain(HELPERS.get(number)!, args);
  }

  /** Runs the helper itself on the packet at hand; r0. */
  private run(helper: Helper, args: readonly number[]): bigint {
    const { runtime } = this;
    for (const [n, node] of args.entries()) {
      const value = node === NONE ? 0n : this.recorder.values.of(node);
      runtime.registers[2 + 2 * n] = Number(BigInt.asIntN(32, value));
      runtime.registers[3 + 2 * n] = Number(BigInt.asIntN(32, value >> 32n));
    }
    helper.run(runtime);
    return read(runtime.view, runtime.registersAt, 8);
  }

  private mapOf(node: number): LinearMap {
    const map = this.runtime.mapByAddress.get(this.recorder.values.numberOf(node));
    if (map === undefined) throw new TypeError("no map");
    if (!this.build.e.isConstant(node)) this.recorder.pin(node);
    return map;
  }

  private lookup(args: readonly number[]): number {
    const { recorder, build, runtime } = this;
    const map = this.mapOf(args[0]!);
    const keyAt = recorder.values.numberOf(args[1]!);
    if (!recorder.isRecording) return build.number(lookup(runtime, map, keyAt));
    if (map instanceof ArrayMap) return this.lookupInArray(map, args[1]!);
    const key = this.keyOf(map, args[1]!);
    if (key === NONE || !this.memory.isAsItWas(map, key)) {
      return build.number(lookup(runtime, map, keyAt));
    }
    const node = this.lookupNode(map, key, Use.COUNTS);
    recorder.values.define(node, BigInt(map.lookup(keyAt)));
    this.pushLookup(map, node, isLru(map));
    if (map.type !== MapType.HASH_OF_MAPS) return recorder.known(node);
    const isThere = !recorder.guard(build.eq(node, build.zero));
    return isThere ? this.innerMap(node) : build.zero;
  }

  private lookupNode(map: LinearMap, key: number, use: number): number {
    return this.build.e.node(Ex.LOOKUP, key, NONE, map.index, use);
  }

  private pushLookup(map: LinearMap, node: number, marksUse: boolean, word?: number): void {
    const { recorder } = this;
    const at = word ?? recorder.word;
    recorder.push({ kind: "lookup", word: at, map: map.index, node, marksUse, isBefore: true });
  }

  /** The lookup that says whether a key is there: of an LRU table one that is no use, unless the path made one. */
  private probe(map: LinearMap, key: number): number {
    const node = this.lookupNode(map, key, Use.COUNTS);
    const isMade = !isLru(map) || this.recorder.values.isDefined(node);
    return isMade ? node : this.lookupNode(map, key, Use.PEEK);
  }

  /** The KEY in memory; NONE, and a reason for the host, when it is not one of the first phase. */
  private keyOf(map: LinearMap, address: number): number {
    const { recorder, build, memory } = this;
    let parts = NONE;
    for (let end = map.keyBytes; end > 0; ) {
      const size = end % 4 === 0 ? 4 : end % 2 === 0 ? 2 : 1;
      end -= size;
      const part = memory.load(build.add(address, build.number(end)), size);
      parts = build.e.node(Ex.KEY, part, parts, size, 0);
    }
    if (!recorder.isRecording) return NONE;
    if (recorder.isLate(parts)) {
      recorder.giveUp(`it looks up in ${map.name} what an effect gave`);
      return NONE;
    }
    return parts;
  }

  private lookupInArray(map: ArrayMap, key: number): number {
    const { recorder, build, memory, runtime } = this;
    const index = memory.load(key, 4);
    if (!recorder.isRecording)
      return build.number(lookup(runtime, map, recorder.values.numberOf(key)));
    if (!recorder.guard(build.ltu(index, build.number(map.maxEntries)))) return build.zero;
    const entry = this.entryOf(map, recorder.known(index));
    if (!map.hasHoles) return entry;
    if (!this.isPresent(map, index)) return build.zero;
    return map.type === MapType.ARRAY_OF_MAPS ? this.innerMap(entry) : entry;
  }

  /** Address of an entry that exists. */
  private entryOf(map: ArrayMap, index: number): number {
    const { build, memory } = this;
    const offset = build.mul(index, build.number(map.entryStride));
    let address = build.add(offset, build.number(map.valuesAt));
    if (map.cpus > 1) {
      const cpu = build.e.node(Ex.INPUT, NONE, NONE, Input.CPU, 0);
      address = build.add(address, build.mul(cpu, build.number(map.valueStride)));
    }
    memory.noteEntry(address);
    return address;
  }

  private isPresent(map: ArrayMap, index: number): boolean {
    const { recorder, build } = this;
    const { rest, offset } = build.split(recorder.known(index));
    const node = build.mapLoad(map.index, rest, map.presentAt + Number(offset), 1);
    const at = map.presentAt + recorder.values.numberOf(index);
    recorder.values.define(node, BigInt(this.runtime.bytes[at]!));
    return !recorder.guard(build.eq(node, build.zero));
  }

  /** The map that an entry of a map of maps names. */
  private innerMap(entry: number): number {
    const { recorder, build, runtime } = this;
    const { rest, offset } = build.split(entry);
    const at = recorder.values.numberOf(entry);
    const outer = this.memory.mapAt(at, 4);
    if (outer === null) return build.zero;
    const node = build.mapLoad(outer.index, rest, Number(offset), 4);
    recorder.values.define(node, read(runtime.view, at, 4));
    const number = Number(recorder.pin(node));
    return build.number(runtime.maps[number - 1]?.at ?? 0);
  }

  private update(args: readonly number[]): number {
    const { recorder, build, memory } = this;
    const map = this.mapOf(args[0]!);
    const helper = HELPERS.get(HelperNumber.UPDATE)!;
    if (!recorder.isRecording) return build.number(this.run(helper, args));
    const flags = Number(recorder.pin(args[3]!));
    const isPlainArray = map instanceof ArrayMap && !map.hasHoles && (flags === 0 || flags === 2);
    if (!isPlainArray) return this.updateTable(map, args, flags);
    const index = memory.load(args[1]!, 4);
    if (!recorder.isRecording) return build.number(this.run(helper, args));
    if (!recorder.guard(build.ltu(index, build.number(map.maxEntries)))) {
      return build.number(this.run(helper, args));
    }
    const entry = this.entryOf(map, recorder.known(index));
    for (let at = 0; at < map.valueBytes; ) {
      const rest = map.valueBytes - at;
      const size = rest >= 8 ? 8 : rest >= 4 ? 4 : rest >= 2 ? 2 : 1;
      const part = memory.load(build.add(args[2]!, build.number(at)), size);
      memory.store(build.add(entry, build.number(at)), size, part);
      at += size;
    }
    return recorder.isRecording ? build.zero : build.number(this.run(helper, args));
  }

  /** An update of a hash table, whose result is foreseen if it matters: by guards on key and room. */
  private updateTable(map: LinearMap, args: readonly number[], flags: number): number {
    const helper = HELPERS.get(HelperNumber.UPDATE)!;
    const key = this.keyOf(map, args[1]!);
    const change = this.expectChange(map, key, args[1]!);
    if (!this.recorder.isRecording || change === null) return this.plain(helper, args);
    const { isThere, hasRoom, isLru } = change;
    const predict = (): bigint | null => {
      if (isLru && flags === 0) return 0n;
      if (flags > UPDATE_EXIST) return null;
      if (isThere()) return flags === UPDATE_NO_EXIST ? BigInt(-EEXIST) : 0n;
      if (flags === UPDATE_EXIST) return BigInt(-ENOENT);
      return isLru || hasRoom() ? 0n : BigInt(-E2BIG);
    };
    const keepsOthers = (): boolean => !isLru || isThere() || hasRoom();
    return this.plain(helper, args, predict, { key, keepsOthers });
  }

  private delete(args: readonly number[]): number {
    const helper = HELPERS.get(HelperNumber.DELETE)!;
    const map = this.mapOf(args[0]!);
    if (!this.recorder.isRecording) return this.plain(helper, args);
    const key = this.keyOf(map, args[1]!);
    const change = this.expectChange(map, key, args[1]!);
    if (!this.recorder.isRecording || change === null) return this.plain(helper, args);
    const predict = (): bigint => (change.isThere() ? 0n : BigInt(-ENOENT));
    return this.plain(helper, args, predict, { key, keepsOthers: () => true });
  }

  /** Tests, by guards, of what decides how a change of a hash table ends; null: it cannot be told. */
  private expectChange(map: LinearMap, key: number, keyAddress: number): Expected | null {
    const { recorder, build, memory } = this;
    const isLruTable = isLru(map);
    const isTable = isLruTable || map.type === MapType.HASH || map.type === MapType.PERCPU_HASH;
    if (!isTable || key === NONE) return null;
    const isFirst = !memory.isChanged(map);
    const node = this.probe(map, key);
    const count = build.e.node(Ex.COUNT, NONE, NONE, map.index, 0);
    if (isFirst) {
      const keyAt = recorder.values.numberOf(keyAddress);
      if (!recorder.values.isDefined(node)) recorder.values.define(node, BigInt(map.peek(keyAt)));
      recorder.values.define(count, BigInt(map.count));
    }
    const { word } = recorder;
    const give = (): boolean => {
      recorder.giveUp(`it changes ${map.name} again, and that depends on the first time`);
      return false;
    };
    return {
      isLru: isLruTable,
      isThere: () => {
        if (!isFirst) return give();
        this.pushLookup(map, node, false, word);
        return !recorder.guard(build.eq(node, build.zero), "room");
      },
      hasRoom: () =>
        isFirst ? recorder.guard(build.ltu(count, build.number(map.maxEntries)), "room") : give(),
    };
  }

  /** A call that stays one. */
  private plain(
    helper: Helper,
    args: readonly number[],
    prediction: Prediction | null = null,
    change: Change = ANY_CHANGE,
  ): number {
    const { recorder, build, memory } = this;
    const wanted = helper.arguments;
    const given = wanted.map((what, n) =>
      what === "ignored" && (args[n] === NONE || args[n] === undefined) ? NONE : args[n]!,
    );
    if (!recorder.isRecording) return build.number(this.run(helper, given));
    const why = whyUntraced(helper, wanted[0] === "map" ? this.mapOf(given[0]!).name : null);
    if (why !== null) {
      recorder.giveUp(why);
      return build.number(this.run(helper, given));
    }
    const reads: CallBytes[] = [];
    const fills: { at: number; lengthBytes: number }[] = [];
    let map: LinearMap | null = null;
    let isOnStack = true;
    for (const [n, what] of wanted.entries()) {
      const node = given[n]!;
      if (what === "map") map = this.mapOf(node);
      const size = this.argumentBytes(what, given[n + 1], map);
      if (size < 0) continue;
      if (size > MAX_BYTES) {
        recorder.giveUp(`bpf_${helper.name} is given ${size} bytes, of at most ${MAX_BYTES}`);
      }
      const at = recorder.values.numberOf(node);
      if (size === 0 || at === 0) recorder.pin(node);
      else if (!memory.stack.covers(at)) isOnStack = false;
      else if (what === "memory to fill") {
        recorder.pin(node);
        this.readStack(at, size, reads, true);
        fills.push({ at, lengthBytes: size });
      } else {
        recorder.pin(node);
        this.readStack(at, size, reads, false);
      }
      if (what === "memory to fill" && !memory.stack.covers(at)) {
        recorder.giveUp(`bpf_${helper.name} fills memory that is not on the stack`);
      }
    }
    if (!recorder.isRecording) return build.number(this.run(helper, given));
    return this.record(helper, { given, reads, fills, map, isOnStack, change }, prediction);
  }

  private record(
    helper: Helper,
    call: {
      readonly given: readonly number[];
      readonly reads: readonly CallBytes[];
      readonly fills: readonly { readonly at: number; readonly lengthBytes: number }[];
      readonly map: LinearMap | null;
      readonly isOnStack: boolean;
      readonly change: Change;
    },
    prediction: Prediction | null,
  ): number {
    const { recorder, build, memory } = this;
    const { given, reads, fills, map } = call;
    const isPure =
      helper.effect === "pure" || helper.effect === "input" || helper.effect === "reads maps";
    const isStill = call.isOnStack ? true : recorder.effects === 0;
    const isLate =
      reads.some(({ node }) => recorder.isLate(node)) ||
      given.some((node) => node !== NONE && recorder.isLate(node));
    const isChanged = map !== null && memory.isChanged(map);
    const isBefore = isPure && isStill && !isLate && !isChanged;
    const ordinal = this.ordinal++;
    const result = build.e.node(Ex.RESULT, NONE, NONE, ordinal, helper.number);
    const op = { kind: "call", word: recorder.word, helper: helper.number } as const;
    recorder.push({
      ...op,
      args: given,
      reads,
      fills,
      ordinal,
      result,
      isBefore,
      map: map?.index ?? NONE,
    });
    const value = this.run(helper, given);
    recorder.values.define(result, value);
    if (!isBefore) recorder.markLate(result, prediction);
    for (const fill of fills) this.fill(ordinal, fill.at, fill.lengthBytes, isBefore);
    if (helper.effect === "writes maps" && map !== null) memory.changed(map, call.change);
    if (helper.effect === "writes packet" || helper.effect === "moves packet") {
      recorder.giveUp(`bpf_${helper.name} changes the packet in a way that traces cannot say`);
    }
    return helper.result === "nothing" ? build.zero : result;
  }

  /** Bytes that an argument points to; -1: it is no pointer. */
  private argumentBytes(what: string, next: number | undefined, map: LinearMap | null): number {
    switch (what) {
      case "key":
        return map!.keyBytes;
      case "value":
        return map!.valueBytes;
      case "ipv4 header":
      case "tcp header":
        return 20;
      case "ipv6 header":
        return 40;
      case "memory":
      case "memory or null":
      case "memory to fill":
        return Number(BigInt.asIntN(32, this.recorder.pin(next!)));
      case "text":
        return 0;
      default:
        return -1;
    }
  }

  private readStack(at: number, size: number, reads: CallBytes[], isFilled: boolean): void {
    const { recorder, memory } = this;
    for (let n = 0; n < size; ) {
      const rest = size - n;
      const bytes = rest >= 8 ? 8 : rest >= 4 ? 4 : rest >= 2 ? 2 : 1;
      const node = memory.stack.load(at + n, bytes);
      if (node !== NONE) {
        reads.push({ at: at + n, size: bytes, node });
      } else if (bytes > 1) {
        this.readStack(at + n, bytes >> 1, reads, isFilled);
        this.readStack(at + n + (bytes >> 1), bytes >> 1, reads, isFilled);
      } else if (!isFilled) {
        recorder.giveUp("it gives a helper bytes of the stack that it never wrote");
        return;
      }
      n += bytes;
    }
  }

  private fill(ordinal: number, at: number, lengthBytes: number, isBefore: boolean): void {
    const { recorder, build, memory, runtime } = this;
    for (let n = 0; n < lengthBytes; ) {
      const size = lengthBytes - n >= 4 && (at + n) % 4 === 0 ? 4 : 1;
      const node = build.e.node(Ex.FILLED, NONE, ordinal, at + n, size);
      recorder.values.define(node, read(runtime.view, at + n, size));
      if (!isBefore) recorder.markLate(node, null);
      memory.stack.store(at + n, size, node);
      n += size;
    }
  }
}
