/**
 * A benchmark scenario: Millrace and its baselines doing the same work, in turn, in one run.
 *
 * Every case is a process of its own, so that no case warms or spoils another's code, and rounds
 * are interleaved (Millrace, baselines, Millrace, …) so that a noisy minute hits all of them.
 */

/** Figures of one round, their units in their names: `p50_us`, `ns_per_packet`. */
export type Metrics = Readonly<Record<string, number>>;

/** One contestant's round. Throws when the work could not be done. */
export type Contestant = () => Promise<Metrics>;

export interface Scenario {
  readonly name: string;
  readonly summary: string;
  /** What this scenario is judged by, and whether a smaller number is better. */
  readonly metric: string;
  readonly smallerIsBetter: boolean;
  /** More metrics of the same direction whose ratios are printed, under `BASELINE METRIC`. */
  readonly alsoJudged?: readonly string[];
  readonly rounds: number;
  /** Prepares what all rounds share (namespaces, compiled programs) and returns the contestants. */
  prepare(): Promise<Prepared>;
}

export interface Prepared {
  readonly millrace: Contestant;
  readonly baselines: Readonly<Record<string, Contestant>>;
  /**
   * A figure of the machine before each round, the smaller the better: a round whose probe is more than
   * twice the best one is run again, because the machine was another.
   */
  readonly probe?: () => Promise<number>;
  /** Runs after the last round, on failure too. */
  readonly cleanUp?: () => Promise<void>;
}

/** What `--json` prints (design: one object a scenario; a ratio above 1 means Millrace is better). */
export interface Report {
  readonly scenario: string;
  readonly millrace: Metrics;
  readonly baselines: Readonly<Record<string, Metrics>>;
  readonly ratios: Readonly<Record<string, number>>;
  readonly runs: number;
  /** Cache line from core to core and back, best and worst of the rounds that count; rounds that do not. */
  readonly probe?: {
    readonly best_ns: number;
    readonly worst_ns: number;
    readonly discarded: number;
  };
}
