/** The conformance cases below TCP against Linux; see conformance-linux.test.ts. */
import { describe, test } from "node:test";
import { ALL_IP_CASES } from "../conformance/all-ip-cases.js";
import { type IpCase, World } from "../conformance/ip-world.js";
import { LinuxTestedHost, linuxPeer } from "../support/linux-tested-host.js";
import { enterNamespace } from "../support/namespace.js";

await enterNamespace(import.meta.url, "ip", "python3");

const CONCURRENCY = 8;
/** A case is about real time, and this machine may be busy: only one that fails again fails. */
const ATTEMPTS = 3;
/** Part of the titles to run, for work on cases. */
const ONLY = process.env.MILLRACE_CASES ?? "";
/** Hosts so far: each has a number of its own. */
let n = 0;

describe("Linux", { concurrency: CONCURRENCY }, () => {
  for (const [subject, cases] of Object.entries(ALL_IP_CASES)) {
    for (const one of cases) {
      const name = `${subject}: ${one.title}`;
      if (one.notOnLinux !== undefined || !name.includes(ONLY)) continue;
      test(name, async () => {
        for (let attempt = 1; ; attempt++) {
          try {
            await runOnLinux(one, attempt);
            return;
          } catch (error) {
            if (attempt === ATTEMPTS) throw error;
          }
        }
      });
    }
  }
});

async function runOnLinux(one: IpCase, attempt: number): Promise<void> {
  n++;
  const peer4 = linuxPeer(n, 4);
  const peer6 = linuxPeer(n, 6);
  const host = await LinuxTestedHost.start(n, peer4, peer6);
  host.toleranceUs *= attempt * attempt;
  try {
    const [v4, v6] = [peer4.address.toString(), peer6.address.toString()];
    await one.run(new World(host, [...peer4.mac], v4, v6));
  } finally {
    await host.close();
  }
}
