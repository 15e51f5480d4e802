import assert from "node:assert/strict";
import { test } from "node:test";
import * as errno from "./errno.js";
import { NetError } from "./errors.js";

test("an error has the shape of Node's system errors", () => {
  const e = new NetError(errno.ECONNREFUSED, { syscall: "connect", address: "10.0.0.1", port: 80 });
  assert.equal(e.code, "ECONNREFUSED");
  assert.equal(e.errno, -111);
  assert.equal(e.syscall, "connect");
  assert.equal(e.address, "10.0.0.1");
  assert.equal(e.port, 80);
  assert.equal(e.name, "NetError");
  assert.equal(e.message, "connect ECONNREFUSED 10.0.0.1:80: connection refused");
  assert.ok(e instanceof Error);
});

test("negated numbers, IPv6 addresses, hints and causes are taken", () => {
  const cause = new Error("below");
  const e = new NetError(-errno.EADDRINUSE, {
    address: "fd00::1",
    port: 53,
    hint: "is another server running?",
    cause,
  });
  assert.equal(e.errno, -98);
  assert.equal(
    e.message,
    "EADDRINUSE [fd00::1]:53: address already in use; is another server running?",
  );
  assert.equal(e.cause, cause);
});

test("every error number has its name and a text", () => {
  const { errnoName, errnoText, ...numbers } = errno;
  for (const [name, value] of Object.entries(numbers)) {
    assert.equal(errnoName(value), name);
    assert.equal(errnoName(-value), name);
    assert.notEqual(errnoText(value), "unknown error", name);
  }
  assert.equal(errnoName(4095), "errno 4095");
  assert.equal(errnoText(4095), "unknown error");
});
