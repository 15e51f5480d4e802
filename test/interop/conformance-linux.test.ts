/**
 * The conformance cases against Linux: a case must pass here before it may judge Millrace. In real
 * time, in a network namespace; each case has a TAP and a program of its own, so that many can wait
 * at once.
 */
import { describe, test } from "node:test";
import { runScript } from "../../src/sim/scripted-peer.js";
import { ALL_CASES } from "../conformance/all-cases.js";
import { LinuxTestedHost, linuxPeer } from "../support/linux-tested-host.js";
import { enterNamespace } from "../support/namespace.js";

await enterNamespace(import.meta.url, "ip", "python3");

const CONCURRENCY = 8;
/** A case is about real time, and this machine may be busy: only one that fails again fails. */
const ATTEMPTS = 5;
/** Part of the titles to run, for work on cases. */
const ONLY = process.env.MILLRACE_CASES ?? "";
/** Hosts so far: each has a number of its own. */
let n = 0;

describe("Linux", { concurrency: CONCURRENCY }, () => {
  for (const [rfc, cases] of Object.entries(ALL_CASES)) {
    for (const { title, script, notOnLinux, family } of cases) {
      if (notOnLinux !== undefined || !`${rfc} ${title}`.includes(ONLY)) continue;
      test(`${rfc} ${title}`, async () => {
        for (let attempt = 1; ; attempt++) {
          try {
            await runOnLinux(attempt, rfc, script, family ?? 4);
            return;
          } catch (error) {
            if (attempt === ATTEMPTS) throw error;
          }
        }
      });
    }
  }
});

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
