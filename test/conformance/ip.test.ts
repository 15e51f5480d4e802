/** The conformance cases below TCP on Millrace, in virtual time. See conformance.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IpAddress } from "../../src/base/ip-address.js";
import { ScriptHost } from "../../src/sim/script-host.js";
import { ALL_IP_CASES } from "./all-ip-cases.js";
import { World } from "./ip-world.js";
import { KnownFailing } from "./known-failing.js";

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);
const [V4, V6] = ["10.9.0.2", "fd09::2"];
const known = new KnownFailing("known-failing-ip.txt");

for (const [subject, cases] of Object.entries(ALL_IP_CASES)) {
  for (const { title, run } of cases) {
    known.test(`${subject}: ${title}`, async () => {
      const peer = { mac: MAC, address: IpAddress.parse(V4), port: 0 };
      const host = new ScriptHost(peer, IpAddress.parse(V6));
      await run(new World(host, [...MAC], V4, V6));
      await host.close();
      assert.equal(host.heldSlots, 0, "slots that nobody gave back");
    });
  }
}

test("known-failing-ip.txt lists only cases that exist", () => known.checkNoneLeft());
