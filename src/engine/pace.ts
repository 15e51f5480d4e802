/**
 * How steadily an engine's loop goes round: what took so long that programs had to wait, for
 * `millrace stat --counters` and the log. Nothing is measured but by the clock that the loop reads anyway.
 */
import type { Troubles } from "./troubles.js";

/** Longer than this is worth a word. */
const LATE_US = 100_000;
const US_PER_MS = 1_000;

/** What the loop was at. */
export const Doing = {
  /** A turn that found work: submissions, frames, timers. */
  WORK: "work",
  /** Turns that found none: the processor was somebody else's. */
  POLLING: "polling",
  /** The control socket, hang-ups of sockets, programs that come and go. */
  CONTROL: "control",
  /** Node's event loop: statistics, signals, the collector of garbage. */
  EVENTS: "events",
} as const;
export type Doing = (typeof Doing)[keyof typeof Doing];

export class Pace {
  /** Times that something took longer than 100 ms, all of them together, and the longest. */
  late = 0;
  lateUs = 0;
  longestUs = 0;
  private readonly troubles: Troubles;
  /** CPU time of the process when it was read last, and when that was. */
  private cpuUs = 0;
  private cpuAtUs = 0;

  constructor(troubles: Troubles) {
    this.troubles = troubles;
  }

  /** Now and then, so that it can be told from where time went. */
  readCpu(nowUs: number): void {
    this.cpuUs = cpuUs();
    this.cpuAtUs = nowUs;
  }

  /** Hot path. `doing` has gone on between these times. */
  note(doing: Doing, fromUs: number, toUs: number): void {
    if (toUs - fromUs > LATE_US) this.wasLate(doing, toUs - fromUs, toUs);
  }

  private wasLate(doing: Doing, us: number, nowUs: number): void {
    this.late++;
    this.lateUs += us;
    if (us > this.longestUs) this.longestUs = us;
    const sinceMs = Math.round((nowUs - this.cpuAtUs) / US_PER_MS);
    const usedMs = Math.round((cpuUs() - this.cpuUs) / US_PER_MS);
    const text =
      `${Math.round(us / US_PER_MS)} ms without a turn (${doing}); of the last ${sinceMs} ms it had a ` +
      `processor for ${usedMs}: when that is much less, others wanted it`;
    this.troubles.happened(`late-${doing}`, nowUs, text);
    this.readCpu(nowUs);
  }
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
