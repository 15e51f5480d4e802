/** Asks the worker, with a limit of time, and starts another one when it is lost. */
import { Worker } from "node:worker_threads";
import { PageError } from "./page-error.js";
import { runningLimit } from "./running-limit.js";
import type { Answer, Call } from "./worker.js";

const LIMIT_MS = 30_000;
const MEMORY_MB = 2_048;

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class Analyst {
  private readonly limitMs: number;
  private worker: Worker | null = null;
  private readonly waiting = new Map<number, Waiting>();
  private nextId = 0;

  constructor(limitMs: number = LIMIT_MS) {
    this.limitMs = limitMs;
  }

  /** Whether a worker has something open; false after it was lost. */
  get isAlive(): boolean {
    return this.worker !== null;
  }

  /** Rejects with `PageError`. */
  ask(call: Call): Promise<unknown> {
    // A worker that has nothing to do is used again: a new one takes a third of a second.
    if (call.kind === "open" && this.waiting.size > 0) this.stop("another file was loaded");
    this.worker ??= this.start();
    const { worker } = this;
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const timer = runningLimit(this.limitMs, () => this.stop(this.tooLong));
      this.waiting.set(id, { resolve, reject, timer });
      worker.postMessage({ id, call });
    });
  }

  private get tooLong(): string {
    return `the program took more than ${this.limitMs / 1000} s on this capture`;
  }

  private start(): Worker {
    const worker = new Worker(new URL("./worker.js", import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB },
      // What the page runs has no business with either.
      env: {},
      argv: [],
    });
    worker.on("message", (answer: Answer) => this.take(answer));
    worker.on("error", (error) => {
      if (this.worker === worker) this.stop(`it cannot be analysed: ${error.message}`);
    });
    worker.unref();
    return worker;
  }

  private take({ id, result, problem }: Answer): void {
    const waiting = this.waiting.get(id);
    if (waiting === undefined) return;
    this.waiting.delete(id);
    clearInterval(waiting.timer);
    if (problem === undefined) waiting.resolve(result);
    else waiting.reject(new PageError(problem.about, problem.message, problem.advice));
  }

  /** Ends the worker; whoever waits is told why. */
  stop(reason: string): void {
    void this.worker?.terminate();
    this.worker = null;
    for (const { reject, timer } of this.waiting.values()) {
      clearInterval(timer);
      reject(new PageError("object", reason, "Try a shorter capture, or another object."));
    }
    this.waiting.clear();
  }
}
