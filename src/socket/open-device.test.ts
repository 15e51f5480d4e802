/** Specifications of devices that need no privilege to be read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceKinds, openDevice, xdpOptions } from "./open-device.js";

test("an AF_XDP device is an interface, with its queue and mode if wanted", () => {
  assert.deepEqual(xdpOptions("eth1"), { interface: "eth1" });
  assert.deepEqual(xdpOptions("eth1,queue=3,mode=native"), {
    interface: "eth1",
    queue: 3,
    mode: "native",
  });
  assert.deepEqual(xdpOptions("eth1,shared"), { interface: "eth1", shared: true });
});

test("other words are refused, and it is said what was expected", () => {
  for (const text of ["eth1,queue=x", "eth1,queue", "eth1,mode=fast", "eth1,shared=1", "eth1,"]) {
    assert.throws(
      () => xdpOptions(text),
      /expected queue=N, mode=auto\|native\|generic, shared after eth1/,
    );
  }
  assert.throws(() => openDevice("xdp:"), /expected a device like/);
});

test("every kind is named in the help text", () => {
  for (const kind of ["tap", "memif", "xdp", "packet", "pcap"])
    assert.match(deviceKinds(), RegExp(kind));
});
