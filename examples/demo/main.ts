/** `npm run demo`: the same work through the kernel and through Millrace, in a table. */
import { availableParallelism, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { run, runTap } from "./run.js";
import { formatTable } from "./table.js";
import type { Result } from "./work.js";

const HELP = `usage: npm run demo [-- OPTIONS]
Does the same work through Linux's sockets on loopback, through two Millrace processes joined by
memif (shared memory), and from Linux to a Millrace host over a TAP interface in a network namespace of
its own. Takes about twelve seconds; needs no privilege. NO_COLOR is respected.
  --json     one JSON object instead of a table
  --quick    less work, rough figures`;

const READING = `Medians, warmed up. Client and server of the first two rows are two Node.js processes; those of the
TAP row share one, and Linux does half of that work: it is what it costs to reach Linux and its
programs. Over memif a host polls for a millisecond before it sleeps, so both processors are busy
while it works. "Polled" means no promises, no event loop, never asleep. No row says how fast a
network card is.`;

function options(): { json: boolean; quick: boolean } {
  const boolean = { type: "boolean", default: false } as const;
  try {
    const { values } = parseArgs({ options: { help: boolean, json: boolean, quick: boolean } });
    if (!values.help) return values;
    console.log(HELP);
    process.exit(0);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
    process.exit(2);
  }
}

/** What others do on this machine, if it spoils the figures. */
function busyNote(): string | null {
  const load = loadavg()[0]!;
  const processors = availableParallelism();
  if (load <= processors) return null;
  return `This machine was busy (load ${load.toFixed(1)} on ${processors} processors): repeat it when it is not.`;
}

function main(): void {
  const { json, quick } = options();
  const busy = busyNote();
  const results: Result[] = [run("kernel", quick), run("memif", quick)];
  const tap = runTap(quick);
  const leftOut = "leftOut" in tap ? tap.leftOut : null;
  if (!("leftOut" in tap)) results.push(tap);
  if (json) {
    console.log(JSON.stringify({ results, tapLeftOut: leftOut }));
    return;
  }
  const hasColor = process.stdout.isTTY === true && (process.env.NO_COLOR ?? "") === "";
  console.log(`${formatTable(results, hasColor)}\n`);
  if (leftOut !== null) console.log(`Left out: Linux to Millrace, over TAP: ${leftOut}\n`);
  console.log(READING);
  if (busy !== null) console.log(`\n${busy}`);
}

try {
  main();
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
