/** Runs a scenario's rounds and reduces them to medians and ratios. */
import type { Metrics, Report, Scenario } from "./scenario.js";

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
  const results = new Map<string, Metrics[]>(contestants.map(([name]) => [name, []]));
  try {
    for (let round = 0; round < rounds; round++) {
      for (const [name, run] of contestants) {
        const metrics = await run();
        results.get(name)!.push(metrics);
        onRound(name, round, metrics);
      }
    }
  } finally {
    await prepared.cleanUp?.();
  }
  const millrace = medians(results.get("millrace")!);
  const baselines: Record<string, Metrics> = {};
  const ratios: Record<string, number> = {};
  for (const name of Object.keys(prepared.baselines)) {
    const theirs = medians(results.get(name)!);
    baselines[name] = theirs;
    const ours = millrace[scenario.metric];
    const other = theirs[scenario.metric];
    if (ours === undefined || other === undefined) continue;
    ratios[name] = round3(scenario.smallerIsBetter ? other / ours : ours / other);
  }
  return { scenario: scenario.name, millrace, baselines, ratios, runs: rounds };
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
