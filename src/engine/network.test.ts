import assert from "node:assert/strict";
import { test } from "node:test";
import { PlacedError } from "../base/placed-error.js";
import { simLink } from "../nic/sim-link.js";
import { createPool } from "../socket/create-host.js";
import { Network, type NetworkNic } from "./network.js";

const PLACE = { file: "/etc/e.json", line: 3, column: 14 };

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
  const gateway = refused({ gateway: "10.6.0.1", place: PLACE });
  assert.ok(gateway instanceof PlacedError);
  assert.match(
    gateway.message,
    /^\/etc\/e\.json:3:14: nics\[0\]: .*gateway 10\.6\.0\.1: expected one/,
  );
  const routes = [{ to: "10.9.0.0/16", via: "10.7.0.1" }];
  assert.match(
    refused({ routes, place: PLACE }).message,
    /^\/etc\/e\.json:3:14: nics\[0\]: .*10\.7\.0\.1/,
  );
  assert.ok(!(refused({ gateway: "10.6.0.1" }) instanceof PlacedError));
});
