/**
 * `npm run bench -- SCENARIO… [--json] [--rounds N]`, `npm run bench -- --list`.
 *
 * Exit status 0 done, 1 a scenario failed, 2 usage.
 */
import { Command } from "commander";
import { runScenario } from "./run-scenario.js";
import type { Metrics, Report, Scenario } from "./scenario.js";
import { SCENARIOS } from "./scenarios/all.js";

const program = new Command("bench")
  .description("measure Millrace beside its baselines, in turn, in one run")
  .argument("[scenario...]", "names from --list; none runs all")
  .option("--list", "name the scenarios")
  .option("--json", "print one JSON object a scenario, as a line")
  .option("--rounds <n>", "rounds of each contestant (default: the scenario's own)", Number)
  .exitOverride((e) => process.exit(e.exitCode === 0 ? 0 : 2));
program.parse();
const options = program.opts<{ list?: boolean; json?: boolean; rounds?: number }>();

if (options.list) {
  const width = Math.max(...SCENARIOS.map((s) => s.name.length)) + 2;
  for (const s of SCENARIOS) console.log(`${s.name.padEnd(width)}${s.summary}`);
  process.exit(0);
}
const { rounds } = options;
if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
  console.error(`bench: --rounds: expected a whole number above 0, got ${rounds}`);
  process.exit(2);
}
const wanted: Scenario[] = [];
for (const name of program.args) {
  const found = SCENARIOS.find((s) => s.name === name);
  if (found === undefined) {
    console.error(`bench: there is no scenario ${name}; see --list`);
    process.exit(2);
  }
  wanted.push(found);
}

for (const scenario of wanted.length === 0 ? SCENARIOS : wanted) {
  try {
    const report = await runScenario(scenario, rounds ?? scenario.rounds, progress);
    if (options.json) console.log(JSON.stringify(report));
    else print(scenario, report);
  } catch (error) {
    console.error(`bench: ${scenario.name}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}

function progress(contestant: string, round: number, metrics: Metrics): void {
  if (!process.stderr.isTTY) return;
  const figures = Object.entries(metrics).map(([name, value]) => `${name} ${value}`);
  console.error(`  round ${round + 1} ${contestant}: ${figures.join(", ")}`);
}

function print(scenario: Scenario, report: Report): void {
  console.log(`${scenario.name}: ${scenario.summary} (medians of ${report.runs} rounds)`);
  const all: [string, Metrics][] = [
    ["millrace", report.millrace],
    ...Object.entries(report.baselines),
  ];
  const names = [...new Set(all.flatMap(([, m]) => Object.keys(m)))];
  const width = Math.max(...all.map(([name]) => name.length)) + 2;
  for (const [name, m] of all) {
    const figures = names.filter((n) => m[n] !== undefined).map((n) => `${n} ${m[n]}`);
    const ratio = report.ratios[name] === undefined ? "" : `   millrace is ${report.ratios[name]}x`;
    console.log(`  ${name.padEnd(width)}${figures.join("  ")}${ratio}`);
  }
  for (const metric of scenario.alsoJudged ?? []) {
    const ratios = Object.entries(report.ratios).filter(([name]) => name.endsWith(` ${metric}`));
    const words = ratios.map(([name, ratio]) => `${name.slice(0, -metric.length - 1)} ${ratio}x`);
    console.log(`  by ${metric}: millrace to ${words.join(", ")}`);
  }
  const { probe } = report;
  if (probe === undefined) return;
  console.log(
    `  cache line from core to core and back: ${probe.best_ns} to ${probe.worst_ns} ns; rounds discarded: ${probe.discarded}`,
  );
}
