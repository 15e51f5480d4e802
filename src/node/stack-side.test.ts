/** What a device that cannot be opened, or whose peer is not there, tells the program. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { StackSide } from "./stack-side.js";

test("an error says which setting it is of, and has the code of what went wrong", () => {
  assert.throws(() => StackSide.open({ nic: "packet:mr-nowhere" }, false), {
    name: "Error",
    message: /^nic \(MILLRACE_NIC\): .*mr-nowhere/,
    code: "ENODEV",
    errno: -19,
  });
  const nic = `memif:@millrace-side-${process.pid},role=server`;
  const addresses = ["10.9.0.2/24"];
  assert.throws(() => StackSide.open({ nic, addresses, gateways: ["10.10.0.1"] }, false), {
    message: /^gateways \(MILLRACE_GATEWAY\): /,
    code: "ENETUNREACH",
  });
});

test("a memif client waits for its server for as long as it is told to", () => {
  const nic = `memif:@millrace-nobody-${process.pid}`;
  const side = StackSide.open({ nic, addresses: ["10.9.0.3/24"], linkWait: 0 }, false);
  assert.equal(side.device?.isUp, false);
  side.host.close();
});
