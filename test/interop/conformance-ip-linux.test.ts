/** The conformance cases below TCP against Linux; see conformance-linux.test.ts. */
import { ALL_IP_CASES } from "../conformance/all-ip-cases.js";
import { type IpCase, World } from "../conformance/ip-world.js";
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
  Object.entries(ALL_IP_CASES).flatMap(([subject, cases]) =>
    cases
      .map((one) => ({ one, name: `${subject}: ${one.title}` }))
      .filter(({ one, name }) => one.notOnLinux === undefined && name.includes(ONLY))
      .map(({ one, name }) => ({ name, run: (attempt) => runOnLinux(one, attempt) })),
  ),
);

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
