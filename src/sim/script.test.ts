import assert from "node:assert/strict";
import { test } from "node:test";
import { ANY_TIME_US, parseScript, ScriptError } from "./script.js";

test("a segment line holds time, flags, range, numbers and options", () => {
  const [step] = parseScript(
    "+0.25 < FP. 1:101(100) ack 7 win 512 <mss 1000,sackOK,TS val 9 ecr last>",
  );
  assert.deepEqual(step, {
    line: 1,
    text: "+0.25 < FP. 1:101(100) ack 7 win 512 <mss 1000,sackOK,TS val 9 ecr last>",
    fromUs: 250_000,
    toUs: 250_000,
    action: {
      kind: "send",
      segment: {
        words: [],
        flags: "FP.",
        seq: 1,
        length: 100,
        ack: 7,
        window: 512,
        urgent: null,
        options: [
          { kind: "mss", value: 1000 },
          { kind: "sackOK" },
          { kind: "TS", val: 9, ecr: null },
        ],
      },
    },
  });
});

test("an empty option list means none, three dots mean any", () => {
  const [none, any] = parseScript("> . 1:1(0) ack 1 <>\n> . 1:1(0) ack 1 <...>");
  assert.deepEqual(none?.action.kind === "expect" && none.action.segment.options, []);
  assert.equal(any?.action.kind === "expect" && any.action.segment.options, null);
});

test("several SACK blocks are read in order", () => {
  const [step] = parseScript("> . 1:1(0) ack 1 <nop,nop,sack 101:201 301:401>");
  assert.deepEqual(step?.action.kind === "expect" && step.action.segment.options?.at(-1), {
    kind: "sack",
    blocks: [
      [101, 201],
      [301, 401],
    ],
  });
});

test("times may be ranges or open", () => {
  const [range, open] = parseScript("+0.1~0.4 > . 1:1(0)\n+* > . 1:1(0)");
  assert.deepEqual([range?.fromUs, range?.toUs], [100_000, 400_000]);
  assert.deepEqual([open?.fromUs, open?.toUs], [0, ANY_TIME_US]);
});

test("calls have arguments and an expected result", () => {
  const [step] = parseScript("+1 read 100 = ECONNRESET // the RST");
  assert.deepEqual(step?.action, {
    kind: "call",
    name: "read",
    args: ["100"],
    result: "ECONNRESET",
  });
});

test("ICMP errors and silence have lines of their own", () => {
  const steps = parseScript("< icmp frag-needed 1000\n+0.5 > nothing");
  assert.deepEqual(steps[0]?.action, { kind: "icmp", name: "frag-needed", value: 1000, seq: null });
  assert.deepEqual(steps[1]?.action, { kind: "nothing" });
});

const MISTAKES: readonly (readonly [script: string, message: RegExp])[] = [
  ["\n< X 0:0(0)", /^s:2:3: expected flags.*got "X 0:0\(0\)"/],
  ["< S 0:5(4)", /expected a range whose length is 5/],
  ["< S 0:0(0) <mss>", /expected an option: mss N/],
  ["< S 0:0(0) <mss 5", /expected `>` after the options/],
  ["< S 0:0(0) hello", /expected the end of the line, got "hello"/],
  ["+1 =", /expected `<`, `>` or the name of a call/],
];

for (const [script, message] of MISTAKES) {
  test(`a mistake names its place: ${JSON.stringify(script)}`, () => {
    assert.throws(
      () => parseScript(script, "s"),
      (e) => e instanceof ScriptError && message.test(e.message),
    );
  });
}

test("words in brackets, raw options, connections and quoted sequence numbers are read", () => {
  const [segment, conn, icmp] = parseScript(
    "< [badsum ce] - 1:1(0) <raw fd02>\nconn 2\n< icmp frag-needed 1000 seq 5",
  ).map((step) => step.action);
  assert.ok(segment?.kind === "send");
  assert.deepEqual(segment.segment.words, ["badsum", "ce"]);
  assert.equal(segment.segment.flags, "-");
  assert.deepEqual(segment.segment.options, [{ kind: "raw", hex: "fd02" }]);
  assert.deepEqual(conn, { kind: "conn", number: 2 });
  assert.deepEqual(icmp, { kind: "icmp", name: "frag-needed", value: 1000, seq: 5 });
});
