/** Runs a scenario's rounds and reduces them to medians and ratios. */
import type { Metrics, Report, Scenario } from "./scenario.js";

/** A round's figures, and how the machine was. */
interface Round {
  readonly probe: number;
  readonly metrics: ReadonlyMap<string, Metrics>;
}

/** Rounds whose probe is worse than so many times the best do not count. */
const WORST_PROBE = 2;
/** At most so many times the wanted rounds are run to get as many that count. */
const MOST_TRIES = 3;

/** `onRound` hears of each finished round, for progress on stderr. */
export async function runScenario(
  scenario: Scenario,
  rounds: number,
  onRound: (contestant: string, round: number, metrics: Metrics) => void,
): Promise<Report> {
  const prepared = await scenario.prepare();
  const contestants = [
    ["millrace", prepared.millrace] as const,
    ...Object.entries(prepared.baselines),
  ];
  const all: Round[] = [];
  const counted = (): Round[] => {
    const best = Math.min(...all.map((round) => round.probe));
    return all.filter((round) => round.probe <= WORST_PROBE * best);
  };
  try {
    while (counted().length < rounds && all.length < MOST_TRIES * rounds) {
      const probe = (await prepared.probe?.()) ?? 0;
      const metrics = new Map<string, Metrics>();
      for (const [name, run] of contestants) {
        metrics.set(name, await run());
        onRound(name, all.length, metrics.get(name)!);
      }
      all.push({ probe, metrics });
    }
  } finally {
    await prepared.cleanUp?.();
  }
  return reportOf(scenario, Object.keys(prepared.baselines), counted(), all.length);
}

function reportOf(
  scenario: Scenario,
  names: readonly string[],
  rounds: readonly Round[],
  tried: number,
): Report {
  const of = (name: string): Metrics => medians(rounds.map((round) => round.metrics.get(name)!));
  const millrace = of("millrace");
  const baselines: Record<string, Metrics> = {};
  const ratios: Record<string, number> = {};
  for (const name of names) {
    const theirs = of(name);
    baselines[name] = theirs;
    for (const metric of [scenario.metric, ...(scenario.alsoJudged ?? [])]) {
      const ours = millrace[metric];
      const other = theirs[metric];
      if (ours === undefined || other === undefined) continue;
      const key = metric === scenario.metric ? name : `${name} ${metric}`;
      ratios[key] = round3(scenario.smallerIsBetter ? other / ours : ours / other);
    }
  }
  const report = { scenario: scenario.name, millrace, baselines, ratios, runs: rounds.length };
  const probes = rounds.map((round) => round.probe);
  if (Math.max(...probes) === 0) return report;
  const [best_ns, worst_ns] = [Math.min(...probes), Math.max(...probes)];
  return { ...report, probe: { best_ns, worst_ns, discarded: tried - rounds.length } };
}

/** Median of each metric over the rounds; the lower middle one when their number is even. */
export function medians(rounds: readonly Metrics[]): Metrics {
  const out: Record<string, number> = {};
  for (const name of Object.keys(rounds[0] ?? {})) {
    const values = rounds.map((m) => m[name]!).sort((a, b) => a - b);
    out[name] = round3(values[(values.length - 1) >> 1]!);
  }
  return out;
}

const round3 = (v: number): number => Math.round(v * 1000) / 1000;
