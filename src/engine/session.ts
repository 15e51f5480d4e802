/**
 * A session: the memory that one process shares with the engine (`mr_session` and its tables), and
 * what the engine knows of the process.
 *
 * The process is not trusted. Every word is read once and checked; the engine keeps its own copy of
 * what it has written itself. A process that writes nonsense here is not served, or its own sockets
 * are, wrongly.
 */

import { EINTR } from "../base/errno.js";
import { NumberMap } from "../base/number-map.js";
import type { Home } from "../ip/home.js";
import {
  CALL_BYTES,
  CALLS,
  CALLS_AT,
  CallAt,
  CallState,
  ENTRIES_AT,
  ENTRY_BYTES,
  EntryAt,
  HINTS,
  HINTS_AT,
  LAYOUT_MAGIC,
  LAYOUT_VERSION,
  SESSION_BYTES,
  SessionAt,
  SessionFlag,
  SOCKETS,
  SUBMITS,
  SUBMITS_AT,
  Submit,
  WAITER_BYTES,
  WAITER_CLASSES,
  WAITERS,
  WAITERS_AT,
  WaiterAt,
  WaiterState,
} from "../ring/engine-layout.js";
import type { ProgramRules } from "../socket/rules.js";
import { closeFd, createEvent, wakeByEvent } from "../sys/fd.js";
import type { EngineSocket } from "./engine-socket.js";
import type { ParkedEnd } from "./parked-end.js";
import { type Region, RegionPool, type Regions } from "./region.js";
import type { SharedMemory, SharedPart } from "./shared-memory.js";
import type { TcpServed } from "./tcp-served.js";

/** Who a session's process is, as it said in HELLO; `pid` and `uid` are the kernel's word. */
export interface Program {
  readonly pid: number;
  readonly uid: number;
  readonly name: string;
  readonly applicationId: string;
  /** Its own address, or "". */
  readonly address: string;
  readonly rules: string;
  readonly profile: string;
}

export interface SessionSettings {
  readonly spinUs: number;
  readonly yields: boolean;
  /** `SessionFlag` bits. */
  readonly flags: number;
  /** The program has made an event of its own block who rings it; it is not rung any more. */
  readonly onStuck: (session: Session) => void;
}

/** Index of the next word of each structure, in words. */
const ENTRY_WORDS = ENTRY_BYTES >> 2;
const WAITER_WORDS = WAITER_BYTES >> 2;

export class Session {
  readonly id: number;
  readonly program: Program;
  readonly controlFd: number;
  /**
   * The program writes to it when the engine sleeps. The engine only watches it: what it never reads
   * nor writes cannot block it, whatever the program does with it.
   */
  readonly wakeFd: number;
  readonly part: SharedPart;
  readonly regionPool: RegionPool;
  readonly home: Home | null;
  /** `SPIN_FOR_EVER` or microseconds: how long the engine polls for this session. */
  readonly spinUs: number;
  readonly loopback: boolean;
  readonly rules: ProgramRules;
  /** The sockets that it knows, by entry. */
  readonly sockets: (EngineSocket | null)[] = [];
  /** Those that listen. */
  readonly listeners = new Set<TcpServed>();
  /** Ends that wait for its next connections, by entry. */
  readonly parked = new NumberMap<ParkedEnd>();
  /** How many of them. */
  socketCount = 0;
  isClosed = false;
  private isStuck = false;
  private readonly onStuck: (session: Session) => void;
  // Counted for `millrace stat`.
  calls = 0;
  submissions = 0;
  wakes = 0;
  private readonly memory: SharedMemory;
  private readonly words: Int32Array;
  /** Word index of the session's start. */
  private readonly base: number;
  private readonly waiterFds = new Int32Array(WAITERS).fill(-1);
  private submitHead = 0;
  private hintTail = 0;

  constructor(
    id: number,
    program: Program,
    controlFd: number,
    regions: Regions,
    home: Home | null,
    settings: SessionSettings,
    rules: ProgramRules,
  ) {
    this.id = id;
    this.program = program;
    this.controlFd = controlFd;
    this.memory = regions.memory;
    this.home = home;
    this.loopback = (settings.flags & SessionFlag.LOOPBACK) !== 0;
    this.rules = rules;
    this.spinUs = settings.spinUs;
    this.onStuck = settings.onStuck;
    this.wakeFd = createEvent();
    try {
      this.part = this.memory.create("millrace-session", SESSION_BYTES, true);
    } catch (error) {
      closeFd(this.wakeFd);
      throw error;
    }
    this.regionPool = new RegionPool(regions);
    this.words = this.memory.words;
    this.base = this.part.at >> 2;
    const { view } = this.memory;
    const { at } = this.part;
    view.setUint32(at + SessionAt.magic, LAYOUT_MAGIC, true);
    view.setUint32(at + SessionAt.version, LAYOUT_VERSION, true);
    view.setUint32(at + SessionAt.sessionId, id, true);
    view.setUint32(at + SessionAt.enginePid, process.pid, true);
    view.setUint32(at + SessionAt.spinUs, settings.spinUs, true);
    view.setUint32(at + SessionAt.yields, settings.yields ? 1 : 0, true);
    view.setUint32(at + SessionAt.flags, settings.flags, true);
  }

  /** Hot path. Whether the process has submitted something. */
  get hasSubmission(): boolean {
    return this.isNew(this.words[this.submissionAt]!);
  }

  /** Word index of the next submission. */
  private get submissionAt(): number {
    return this.base + (SUBMITS_AT >> 2) + (this.submitHead & (SUBMITS - 1));
  }

  /** Hot path. Whether an entry of the submission ring is of this lap, and not of the one before. */
  private isNew(entry: number): boolean {
    return (
      entry !== 0 && (entry & Submit.LAP) === ((this.submitHead & SUBMITS) === 0 ? 0 : Submit.LAP)
    );
  }

  /** As {@link hasSubmission}, sequentially consistent: not before {@link setEngineSleeps}. */
  get hasSubmissionNow(): boolean {
    return this.isNew(Atomics.load(this.words, this.submissionAt));
  }

  /** Whether every submission that the process has begun is taken. */
  get isCaughtUp(): boolean {
    return Atomics.load(this.words, this.base + (SessionAt.submitTail >> 2)) === this.submitHead;
  }

  /** Hot path. The next submission's value, or -1; `>>> 0` it. */
  takeSubmission(): number {
    const entry = Atomics.load(this.words, this.submissionAt);
    if (!this.isNew(entry)) return -1;
    this.submitHead = (this.submitHead + 1) | 0;
    this.submissions++;
    return ((entry & ~Submit.LAP) - 1) >>> 0;
  }

  /** Says on which processor the engine is. */
  setCpu(cpu: number): void {
    Atomics.store(this.words, this.base + (SessionAt.engineCpu >> 2), cpu + 1);
  }

  /** Says that routes, rules or addresses have changed since the last version. */
  setRoutes(version: number): void {
    Atomics.store(this.words, this.base + (SessionAt.routes >> 2), version);
  }

  /** Says whether submissions need a write to the wake descriptor. Sequentially consistent. */
  setEngineSleeps(sleeps: boolean): void {
    Atomics.store(this.words, this.base + (SessionAt.engineSleeps >> 2), sleeps ? 1 : 0);
  }

  /**
   * Hot path. The socket of an entry has changed: hints, and wakes who sleeps for it. What changed was
   * published before, sequentially consistent.
   */
  ring(local: number): void {
    const { words } = this;
    const entry = this.base + (ENTRIES_AT >> 2) + local * ENTRY_WORDS;
    if (Atomics.load(words, entry + (EntryAt.watched >> 2)) !== 0) this.hint(entry, local);
    const classes = Atomics.load(words, entry + (EntryAt.waiters >> 2));
    if (classes !== 0) this.wakeClasses(classes);
  }

  private hint(entry: number, local: number): void {
    const { words } = this;
    if (Atomics.exchange(words, entry + (EntryAt.hinted >> 2), 1) !== 0) return;
    const head = words[this.base + (SessionAt.hintHead >> 2)]!;
    const queued = (this.hintTail - head) | 0;
    if (queued < 0 || queued >= HINTS) return; // nobody reads them, or somebody lies
    words[this.base + (HINTS_AT >> 2) + (this.hintTail & (HINTS - 1))] = local;
    this.hintTail = (this.hintTail + 1) | 0;
    Atomics.store(words, this.base + (SessionAt.hintTail >> 2), this.hintTail);
  }

  /** Wakes sleepers of these classes. */
  private wakeClasses(classes: number): void {
    for (let c = 0; c < WAITER_CLASSES; c++) {
      if ((classes & (1 << c)) === 0) continue;
      for (let w = c; w < WAITERS; w += WAITER_CLASSES) this.wakeWaiter(w);
    }
  }

  /** Wakes a waiter that sleeps. Others are left alone. */
  wakeWaiter(w: number): void {
    if (!(w >= 0 && w < WAITERS)) return;
    const { words } = this;
    const i = this.base + (WAITERS_AT >> 2) + w * WAITER_WORDS + (WaiterAt.state >> 2);
    if (Atomics.load(words, i) !== WaiterState.SLEEPS) return;
    if (Atomics.exchange(words, i, WaiterState.RANG) !== WaiterState.SLEEPS) return;
    const fd = this.waiterFds[w]!;
    if (fd < 0) return;
    this.wakes++;
    this.write(fd);
  }

  /**
   * Hot path. Measured: 517 ns a write with the watch over it, 523 ns without and by the function that has
   * none: what it costs does not show. No system call is added.
   */
  private write(fd: number): void {
    if (wakeByEvent(fd) === -EINTR) this.stuck();
  }

  /** Whatever else of its events may be like this one. */
  private stuck(): void {
    if (this.isStuck) return;
    this.isStuck = true;
    this.closeWaiters();
    this.onStuck(this);
  }

  private closeWaiters(): void {
    for (const fd of this.waiterFds) if (fd >= 0) closeFd(fd);
    this.waiterFds.fill(-1);
  }

  /** The process gave a waiter's descriptor, which may sleep and have been rung by now. */
  setWaiter(w: number, fd: number): void {
    const old = this.waiterFds[w]!;
    if (old >= 0) closeFd(old);
    this.waiterFds[w] = -1;
    if (this.isStuck) {
      closeFd(fd);
      return;
    }
    this.waiterFds[w] = fd;
    const i = this.base + (WAITERS_AT >> 2) + w * WAITER_WORDS + (WaiterAt.state >> 2);
    if (Atomics.load(this.words, i) === WaiterState.RANG) this.write(fd);
  }

  /** Arena offset of a call's slot, or -1 when the number is out of range or the slot is not busy. */
  callAt(n: number): number {
    if (!(n >= 0 && n < CALLS)) return -1;
    const at = this.part.at + CALLS_AT + n * CALL_BYTES;
    if (Atomics.load(this.words, (at + CallAt.state) >> 2) !== CallState.BUSY) return -1;
    this.calls++;
    return at;
  }

  /** Ends a call and wakes who waits for it. */
  finishCall(at: number, result: number): void {
    const { words } = this;
    const waiter = words[(at + CallAt.waiter) >> 2]!;
    words[(at + CallAt.result) >> 2] = result;
    Atomics.store(words, (at + CallAt.state) >> 2, CallState.DONE);
    this.wakeWaiter(waiter);
  }

  /** The socket of an entry, or null. */
  socketAt(local: number): EngineSocket | null {
    return local >= 0 && local < SOCKETS ? (this.sockets[local] ?? null) : null;
  }

  setSocket(local: number, socket: EngineSocket | null): void {
    const before = this.sockets[local] ?? null;
    while (this.sockets.length <= local) this.sockets.push(null);
    this.sockets[local] = socket;
    this.socketCount += (socket === null ? 0 : 1) - (before === null ? 0 : 1);
  }

  /** Whether the process may map a region: sockets of its own are there, or came from there. */
  mayMap(region: Region): boolean {
    if (region.pool === this.regionPool) return true;
    return this.sockets.some((s) => s !== null && s.regionPool === region.pool);
  }

  /** Closes its own descriptors and gives back memory; its sockets have let it go. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.closeWaiters();
    closeFd(this.wakeFd);
    this.regionPool.retire();
    this.memory.destroy(this.part);
  }
}
