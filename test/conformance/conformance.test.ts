/**
 * The conformance cases on Millrace, in virtual time. `known-failing.txt` lists titles that fail and
 * should not; a listed case that passes fails the run, so the list can only shrink.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IpAddress } from "../../src/base/ip-address.js";
import { ScriptHost } from "../../src/sim/script-host.js";
import { runScript } from "../../src/sim/scripted-peer.js";
import { ALL_CASES } from "./all-cases.js";
import { KnownFailing } from "./known-failing.js";

const known = new KnownFailing("known-failing.txt");
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);
const PEERS = {
  4: { mac: MAC, address: IpAddress.parse("10.9.0.2"), port: 40_000 },
  6: { mac: MAC, address: IpAddress.parse("fd09::2"), port: 40_000 },
};

for (const [rfc, cases] of Object.entries(ALL_CASES)) {
  for (const { title, script, family } of cases) {
    known.test(`${rfc} ${title}`, async () => {
      const peer = PEERS[family ?? 4];
      const host = new ScriptHost(peer);
      await runScript(script, host, peer, rfc);
      await host.close();
      assert.equal(host.heldSlots, 0, "slots that nobody gave back");
    });
  }
}

test("known-failing.txt lists only cases that exist", () => known.checkNoneLeft());
