/**
 * Drives stacks from a Node.js process: spins for a set time, then sleeps until a frame, a timer or
 * a local call. Stacks that share a runner take turns on one loop, so hosts that are joined by
 * virtual links, which have no descriptor to sleep on, wake one another.
 *
 * | state     | meaning                                  | leaves it by                         |
 * |-----------|------------------------------------------|--------------------------------------|
 * | running   | turns follow one another without a pause | idle for `spinUs`; `yieldUs` is over |
 * | scheduled | the event loop has its turn              | the next iteration of the event loop |
 * | sleeping  | no CPU at all                            | a frame, a timer, `kick`             |
 *
 * With `spinUs` Infinity it never sleeps, and polls without a pause except that the event loop gets
 * an iteration every `yieldUs`, so that promises and other I/O go on.
 *
 * A runner keeps the process alive while one of its stacks says so (it has open sockets); waiting
 * for frames alone does not.
 */
import { type Clock, NEVER } from "../base/time.js";
import {
  clearImmediate,
  clearTimeout,
  nextTick,
  setImmediate,
  setTimeout,
} from "../base/timers.js";
import { monotonicUs } from "../nic/clock.js";
import { openWaiter, type Waiter } from "../nic/waiter.js";

/** What a runner drives: a host, which is a stack and those who wait for it. */
export interface Driven {
  /** How long to poll without work before sleeping: 0, a time, Infinity. */
  readonly spinUs: number;
  /** Descriptors that poll readable when a turn would find frames. */
  readonly wakeFds: readonly number[];
  /** Whether the process should live for it. */
  readonly keepsAlive: boolean;
  /** Hot path. One turn; whether it found work. */
  poll(nowUs: number): boolean;
  /** When the next turn is due, or NEVER; asked before sleeping. */
  nextDeadlineUs(): number;
  /** It is about to sleep: false when it has work after all. */
  prepareSleep?(): boolean;
  /** Tells those who wait what has happened; true when anyone was told. */
  tell(): boolean;
}

/** Node's event loop, for a runner that tells as it tells of I/O. */
export interface EventLoop {
  /** Something waits for the end of this run. */
  readonly isWaitedFor: boolean;
  /** Something is called that a run follows at once. */
  readonly isCalling: boolean;
  /** The runner runs in the next iteration, once. */
  soon(): void;
}

export interface RunnerOptions {
  /** The time; the machine's monotonic clock if not given. */
  readonly clock?: Clock;
  /** Longest time between two iterations of the event loop while there is work. */
  readonly yieldUs?: number;
  /**
   * Those who are told run what follows themselves, ticks and microtasks included (src/node/scope.ts),
   * and are told only where Node tells of I/O: never from a tick or a microtask. False by default:
   * then the event loop gets an iteration after each round of news.
   */
  readonly tellsAsIo?: boolean;
  /** What calls `run` instead of immediates; null: these do. For those who tell as I/O. */
  readonly eventLoop?: (run: () => void) => EventLoop | null;
}

const DEFAULT_YIELD_US = 200;
/** Timers of the event loop count milliseconds: what is nearer is polled for. */
const TIMER_STEP_US = 1_000;
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;
/**
 * Idle passes, an iteration of the event loop apart, before it sleeps. Sleeping costs a few µs, and a
 * host's deadline does not know what a later host of the same pass has sent it.
 */
const IDLE_PASSES = 2;

/**
 * Polls without work for which `runUntil` reads the clock once: reading takes longer than such a poll
 * does, and the time is late by less than a microsecond.
 * Measured: the clock 25 to 30 ns, an idle turn 30 to 40 (node 20.20, 2 shared cores, 2026-11).
 */
const IDLE_POLLS_A_CLOCK = 8;

const State = { IDLE: 0, RUNNING: 1, SCHEDULED: 2, SLEEPING: 3 } as const;

export class Runner {
  readonly clock: Clock;
  private readonly yieldUs: number;
  /** See `RunnerOptions`. */
  readonly tellsAsIo: boolean;
  readonly eventLoop: EventLoop | null;
  private readonly driven: Driven[] = [];
  private state: number = State.IDLE;
  private wasKicked = false;
  /** `sendSoon` is among the ticks. */
  private isSending = false;
  private told = false;
  private deadlineUs = NEVER;
  private spinUs = 0;
  private lastWorkUs = 0;
  private idlePasses = 0;
  private waiter: Waiter | null = null;
  private watched: number[] = [];
  private timeout: NodeJS.Timeout | null = null;
  private immediate: NodeJS.Immediate | null = null;
  private readonly runSoon = (): void => {
    if (this.state === State.SCHEDULED) this.run();
  };
  /** Sends what was queued, at the end of the callback or tick that is running. */
  private readonly sendSoon = (): void => {
    this.isSending = false;
    if (this.state !== State.SCHEDULED) return;
    const nowUs = this.clock();
    for (let i = 0; i < this.driven.length; i++) this.driven[i]!.poll(nowUs);
  };
  private readonly wake = (): void => {
    if (this.state !== State.SLEEPING) return;
    if (this.tellsAsIo) {
      this.endSleep();
      this.schedule();
    } else this.run();
  };

  constructor(options: RunnerOptions = {}) {
    this.clock = options.clock ?? monotonicUs;
    this.yieldUs = options.yieldUs ?? DEFAULT_YIELD_US;
    this.tellsAsIo = options.tellsAsIo ?? false;
    this.eventLoop = options.eventLoop?.(this.runSoon) ?? null;
    if (!(this.yieldUs >= 0))
      throw new RangeError(`runner: expected yieldUs of 0 or more, got ${this.yieldUs}`);
  }

  /** Whether it waits for a frame, a timer or a call. */
  get isSleeping(): boolean {
    return this.state === State.SLEEPING;
  }

  /** Which of the event loop's timers it has, as Node names those that keep the process alive; or "". */
  get heldTimer(): "" | "Timeout" | "Immediate" {
    if (this.state === State.SLEEPING) return this.keepsAlive() ? "Timeout" : "";
    return this.immediate === null ? "" : "Immediate";
  }

  /** Starts to drive a host. */
  add(driven: Driven): void {
    if (this.driven.includes(driven)) return;
    this.driven.push(driven);
    this.configure();
    this.kick();
  }

  /** Stops driving it; call it before its devices close. */
  remove(driven: Driven): void {
    const i = this.driven.indexOf(driven);
    if (i < 0) return;
    this.driven.splice(i, 1);
    this.configure();
    if (this.driven.length > 0) this.kick();
    else this.stop();
  }

  /** Something was called that a turn must carry out, or that changes how to sleep. */
  kick(): void {
    this.wasKicked = true;
    if (this.tellsAsIo) {
      this.kickAsIo();
      return;
    }
    if (this.state !== State.IDLE && this.state !== State.SLEEPING) return;
    this.endSleep();
    this.state = State.SCHEDULED;
    nextTick(this.runSoon);
  }

  /** What was queued leaves at the end of this tick: ticks may follow one another without an end. */
  private kickAsIo(): void {
    if (this.state === State.RUNNING || this.eventLoop?.isCalling === true) return;
    if (this.state !== State.SCHEDULED) {
      this.endSleep();
      this.schedule();
    }
    if (this.isSending) return;
    this.isSending = true;
    nextTick(this.sendSoon);
  }

  /**
   * Polls without a pause, and without the event loop, until `isDone()` or the time is over; returns
   * what `isDone` said last. For those who care about microseconds: promises do not settle in it.
   */
  runUntil(isDone: () => boolean, timeoutMs: number = Number.POSITIVE_INFINITY): boolean {
    let nowUs = this.clock();
    const endUs = nowUs + timeoutMs * 1_000;
    let done = isDone();
    for (let idle = 1; !done && nowUs < endUs; idle++) {
      if (this.pass(nowUs)) idle = IDLE_POLLS_A_CLOCK;
      done = isDone();
      if (idle >= IDLE_POLLS_A_CLOCK) {
        nowUs = this.clock();
        idle = 0;
      }
    }
    this.kick();
    return done;
  }

  private run(): void {
    this.endSleep();
    this.state = State.RUNNING;
    try {
      this.runTurns();
    } finally {
      // An exception of somebody who was told (`tellsAsIo`): the rest goes on later.
      if (this.state === State.RUNNING) this.schedule();
    }
  }

  private runTurns(): void {
    const startUs = this.clock();
    let nowUs = startUs;
    for (;;) {
      this.wasKicked = false;
      const worked = this.pass(nowUs);
      if (this.driven.length === 0) {
        this.stop();
        return;
      }
      nowUs = this.clock();
      if (worked || this.wasKicked) {
        this.lastWorkUs = nowUs;
        this.idlePasses = 0;
      } else if (this.maySleep(nowUs) && this.allPrepareSleep()) {
        this.sleep(nowUs);
        return;
      }
      if (this.eventLoop?.isWaitedFor === true) break;
      // Whoever was told goes on in a microtask or an event: let them.
      if ((this.told && !this.tellsAsIo) || nowUs - startUs >= this.yieldUs || this.idlePasses > 0)
        break;
    }
    this.schedule();
  }

  /** One turn of every stack, then everyone who waits is told. */
  private pass(nowUs: number): boolean {
    let worked = false;
    for (let i = 0; i < this.driven.length; i++) if (this.driven[i]!.poll(nowUs)) worked = true;
    this.told = false;
    for (let i = 0; i < this.driven.length; i++) if (this.driven[i]!.tell()) this.told = true;
    return worked || this.told;
  }

  private maySleep(nowUs: number): boolean {
    // Nobody waits for anything: spinning would keep the process alive.
    const spinUs = this.keepsAlive() ? this.spinUs : 0;
    if (nowUs - this.lastWorkUs < spinUs) return false;
    this.idlePasses++;
    if (this.idlePasses < IDLE_PASSES) return false;
    this.deadlineUs = NEVER;
    for (const d of this.driven) this.deadlineUs = Math.min(this.deadlineUs, d.nextDeadlineUs());
    return this.deadlineUs - nowUs >= TIMER_STEP_US;
  }

  private allPrepareSleep(): boolean {
    for (const d of this.driven) if (d.prepareSleep?.() === false) return false;
    return true;
  }

  private schedule(): void {
    this.state = State.SCHEDULED;
    if (this.eventLoop !== null) {
      this.eventLoop.soon();
      return;
    }
    // Always one that keeps the event loop going: an unreferenced one waits for some other event.
    this.immediate = setImmediate(this.runSoon);
  }

  private sleep(nowUs: number): void {
    this.state = State.SLEEPING;
    this.idlePasses = 0;
    const keepsAlive = this.keepsAlive();
    // The timer also is what keeps the process alive, so there is one even without a deadline.
    const ms = Math.min(Math.floor((this.deadlineUs - nowUs) / 1_000), LONGEST_TIMEOUT_MS);
    this.timeout = setTimeout(this.wake, ms);
    if (!keepsAlive) this.timeout.unref();
    this.waiter?.arm(this.wake, keepsAlive);
  }

  private endSleep(): void {
    if (this.timeout !== null) clearTimeout(this.timeout);
    if (this.immediate !== null) clearImmediate(this.immediate);
    this.timeout = null;
    this.immediate = null;
    if (this.state === State.SLEEPING) this.waiter?.disarm();
  }

  private stop(): void {
    this.endSleep();
    this.state = State.IDLE;
  }

  private keepsAlive(): boolean {
    for (const d of this.driven) if (d.keepsAlive) return true;
    return false;
  }

  /** Follows the set of hosts: the longest spin wins, and every descriptor is watched. */
  private configure(): void {
    this.spinUs = 0;
    for (const d of this.driven) this.spinUs = Math.max(this.spinUs, d.spinUs);
    const wanted = this.driven.flatMap((d) => d.wakeFds);
    if (wanted.length > 0) this.waiter ??= openWaiter();
    for (const fd of this.watched) if (!wanted.includes(fd)) this.waiter?.remove(fd);
    for (const fd of wanted) if (!this.watched.includes(fd)) this.waiter?.add(fd);
    this.watched = wanted;
    if (wanted.length === 0) {
      this.waiter?.close();
      this.waiter = null;
    }
  }
}

let shared: Runner | null = null;

/** The runner that hosts of this thread share unless they are given one of their own. */
export function sharedRunner(): Runner {
  shared ??= new Runner();
  return shared;
}
