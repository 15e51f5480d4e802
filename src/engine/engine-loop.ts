/**
 * Drives an engine: turn after turn without Node's event loop, which runs when it has something to
 * do (a signal, a statistics request), and sleeps in one poll over everything when there is no work.
 *
 * | state    | meaning                                         | leaves it by                            |
 * |----------|-------------------------------------------------|-----------------------------------------|
 * | polling  | turns follow one another                        | no work for as long as the profile says |
 * | sleeping | no CPU at all; the thread is in ppoll            | a descriptor, or a deadline             |
 * | yielding | Node's event loop runs                           | the next iteration                      |
 * | stopped  |                                                 |                                         |
 */
import { type Clock, NEVER } from "../base/time.js";
import { cpuNow, switchesNow } from "../sys/clock.js";
import { pollFds } from "../sys/fd.js";
import { nowUs } from "./clock.js";
import type { Engine } from "./engine.js";
import { Doing } from "./pace.js";

/** How often the control socket and hang-ups are looked at while polling. */
const CONTROL_US = 100;
/** Longest time without Node's event loop: its timers. */
const YIELD_US = 100_000;
/**
 * Iterations of Node's event loop in a row: in the first it hears of something, by the second it
 * watches what that brought, and by the third what the second did.
 */
const YIELDS = 3;
/** While somebody asks for statistics the event loop runs at least this often. */
const VISITOR_US = 5_000;
/**
 * A pass without work that took this long was interrupted: somebody else wants this processor. Then
 * the engine sleeps when it has no work, for a while: who sleeps runs as soon as it is woken, who polls
 * uses up its share and waits for a time slice. Yielding helps against threads of the same scheduling
 * group only. Twice as long when it happens soon again. A hypervisor that took the processor for others is not meant: it
 * gives one that sleeps back even later.
 */
const INTERRUPTED_US = 500;
const CROWDED_FIRST_US = 5_000;
const CROWDED_MOST_US = 320_000;
/** Polls without work for which the clock is read once: a reading takes about as long as one. */
const IDLE_POLLS_A_CLOCK = 8;

/** Who started it has at least so long to come, however short it stays without programs. */
const FIRST_US = 2_000_000;

export interface LoopOptions {
  readonly clock?: Clock;
  /** `switchesNow`, but for tests. */
  readonly switches?: () => number;
  /** Ends when no program has used the engine for this long; NEVER to stay. */
  readonly idleExitUs: number;
  /** Whether somebody is being served by Node's event loop now. */
  readonly hasVisitors: () => boolean;
  readonly onEnd: () => void;
}

export class EngineLoop {
  private readonly engine: Engine;
  private readonly clock: Clock;
  private readonly options: LoopOptions;
  private readonly fds: Int32Array;
  private lastWorkUs: number;
  private lastUsedUs: number;
  /** Until then the processor is taken to be wanted by others, and for how long it was taken so. */
  private crowdedUs = 0;
  private crowdedForUs = 0;
  private switches = 0;
  private lastPassUs = 0;
  private wasIdle = false;
  private controlUs = 0;
  /** When Node's event loop was let run, or 0. */
  private yieldedUs = 0;
  private yieldUs = 0;
  private yields = YIELDS;
  private isStopped = false;
  /** Times that it slept, for statistics. */
  sleeps = 0;

  constructor(engine: Engine, options: LoopOptions) {
    this.engine = engine;
    this.options = options;
    this.clock = options.clock ?? nowUs;
    this.fds = Int32Array.from(engine.wakeFds);
    this.lastWorkUs = this.clock();
    this.lastUsedUs = this.lastWorkUs + FIRST_US;
  }

  start(): void {
    this.yieldNow();
  }

  /** Stops after the turn under way. */
  stop(): void {
    this.isStopped = true;
  }

  private yieldNow(): void {
    setImmediate(() => this.run());
  }

  private run(): void {
    if (this.yields > 0 && !this.isStopped) {
      this.yields--;
      const nowUs = this.clock();
      if (this.yieldedUs > 0) this.engine.pace.note(Doing.EVENTS, this.yieldedUs, nowUs);
      this.turn(nowUs);
      this.yieldNow();
      this.yieldedUs = this.lastPassUs;
      return;
    }
    const nowUs = this.clock();
    const { pace } = this.engine;
    if (this.yieldedUs > 0) pace.note(Doing.EVENTS, this.yieldedUs, nowUs);
    pace.readCpu(nowUs);
    this.switches = this.switchesNow();
    this.lastPassUs = nowUs;
    this.yieldUs = nowUs + YIELD_US;
    while (!this.isStopped) if (this.pass()) break;
    if (this.isStopped) this.options.onEnd();
    else this.yieldNow();
    this.yieldedUs = this.clock();
  }

  /** Polls until it is time to look at the clock, then decides what to do; true to yield. */
  private pass(): boolean {
    const { engine } = this;
    const nowUs = this.clock();
    if (nowUs - this.lastPassUs > INTERRUPTED_US) {
      if (this.wasIdle) this.noteInterruption(nowUs);
      engine.pace.note(this.wasIdle ? Doing.POLLING : Doing.WORK, this.lastPassUs, nowUs);
    }
    this.lastPassUs = nowUs;
    let isIdle = true;
    for (let i = 0; i < IDLE_POLLS_A_CLOCK && isIdle; i++) isIdle = !engine.turn(nowUs);
    this.wasIdle = isIdle;
    if (!isIdle) this.lastWorkUs = nowUs;
    if (engine.wantsControl || nowUs - this.controlUs >= CONTROL_US) {
      this.serviceControl(nowUs);
      if (this.yields > 0) return true;
    }
    if (nowUs >= this.yieldUs) return true;
    const isOver = nowUs - this.lastWorkUs >= engine.spinUs || (isIdle && nowUs < this.crowdedUs);
    if (isOver && !engine.hasRetries) this.sleep(nowUs);
    return this.yields > 0;
  }

  private switchesNow(): number {
    return (this.options.switches ?? switchesNow)();
  }

  private noteInterruption(nowUs: number): void {
    const switches = this.switchesNow();
    if (switches === this.switches) return;
    this.switches = switches;
    const isAgain = nowUs - this.crowdedUs < CROWDED_MOST_US;
    const forUs = isAgain ? Math.min(2 * this.crowdedForUs, CROWDED_MOST_US) : CROWDED_FIRST_US;
    this.crowdedForUs = forUs;
    this.crowdedUs = nowUs + forUs;
  }

  private turn(nowUs: number): void {
    if (this.engine.turn(nowUs)) this.lastWorkUs = nowUs;
    this.serviceControl(nowUs);
  }

  private serviceControl(nowUs: number): void {
    const { engine } = this;
    const beganUs = this.clock();
    engine.pace.note(this.wasIdle ? Doing.POLLING : Doing.WORK, nowUs, beganUs);
    this.controlUs = nowUs;
    engine.wantsControl = false;
    engine.setCpu(cpuNow());
    if (engine.control.service(nowUs)) this.yields = YIELDS;
    if (engine.isUsed) this.lastUsedUs = nowUs;
    else if (nowUs - this.lastUsedUs >= this.options.idleExitUs) this.isStopped = true;
    this.lastPassUs = this.clock(); // that may have been long
    engine.pace.note(Doing.CONTROL, beganUs, this.lastPassUs);
  }

  private sleep(nowUs: number): void {
    const { engine } = this;
    const hasVisitors = this.options.hasVisitors();
    if (engine.prepareSleep()) {
      let untilUs = engine.nextDeadlineUs();
      if (!engine.isUsed) {
        untilUs = Math.min(untilUs, this.lastUsedUs + this.options.idleExitUs);
      }
      if (hasVisitors) untilUs = Math.min(untilUs, nowUs + VISITOR_US);
      const timeoutUs = untilUs >= NEVER ? -1 : Math.max(0, untilUs - this.clock());
      if (timeoutUs !== 0) {
        this.sleeps++;
        pollFds(this.fds, this.fds.length, timeoutUs);
      }
    }
    engine.endSleep();
    this.serviceControl(this.clock());
    if (hasVisitors) this.yields = YIELDS;
  }
}
