import assert from "node:assert/strict";
import { test } from "node:test";
import { IpAddress } from "../base/ip-address.js";
import { parseScript, type ScriptSegment } from "./script.js";
import { buildFrame, formatSegment, readFrame, type ScriptEnd } from "./script-segment.js";
import { difference } from "./scripted-peer.js";

const PEER: ScriptEnd = {
  mac: Uint8Array.of(2, 0, 0, 0, 0, 2),
  address: IpAddress.parse("10.9.0.2"),
  port: 40_000,
  iss: 1_000_000,
};
const HOST: ScriptEnd = {
  mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
  address: IpAddress.parse("10.9.0.1"),
  port: 8080,
  iss: -5,
};

function segment(line: string): ScriptSegment {
  const action = parseScript(`< ${line}`)[0]!.action;
  assert.ok(action.kind === "send");
  return action.segment;
}

const LINES = [
  "S 0:0(0) win 65535 <mss 1000,sackOK,wscale 7>",
  "P. 1:101(100) ack 1 win 512",
  "PU. 1:2(1) ack 9 win 1 urg 1",
  ". 1:1(0) ack 1 win 5 <sack 101:201 301:401>",
  "R. 5:5(0) ack 6 win 0",
];

for (const line of LINES) {
  test(`what is built is read back: ${line}`, () => {
    const frame = buildFrame(segment(line), PEER, HOST, 0);
    const seen = readFrame(frame, PEER.iss, HOST.iss);
    assert.ok(seen !== null);
    assert.equal(seen.checksumIsValid, true);
    assert.equal(formatSegment({ ...seen, flags: segment(line).flags }), line);
    assert.equal(difference(segment(line), seen), null);
  });
}

const DIFFERENCES: readonly (readonly [wanted: string, seen: string, message: string])[] = [
  ["S. 0:0(0) ack 1 win 5", "S 0:0(0) win 5", "expected flags S."],
  [". 2:2(0) ack 1 win 5", ". 1:1(0) ack 1 win 5", "expected seq 2"],
  [". 1:11(10) ack 1 win 5", ". 1:1(0) ack 1 win 5", "expected length 10"],
  [". 1:1(0) ack 2 win 5", ". 1:1(0) ack 1 win 5", "expected ack 2"],
  [". 1:1(0) ack 1 win 6", ". 1:1(0) ack 1 win 5", "expected win 6"],
  ["S 0:0(0) win 5 <mss 1000>", "S 0:0(0) win 5 <mss 999>", "expected option mss 1000"],
  ["S 0:0(0) win 5 <mss 1000>", "S 0:0(0) win 5 <mss 1000,sackOK>", "expected no option sackOK"],
];

for (const [wanted, seen, message] of DIFFERENCES) {
  test(`a difference is named: ${message}`, () => {
    const got = readFrame(buildFrame(segment(seen), PEER, HOST, 0), PEER.iss, HOST.iss);
    assert.equal(difference(segment(wanted), got!), message);
  });
}

test("a payload that is not the pattern is noticed", () => {
  const frame = buildFrame(segment(". 1:11(10) ack 1 win 5"), PEER, HOST, 0);
  const seen = readFrame(frame, PEER.iss, HOST.iss)!;
  seen.payload[3]! ^= 1;
  assert.equal(
    difference(segment(". 1:11(10) ack 1 win 5"), seen),
    "byte 3 of the payload is wrong",
  );
});
