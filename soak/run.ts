/**
 * `npm run soak:run -- [--minutes N] [--programs N] [--sockets N] [--seed N] [--json]`.
 *
 * Exit status 0 nothing leaked and nobody was disturbed, 1 something did, 2 usage.
 */
import { Command } from "commander";
import { Soak } from "./soak.js";

const program = new Command("soak")
  .description("kill programs of an engine at random, and look what it still holds afterwards")
  .option("--minutes <n>", "how long they are killed", Number, 10)
  .option("--programs <n>", "programs at the same time", Number, 64)
  .option("--sockets <n>", "sockets of all programs together", Number, 10_000)
  .option("--kills <n>", "kills a second, in the mean", Number, 4)
  .option("--seed <n>", "repeats the choice of who is killed and when", Number, 1)
  .option("--port <n>", "first port of the programs' listeners", Number, 21_000)
  .option("--no-time-wait", "do not wait for the end of TIME-WAIT, a minute each")
  .option("--json", "print the report as one JSON object")
  .exitOverride((e) => process.exit(e.exitCode === 0 ? 0 : 2));
program.parse();
const options = program.opts<{
  minutes: number;
  programs: number;
  sockets: number;
  kills: number;
  seed: number;
  port: number;
  timeWait: boolean;
  json?: boolean;
}>();

for (const [name, value] of Object.entries(options)) {
  if (typeof value !== "number" || value > 0 || (name === "seed" && value === 0)) continue;
  console.error(`soak: --${name}: expected a number above 0, got ${value}`);
  process.exit(2);
}

const report = await new Soak({
  seconds: options.minutes * 60,
  programs: options.programs,
  sockets: options.sockets,
  killsPerSecond: options.kills,
  seed: options.seed,
  mayWait: !options.timeWait,
  firstPort: options.port,
  onProgress: (text) => console.error(`soak: ${text}`),
}).run();

if (options.json === true) console.log(JSON.stringify(report));
else {
  const { before, after, failures, witness, ...figures } = report;
  console.log(figures, witness);
  console.table({ before, after });
  for (const failure of failures) console.log(`FAILED ${failure}`);
}
process.exitCode = report.failures.length === 0 ? 0 : 1;
