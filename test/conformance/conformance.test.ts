/**
 * The conformance cases on Millrace, in virtual time. `known-failing.txt` lists titles that fail and
 * should not; a listed case that passes fails the run, so the list can only shrink.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { IpAddress } from "../../src/base/ip-address.js";
import { ScriptHost } from "../../src/sim/script-host.js";
import { runScript, ScriptFailure } from "../../src/sim/scripted-peer.js";
import { ALL_CASES } from "./all-cases.js";

const KNOWN_FAILING = new URL("../../../test/conformance/known-failing.txt", import.meta.url);
const knownFailing = new Set(
  readFileSync(KNOWN_FAILING, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#")),
);
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);
const PEERS = {
  4: { mac: MAC, address: IpAddress.parse("10.9.0.2"), port: 40_000 },
  6: { mac: MAC, address: IpAddress.parse("fd09::2"), port: 40_000 },
};

for (const [rfc, cases] of Object.entries(ALL_CASES)) {
  for (const { title, script, family } of cases) {
    const name = `${rfc} ${title}`;
    const fails = knownFailing.delete(name);
    test(fails ? `known to fail: ${name}` : name, async () => {
      const peer = PEERS[family ?? 4];
      const host = new ScriptHost(peer);
      const run = runScript(script, host, peer, rfc);
      if (fails)
        await assert.rejects(run, ScriptFailure, "it passes: remove it from known-failing.txt");
      else await run;
      await host.close();
    });
  }
}

test("known-failing.txt lists only cases that exist", () => {
  assert.deepEqual([...knownFailing], []);
});
