/**
 * Calls a test's `step` until it is done: over and over, with the event loop having its turn now and
 * then so that Ctrl-C is heard, or from the transport's events.
 */
import type { Transport } from "./transport.js";

export interface Work {
  readonly isDone: boolean;
  /** When `step` has something to do though nothing arrives; milliseconds of `clock.ts`. */
  readonly nextDueMs: number;
  /** The time of the last `step`. */
  readonly nowMs: number;
  step(): void;
  /** Ends it early. */
  stop(): void;
}

export interface DriveOptions {
  readonly stop: AbortSignal;
  /** Sleep in the kernel instead of spinning. */
  readonly blocks: boolean;
  /** Called about once a second. */
  readonly onSecond: () => void;
  /** Called with each pause of the loop that spins. */
  readonly isOver?: () => boolean;
}

/**
 * How long to spin without looking at the event loop. An iteration of it costs a few microseconds:
 * at 20 a second they are seen above the 99.99th percentile only.
 */
const SLICE_MS = 50;
/** Signals are heard between sleeps. */
const LONGEST_SLEEP_US = 50_000;

export async function drive(work: Work, transport: Transport, o: DriveOptions): Promise<void> {
  const onStop = (): void => work.stop();
  o.stop.addEventListener("abort", onStop);
  try {
    if (transport.onEvent === undefined) await spin(work, transport, o);
    else await byEvents(work, transport, o);
  } finally {
    o.stop.removeEventListener("abort", onStop);
  }
}

async function spin(work: Work, transport: Transport, o: DriveOptions): Promise<void> {
  work.step();
  let secondMs = work.nowMs + 1_000;
  while (!isFinished(work, o)) {
    const sliceMs = work.nowMs + SLICE_MS;
    while (work.nowMs < sliceMs && !work.isDone) {
      if (o.blocks) sleep(work, transport);
      work.step();
    }
    if (work.nowMs >= secondMs) {
      secondMs = work.nowMs + 1_000;
      o.onSecond();
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function sleep(work: Work, transport: Transport): void {
  const us = Math.min((work.nextDueMs - work.nowMs) * 1e3, LONGEST_SLEEP_US);
  if (us > 0) transport.wait(us);
}

/** A client is done by itself; a server when it is told to be. */
const isFinished = (work: Work, o: DriveOptions): boolean => work.isDone || o.isOver?.() === true;

function byEvents(work: Work, transport: Transport, o: DriveOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    let immediate: NodeJS.Immediate | null = null;
    const end = (): void => {
      clearInterval(seconds);
      clearInterval(ticks);
      if (immediate !== null) clearImmediate(immediate);
      transport.onEvent?.(() => {});
    };
    const step = (): void => {
      try {
        work.step();
        if (isFinished(work, o)) {
          end();
          resolve();
        } else if (work.nextDueMs - work.nowMs < 2) immediate ??= setImmediate(again);
      } catch (error) {
        end();
        reject(error);
      }
    };
    const again = (): void => {
      immediate = null;
      step();
    };
    const seconds = setInterval(() => o.onSecond(), 1_000);
    const ticks = setInterval(step, 5);
    transport.onEvent?.(step);
    step();
  });
}
