/**
 * The conformance cases against Linux: a case must pass here before it may judge Millrace. In real
 * time, in a network namespace, over a TAP; each case has ports of its own, because connections of
 * earlier ones live on.
 */
import { test } from "node:test";
import { IpAddress } from "../../src/base/ip-address.js";
import { runScript } from "../../src/sim/scripted-peer.js";
import { parseAddress } from "../../src/wire/ethernet.js";
import { ALL_CASES } from "../conformance/all-cases.js";
import { LinuxTestedHost } from "../support/linux-tested-host.js";
import { enterNamespace } from "../support/namespace.js";

await enterNamespace(import.meta.url, "ip", "python3");

const MAC = "02:00:00:00:00:02";
const ADDRESS = IpAddress.parse("10.9.0.2");
let port = 8000;

for (const [rfc, cases] of Object.entries(ALL_CASES)) {
  for (const { title, script, notOnLinux } of cases) {
    if (notOnLinux !== undefined) continue;
    test(`Linux: ${rfc} ${title}`, async () => {
      port++;
      const host = await new LinuxTestedHost(port, ADDRESS, MAC).start();
      const peer = { mac: parseAddress(MAC), address: ADDRESS, port: port + 20_000 };
      try {
        await runScript(script, host, peer, rfc);
      } finally {
        await host.close();
      }
    });
  }
}
