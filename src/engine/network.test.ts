import assert from "node:assert/strict";
import { test } from "node:test";
import { PlacedError } from "../base/placed-error.js";
import { simLink } from "../nic/sim-link.js";
import { createPool } from "../socket/create-host.js";
import { Network, type NetworkNic } from "./network.js";
import { ValuePlaces } from "./value-places.js";

const PLACES = new ValuePlaces(
  "/etc/e.json",
  "nics[0]",
  new Map([
    ["nics[0]", { line: 3, column: 14 }],
    ["nics[0].gateway", { line: 4, column: 20 }],
    ["nics[0].mtuBytes", { line: 5, column: 21 }],
  ]),
);

/** What the network says of one interface. */
function refused(settings: Partial<NetworkNic>): Error {
  const pool = createPool({ smallSlots: 64, bigSlots: 64 });
  const { a } = simLink(pool, pool);
  const plain = {
    device: a,
    addresses: ["10.5.0.2/24"],
    gateway: null,
    routes: [],
    mtuBytes: null,
  };
  try {
    const options = { pool, nowUs: 0, nics: [{ ...plain, ...settings }], network: "10.77.0.1/16" };
    new Network({ ...options, maxConnections: 16 });
  } catch (error) {
    return error as Error;
  } finally {
    pool.close();
  }
  throw new Error("the network took it");
}

test("what is wrong with an interface of a file is told with its place there", () => {
  const gateway = refused({ gateway: "10.6.0.1", places: PLACES });
  assert.ok(gateway instanceof PlacedError);
  assert.match(
    gateway.message,
    /^\/etc\/e\.json:4:20: nics\[0\]\.gateway: .*gateway 10\.6\.0\.1: expected one/,
  );
  const routes = [{ to: "10.9.0.0/16", via: "10.7.0.1" }];
  assert.match(
    refused({ routes, places: PLACES }).message,
    /^\/etc\/e\.json:3:14: nics\[0\]\.routes\[0\]\.via: .*10\.7\.0\.1/,
  );
  assert.match(
    refused({ mtuBytes: 9_000, places: PLACES }).message,
    /^\/etc\/e\.json:5:21: nics\[0\]\.mtuBytes: .*expected at most 1500, the MTU of \S+; got 9000$/,
  );
  assert.ok(!(refused({ gateway: "10.6.0.1" }) instanceof PlacedError));
});
