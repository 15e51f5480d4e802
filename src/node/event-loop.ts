/**
 * Runs of the runner as calls of libuv's, which are outside of Node's callback scopes.
 *
 * Native code that is handed there what was read (TLS, HTTP's parser, HTTP/2) runs ticks after each callback of its own,
 * as it does on the kernel's sockets: a program hears of a request before what stands behind it in the same segment, or the
 * same record of TLS, is read. Everything else is done within a scope, as Node does it.
 *
 * | phase of the event loop | there                                     |
 * |-------------------------|-------------------------------------------|
 * | timers                  |                                           |
 * | idle                    | runs, and right after each the bare calls |
 * | poll                    | the kernel's sockets                      |
 * | check                   | immediates                                |
 *
 * Measured: a scope 0.8 µs, so it is one for a run and not one for each who is told. TLS of 64 bytes to and fro in one
 * process 23 µs, with the bare call an iteration later 37 (node 20.20, 2 shared cores, 2026-11).
 */
import { monotonicUs } from "../nic/clock.js";
import type { EventLoop } from "../socket/runner.js";
import { LoopCall, throwUncaught } from "../sys/loop-call.js";
import { callBare, setThrowUncaught } from "./scope.js";

/** Runs may follow one another for so long before the rest of the event loop has its turn. */
const YIELD_US = 200;

/** As in libuv: one may ask for another. */
const PENDING_ROUNDS = 8;

/** Who is called bare. */
export interface BareCalled {
  /** `callBare` in scope.ts says what it may do. */
  onBareCall(): void;
}

export class NodeEventLoop implements EventLoop {
  private readonly run: () => void;
  private readonly loopCall: LoopCall;
  /** A run follows what is called now. */
  isCalling = false;
  private readonly waiting = new Set<BareCalled>();
  private readonly afterwards: (() => void)[] = [];
  private readonly pending: (() => void)[] = [];
  private readonly nexts: (() => void)[] = [];
  /** Which of the event loop's it is. */
  iteration = 0;
  private isRunning = true;
  private readonly callWaiting = (): void => this.callAll();

  private constructor(run: () => void) {
    this.run = run;
    setThrowUncaught(throwUncaught);
    this.loopCall = new LoopCall(
      () => this.onLoop(),
      () => this.onScope(),
    );
  }

  /** Null without the native addon: runs are immediates then. */
  static open(this: void, run: () => void): NodeEventLoop | null {
    try {
      return new NodeEventLoop(run);
    } catch {
      return null;
    }
  }

  get isWaitedFor(): boolean {
    return this.waiting.size > 0;
  }

  soon(): void {
    this.loopCall.soon();
  }

  /** Hot path. Calls `who` once, when this run is over. */
  callBare(who: BareCalled): void {
    this.waiting.add(who);
    this.soon();
  }

  /** From a bare call: `f` is called within a scope, after them. */
  putOff(f: () => void): void {
    this.afterwards.push(f);
  }

  /** `f` is called within a scope when libuv would tell of a write or an end: after this run, or before the next. */
  later(f: () => void): void {
    this.pending.push(f);
    this.soon();
  }

  /** `f`, which calls no program, is called before the runs of the next iteration. */
  next(f: () => void): void {
    this.nexts.push(f);
    this.soon();
  }

  private onLoop(): void {
    const startUs = monotonicUs();
    this.iteration++;
    if (this.nexts.length > 0) for (const f of this.nexts.splice(0)) f();
    this.tellPending();
    try {
      this.runAndCall(startUs);
    } finally {
      this.tellPending();
    }
  }

  /** As libuv, which tells of writes that went well at once after it has polled, and before it does. */
  private tellPending(): void {
    for (let i = 0; i < PENDING_ROUNDS && this.pending.length > 0; i++) {
      this.afterwards.push(...this.pending.splice(0));
      this.callPending();
    }
  }

  private callPending(): void {
    let isDone = false;
    this.isRunning = false;
    try {
      this.loopCall.callScoped();
      isDone = true;
    } finally {
      this.isRunning = true;
      if (!isDone) this.soon(); // a tick has thrown: the run that was due comes in the next iteration
    }
  }

  private runAndCall(startUs: number): void {
    for (;;) {
      this.loopCall.callScoped();
      if (this.waiting.size === 0) return;
      const isLast = monotonicUs() - startUs >= YIELD_US;
      this.isCalling = !isLast;
      try {
        callBare(this.callWaiting);
      } finally {
        this.isCalling = false;
      }
      if (isLast) return;
    }
  }

  /** An exception is an uncaught one before the scope ends: Node's record of contexts is in order then. */
  private onScope(): void {
    try {
      for (let f = this.afterwards.shift(); f !== undefined; f = this.afterwards.shift()) f();
      if (this.isRunning) this.run();
    } catch (error) {
      if (this.afterwards.length > 0) this.soon();
      throwUncaught(error);
    }
  }

  /** Those who come meanwhile are called the next time; so are the rest when one has thrown. */
  private callAll(): void {
    let left = this.waiting.size;
    try {
      for (const who of this.waiting) {
        if (left-- === 0) break;
        this.waiting.delete(who);
        who.onBareCall();
      }
    } finally {
      if (this.waiting.size > 0) this.soon();
    }
  }
}
