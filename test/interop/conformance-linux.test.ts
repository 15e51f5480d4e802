/**
 * The conformance cases against Linux: a case must pass here before it may judge Millrace. In real
 * time, in a network namespace; each case has a TAP and a program of its own, so that many can wait
 * at once.
 */
import { runScript } from "../../src/sim/scripted-peer.js";
import { ALL_CASES } from "../conformance/all-cases.js";
import { LinuxTestedHost, linuxPeer } from "../support/linux-tested-host.js";
import { enterNamespace } from "../support/namespace.js";
import { testInRealTime } from "../support/real-time-cases.js";

await enterNamespace(import.meta.url, "ip", "python3");

/** Part of the titles to run, for work on cases. */
const ONLY = process.env.MILLRACE_CASES ?? "";
/** Hosts so far: each has a number of its own. */
let n = 0;

testInRealTime(
  "Linux",
  Object.entries(ALL_CASES).flatMap(([rfc, cases]) =>
    cases
      .filter((one) => one.notOnLinux === undefined && `${rfc} ${one.title}`.includes(ONLY))
      .map(({ title, script, family }) => ({
        name: `${rfc} ${title}`,
        run: (attempt) => runOnLinux(attempt, rfc, script, family ?? 4),
      })),
  ),
);

async function runOnLinux(
  attempt: number,
  rfc: string,
  script: string,
  family: 4 | 6,
): Promise<void> {
  n++;
  const peer = linuxPeer(n, family);
  const host = await LinuxTestedHost.start(n, peer);
  host.toleranceUs *= attempt * attempt;
  try {
    await runScript(script, host, peer, rfc);
  } finally {
    await host.close();
  }
}
