/**
 * Memory as a traced program sees it: stack, context, packet and values of maps, each byte an expression over
 * the initial state. Every access is also made in the real memory, so that the packet is really run.
 */
import { ArrayMap } from "../ebpf/array-map.js";
import type { LinearMap } from "../ebpf/linear-map.js";
import { MapFlag } from "../ebpf/map-type.js";
import { RingMap } from "../ebpf/ring-map.js";
import { Ctx, type Runtime } from "../ebpf/runtime.js";
import type { Builder, Sum } from "./build.js";
import { read, write } from "./evaluate.js";
import { Ex, NONE } from "./expr.js";
import type { Recorder } from "./recorder.js";
import { StackBytes } from "./stack-bytes.js";
import { StoreLog } from "./store-log.js";
import type { StoreOp } from "./trace.js";

/** A value of a map: its entry's address, and the place in it. */
interface Place {
  readonly map: LinearMap;
  readonly entry: number;
  readonly offset: number;
}

/** What an update or a deletion did. */
export interface Change {
  /** KEY; NONE: it may be any. */
  readonly key: number;
  /** Says by guards that no other key had to leave for it. */
  keepsOthers(): boolean;
}

export class TraceMemory {
  readonly stack: StackBytes;
  /** Offsets of the packet's ends now, from the first byte of the packet as it came. */
  start: number;
  end: number;
  metadata: number;
  /** Maps whose values are constants of the traces: those that nobody writes any more. */
  readonly constants = new Set<LinearMap>();
  /** Maps whose values at constant addresses are taken as constants until the host, or the program, writes them. */
  readonly specialised = new Set<LinearMap>();
  /** Of these, those that the program was seen to write. */
  readonly written = new Set<LinearMap>();
  private readonly runtime: Runtime;
  private readonly recorder: Recorder;
  private readonly build: Builder;
  private packet: StoreLog;
  private readonly maps = new Map<LinearMap, StoreLog>();
  /** Keys that came or went, by map. */
  private readonly changes = new Map<LinearMap, Change[]>();
  /** Constants that were added to a node to get the address of an entry. */
  private readonly entries = new Map<number, number>();

  constructor(runtime: Runtime, recorder: Recorder) {
    this.runtime = runtime;
    this.recorder = recorder;
    this.build = recorder.build;
    this.stack = new StackBytes(recorder.build, runtime.stackAt);
    this.packet = this.newLog();
    this.start = this.build.zero;
    this.metadata = this.build.zero;
    this.end = this.build.length;
  }

  clear(): void {
    this.stack.clear();
    this.maps.clear();
    this.changes.clear();
    this.entries.clear();
    this.packet = this.newLog();
    this.start = this.build.zero;
    this.metadata = this.build.zero;
    this.end = this.build.length;
  }

  isChanged(map: LinearMap): boolean {
    return this.changes.has(map);
  }

  /** A key of a map came, went or got another value. */
  changed(map: LinearMap, change: Change): void {
    this.noteWrite(map);
    const known = this.changes.get(map);
    if (known === undefined) this.changes.set(map, [change]);
    else known.push(change);
  }

  /**
   * Whether what a map says of a key is what it said at first: guards say that the keys which changed are
   * others. False, and a reason for the host, when it is not.
   */
  isAsItWas(map: LinearMap, key: number): boolean {
    const { recorder } = this;
    for (const change of this.changes.get(map) ?? []) {
      if (key !== NONE && change.key !== NONE) {
        if (!this.areEqual(change.key, key) && change.keepsOthers()) continue;
      }
      recorder.giveUp(`it reads of ${map.name} what it has changed`);
      return false;
    }
    return true;
  }

  /** Compares two keys, part by part, by guards. */
  private areEqual(one: number, other: number): boolean {
    const { build, recorder } = this;
    const { e } = build;
    let [a, b] = [one, other];
    while (a !== NONE && b !== NONE) {
      const test = build.eq(recorder.known(e.a[a]!), recorder.known(e.a[b]!));
      if (recorder.isLate(test) || !recorder.guard(test, "alias")) return recorder.isLate(test);
      [a, b] = [e.b[a]!, e.b[b]!];
    }
    return true;
  }

  /** Says that an address is that of an entry of a map. */
  noteEntry(address: number): void {
    const { rest, offset } = this.build.split(address);
    if (rest !== NONE) this.entries.set(rest, Number(offset));
  }

  load(address: number, size: number): number {
    const { recorder, build, runtime } = this;
    const at = recorder.values.numberOf(address);
    const real = (): number => build.number(read(runtime.view, at, size));
    if (!recorder.isRecording) return real();
    let found = NONE;
    if (this.stack.covers(at)) {
      recorder.pin(address);
      found = this.stack.load(at, size);
      if (found === NONE) recorder.giveUp("it reads stack that it never wrote");
    } else if (at >= runtime.contextAt && at < runtime.contextAt + Ctx.BYTES) {
      found = this.loadContext(at - runtime.contextAt, size);
    } else {
      const sum = build.split(address);
      found = sum.isPacket
        ? this.packet.load(sum.rest, Number(sum.offset), size, (offset, bytes) =>
            build.load(sum.rest, offset, bytes),
          )
        : this.loadMap(address, sum, at, size);
    }
    return found === NONE || !recorder.isRecording ? real() : recorder.known(found);
  }

  private loadContext(field: number, size: number): number {
    const { build, recorder } = this;
    if (size !== 4 || field % 4 !== 0) {
      recorder.giveUp("it reads parts of words of its context");
      return NONE;
    }
    if (field === Ctx.DATA) return build.add(build.packet, this.start);
    if (field === Ctx.DATA_END) return build.add(build.packet, this.end);
    if (field === Ctx.DATA_META) return build.add(build.packet, this.metadata);
    return build.e.node(Ex.CONTEXT, NONE, NONE, field, 0);
  }

  private loadMap(address: number, sum: Sum, at: number, size: number): number {
    const { recorder, build, runtime } = this;
    const place = this.placeOf(sum, at, size);
    if (place === null) return NONE;
    const { map, entry, offset } = place;
    const isConstant = (map.definition.flags & MapFlag.RDONLY_PROG) !== 0;
    if (build.e.isConstant(address) && (isConstant || this.specialised.has(map))) {
      this.constants.add(map);
      return build.number(read(runtime.view, at, size));
    }
    const isLookup = build.e.op[entry] === Ex.LOOKUP;
    if (!this.isAsItWas(map, isLookup ? build.e.a[entry]! : NONE)) return NONE;
    const isLate = recorder.isLate(address);
    if (isLate) {
      recorder.giveUp(`it reads values of ${map.name} at an address that an effect gave`);
      return NONE;
    }
    return this.logOf(map).load(entry, offset, size, (from, bytes) => {
      const low = Number(sum.offset) + from - offset;
      const node = build.mapLoad(map.index, sum.rest, low, bytes);
      recorder.values.define(node, read(runtime.view, at + from - offset, bytes));
      return node;
    });
  }

  private noteWrite(map: LinearMap): void {
    if (this.specialised.has(map)) this.written.add(map);
  }

  /** The map that an address is in; null, and a reason, when it is in none. */
  mapAt(at: number, size: number): LinearMap | null {
    for (const map of this.runtime.maps) if (map.covers(at, size)) return map;
    this.recorder.giveUp("it uses an address that is neither stack, packet nor a map's value");
    return null;
  }

  private placeOf(sum: Sum, at: number, size: number): Place | null {
    const map = this.mapAt(at, size);
    if (map === null) return null;
    const { build } = this;
    if (sum.rest === NONE) {
      const from = map instanceof ArrayMap ? (at - map.valuesAt) % map.entryStride : 0;
      return { map, entry: build.number(at - from), offset: from };
    }
    const entryOffset = this.entries.get(sum.rest);
    if (entryOffset === undefined) return { map, entry: sum.rest, offset: Number(sum.offset) };
    const entry = build.add(sum.rest, build.number(entryOffset));
    return { map, entry, offset: Number(sum.offset) - entryOffset };
  }

  store(address: number, size: number, value: number): void {
    const { recorder, build, runtime } = this;
    const at = recorder.values.numberOf(address);
    const sum = build.split(address);
    if (recorder.isRecording && this.stack.covers(at)) {
      recorder.pin(address);
      this.stack.store(at, size, value);
    } else if (recorder.isRecording && sum.isPacket) {
      this.packet.store(sum.rest, Number(sum.offset), size, value);
      this.pushStore("packet", NONE, sum, size, value);
    } else if (recorder.isRecording) {
      const place = this.placeOf(sum, at, size);
      if (place !== null) {
        this.noteWrite(place.map);
        this.logOf(place.map).store(place.entry, place.offset, size, value);
        this.pushStore("map", place.map.index, sum, size, value);
        if (place.map instanceof RingMap) recorder.giveUp("it writes into a record of a ring");
      }
    }
    write(runtime.view, at, size, recorder.values.of(value));
  }

  private pushStore(
    space: StoreOp["space"],
    map: number,
    sum: Sum,
    size: number,
    value: number,
  ): void {
    this.recorder.push({
      kind: "store",
      word: this.recorder.word,
      space,
      map,
      base: sum.rest,
      offset: Number(sum.offset),
      size: size as StoreOp["size"],
      value,
    });
  }

  /** An atomic operation: the memory is `result` afterwards, and `old` was there. */
  atomic(address: number, size: 4 | 8, what: number, value: number, result: number): void {
    const { recorder, build, runtime } = this;
    const at = recorder.values.numberOf(address);
    if (this.stack.covers(at)) {
      this.store(address, size, result);
      return;
    }
    const sum = build.split(address);
    const place = recorder.isRecording ? this.placeOf(sum, at, size) : null;
    if (place !== null) {
      const { map, entry, offset } = place;
      this.noteWrite(map);
      this.logOf(map).store(entry, offset, size, result);
      const base = sum.rest;
      const { word } = recorder;
      const from = Number(sum.offset);
      recorder.push({
        kind: "atomic",
        word,
        map: map.index,
        base,
        offset: from,
        size,
        what,
        value,
      });
    }
    write(runtime.view, at, size, recorder.values.of(result));
  }

  private logOf(map: LinearMap): StoreLog {
    let log = this.maps.get(map);
    if (log === undefined) {
      log = this.newLog();
      this.maps.set(map, log);
    }
    return log;
  }

  private newLog(): StoreLog {
    return new StoreLog(this.build, this.alias);
  }

  /** Decides by a guard whether two places can be the same. */
  private readonly alias = (
    one: number,
    oneOffset: number,
    oneSize: number,
    other: number,
    otherOffset: number,
    otherSize: number,
  ): number | null => {
    const { build, recorder } = this;
    const [a, b] = [this.baseOf(one), this.baseOf(other)];
    if (this.isEntry(one) && this.isEntry(other)) {
      return recorder.guard(build.eq(a, b), "alias") ? 0 : null;
    }
    const isLower = (x: number, end: number, y: number, start: number): boolean => {
      const last = build.add(x, build.number(end - 1));
      return recorder.guard(build.lts(last, build.add(y, build.number(start))), "alias");
    };
    if (isLower(a, oneOffset + oneSize, b, otherOffset)) return null;
    if (isLower(b, otherOffset + otherSize, a, oneOffset)) return null;
    return Number(BigInt.asIntN(64, recorder.pin(build.sub(b, a))));
  };

  private baseOf(base: number): number {
    return base === NONE ? this.build.zero : base;
  }

  /** Whether a base is the start of a map's entry, so that others are entirely elsewhere. */
  private isEntry(base: number): boolean {
    if (base === NONE) return false;
    const { e } = this.build;
    if (e.op[base] === Ex.LOOKUP || e.isConstant(base)) return true;
    const { rest, offset } = this.build.split(base);
    return rest !== NONE && this.entries.get(rest) === Number(offset);
  }
}
