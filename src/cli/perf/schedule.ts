/**
 * When the next message is due, and how long it is. Times are milliseconds after the first message.
 *
 * A sender that falls behind catches up: due times do not move, so a stall shows in the latencies of
 * what should have been sent meanwhile, where the sender measures from the due time on.
 */
import { HEADER_BYTES, MAX_BYTES } from "./message.js";

export interface Schedule {
  /** When the next message is due; Infinity after the last. */
  readonly dueMs: number;
  /** Its length. */
  readonly lengthBytes: number;
  /** Hot path. It was sent. */
  advance(): void;
}

/** Lengths of messages: `bytes`, give or take up to `range`, drawn evenly. */
export class Lengths {
  private readonly least: number;
  private readonly span: number;
  private state = 0x2545f491;

  constructor(bytes: number, range = 0) {
    this.least = Math.max(HEADER_BYTES, bytes - range);
    this.span = Math.min(MAX_BYTES, bytes + range) - this.least + 1;
  }

  /** Hot path. */
  next(): number {
    if (this.span === 1) return this.least;
    this.state = (Math.imul(this.state, 1664525) + 1013904223) | 0;
    return this.least + Math.floor(((this.state >>> 0) / 2 ** 32) * this.span);
  }
}

/** So many messages a second, `burst` at a time; Infinity is as fast as they can be sent. */
export class SteadySchedule implements Schedule {
  dueMs = 0;
  lengthBytes: number;
  private readonly burstMs: number;
  private readonly burst: number;
  private readonly lengths: Lengths;
  private inBurst = 0;
  private bursts = 0;

  constructor(messagesPerS: number, burst: number, lengths: Lengths) {
    this.burstMs = (burst * 1e3) / messagesPerS;
    this.burst = burst;
    this.lengths = lengths;
    this.lengthBytes = lengths.next();
  }

  advance(): void {
    this.lengthBytes = this.lengths.next();
    if (++this.inBurst < this.burst) return;
    this.inBurst = 0;
    this.bursts++;
    this.dueMs = this.burstMs * this.bursts; // multiplied, not added: no error piles up
  }
}

/** What was recorded: times and lengths of a file. */
export class PlaybackSchedule implements Schedule {
  private readonly times: readonly number[];
  private readonly lengths: readonly number[];
  private at = 0;

  constructor(items: readonly PlaybackItem[]) {
    this.times = items.map((item) => item.atS * 1e3);
    this.lengths = items.map((item) => item.lengthBytes);
  }

  get dueMs(): number {
    return this.times[this.at] ?? Number.POSITIVE_INFINITY;
  }

  get lengthBytes(): number {
    return this.lengths[this.at] ?? HEADER_BYTES;
  }

  advance(): void {
    this.at++;
  }
}

/** A line of a playback file: seconds from the start, length of the message. */
export interface PlaybackItem {
  readonly atS: number;
  readonly lengthBytes: number;
}

/**
 * Reads a playback file of sockperf's: `time, length` a line, times in seconds that never go back;
 * empty lines and those that begin with `#` are comments. Throws `TypeError` that names the line.
 */
export function parsePlayback(text: string): PlaybackItem[] {
  const items: PlaybackItem[] = [];
  let lastS = 0;
  text.split("\n").forEach((line, i) => {
    if (line.trim() === "" || line.startsWith("#")) return;
    const match = /^\s*(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*,\s*(\d+)\s*$/.exec(line);
    const wrong = (what: string): never => {
      throw new TypeError(`line ${i + 1}: ${what}, got ${JSON.stringify(line.trim())}`);
    };
    if (match === null) wrong("expected seconds, a comma and a length in bytes such as 0.25, 100");
    const item = { atS: Number(match![1]), lengthBytes: Number(match![2]) };
    if (item.atS < lastS) wrong(`expected a time of ${lastS} or later`);
    if (item.lengthBytes < HEADER_BYTES || item.lengthBytes > MAX_BYTES) {
      wrong(`expected a length from ${HEADER_BYTES} to ${MAX_BYTES}`);
    }
    lastS = item.atS;
    items.push(item);
  });
  if (items.length === 0) throw new TypeError("there is no message in it");
  return items;
}
