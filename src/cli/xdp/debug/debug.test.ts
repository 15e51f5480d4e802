import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseObject } from "../../../ebpf/object.js";
import { fakeWorld } from "../../fake-world.js";
import { run } from "../../main.js";
import { Captured } from "../page/captured.js";
import { registersOf } from "./describe.js";
import { Packets } from "./packets.js";

const root = (path: string): string =>
  fileURLToPath(new URL(`../../../../../${path}`, import.meta.url));
const object = (name: string): string => root(`fuzz/corpus/elf/${name}.o`);
const TCP = root("test/vectors/captures/zeek/tcp.pcap");

const scratch = mkdtempSync(join(tmpdir(), "millrace-debug-"));
after(() => rmSync(scratch, { recursive: true }));
const tunnels = join(scratch, "tunnels.json");
const endpoint = { local: "192.0.2.1", remote: "192.0.2.2" };
writeFileSync(tunnels, JSON.stringify([{ key: "66.35.250.204", value: endpoint }]));

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly talk: string;
}

async function debug(args: readonly string[], input: string[] = []): Promise<Ran> {
  const world = fakeWorld({ input: input.map((text) => Buffer.from(text)) });
  const files = [object("tunnel"), "--in", TCP, "--map", `tunnels=${tunnels}`];
  const status = await run(["xdp", "debug", ...files, ...args], world);
  return { status, out: world.outText(), talk: world.errText() };
}

// biome-ignore lint/suspicious/noExplicitAny: what each command prints.
async function asJson(commands: string): Promise<any[]> {
  const { status, out, talk } = await debug(["-e", commands, "--json"]);
  assert.equal(status, 0, talk);
  return out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

test("a packet starts before its first instruction and ends with a verdict", async () => {
  const { status, out } = await debug(["-e", "continue"]);
  assert.equal(status, 0);
  assert.match(
    out,
    /^packet 1, step 0, tunnel, tunnel\.c:\d+: int tunnel\(struct xdp_md \*ctx\) {$/m,
  );
  assert.match(out, /^ {5}0: r\d = /m);
  assert.match(out, /^packet 1, after \d+ instructions: XDP_TX$/m);
});

test("breakpoints by instruction, line and function; delete takes one away", async () => {
  const [, , byFunction] = await asJson("break encapsulate; continue");
  assert.equal(byFunction.function, "encapsulate");
  const byPc = await asJson(`break ${byFunction.pc}; continue; continue`);
  assert.equal(byPc[2].step, byFunction.step);
  assert.equal(byPc[3].verdict, "XDP_TX");
  const { line } = byFunction;
  const byLine = await asJson(`break tunnel.c:${line}; continue`);
  assert.equal(byLine[2].pc, byFunction.pc);
  const gone = await asJson("break encapsulate; break 3; delete 1; continue; delete; continue");
  assert.equal(gone[4].pc, 3);
  assert.deepEqual(gone[5].breakpoints, []);
  assert.equal(gone[6].verdict, "XDP_TX");
});

test("next goes over calls, finish out of them, where shows them", async () => {
  const over = await asJson("break encapsulate; continue; where; finish");
  assert.deepEqual(
    over[3].callers.map((one: { function: string }) => one.function),
    ["tunnel"],
  );
  assert.equal(over[4].function, "tunnel");
  const [, ...states] = await asJson(
    Array.from({ length: 12 }, () => "next")
      .join(";")
      .concat("; where"),
  );
  for (const { function: name, verdict } of states)
    assert.ok(verdict !== undefined || name === "tunnel");
});

test("registers have their types, and lead to bytes and entries", async () => {
  const shown = await asJson("print; break encapsulate; continue; print r2; print r10; print r1");
  const [, all, , , value, stack, context] = shown;
  assert.deepEqual(
    all.registers
      .filter((one: { type: string }) => one.type !== "unset")
      .map((one: { text: string }) => one.text),
    ["ctx", "fp"],
  );
  assert.equal(value.register.text, 'tunnels["66.35.250.204"]');
  assert.equal(value.bytes, "c0000201c0000202");
  assert.deepEqual(value.entry.value, endpoint);
  assert.equal(stack.register.text, "fp");
  assert.equal(context.register.type, "context");
});

test("back shows what was; forwards again is the same", async () => {
  const path = await asJson(
    "step 30; print; step 60; back 60; print; continue; back; back 200; where",
  );
  assert.deepEqual(path[2].registers, path[5].registers);
  assert.equal(path[1].step, path[4].step);
  assert.ok(path[7].step > 90);
  assert.equal(path[8].step, 0);
});

test("packet, stack and map show what the program wrote so far", async () => {
  const shown = await asJson(
    "packet; map by_protocol; continue; packet; map by_protocol; run; map by_protocol",
  );
  const [, before, empty, , afterwards, counted, , kept] = shown;
  assert.equal(afterwards.bytes.length, before.bytes.length + 40);
  assert.deepEqual(empty.entries, []);
  assert.deepEqual(counted.entries, [{ key: 6, value: [1] }]);
  assert.deepEqual(kept.entries, counted.entries);
  const { out } = await debug(["-e", "continue; back 40; stack; list; map; help"]);
  assert.match(out, /^=> +\d+: /m);
  assert.match(out, /^tunnels: 1 of 256$/m);
  assert.match(out, /^finish, f +runs until/m);
});

test("finish, next and continue at the end of a packet stay there", async () => {
  const [, done, ...same] = await asJson("finish; finish; next; continue");
  assert.equal(done.verdict, "XDP_TX");
  for (const state of same) assert.deepEqual({ ...state, command: done.command }, done);
});

test("commands come from a file and from a standard input, with comments", async () => {
  const file = join(scratch, "commands");
  writeFileSync(file, "# to the end\n\ncontinue\nquit\nnonsense\n");
  const byFile = await debug(["--commands", file]);
  const byInput = await debug([], ["# to the e", "nd\ncon", "tinue\nquit\nnonsense\n"]);
  assert.equal(byFile.status, 0);
  assert.deepEqual(byInput, byFile);
});

test("a command that is wrong ends a script with what was expected", async () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["jump", /there is no command jump; there are: step, next, /],
    ["print r11", /expected r0 to r10, got r11/],
    ["step x", /expected a number from 1 on, got x/],
    ["break 99999", /there is no instruction 99999/],
    ["break nothing", /a function \(tunnel, .*\), got nothing/],
    ["break tunnel.c:1", /line 1 has no code; the next one is \d+/],
    ["break other.c:1", /no code is of other\.c; there are: /],
    ["map nothing", /there is no map nothing; there are: by_protocol, tunnels/],
    ["continue; step", /the packet is done/],
    ["run 13", /there is no packet 13; the capture has 12/],
    ["delete 7", /there is no breakpoint 7/],
  ];
  for (const [commands, expected] of wrong) {
    const { status, talk } = await debug(["-e", commands]);
    assert.equal(status, 1, commands);
    assert.match(talk, expected);
  }
  for (const wrong of ["0", "x", "1.5"]) {
    const { status, talk } = await debug(["--packet", wrong]);
    assert.equal(status, 2);
    assert.match(talk, /'--packet <n>' argument '\S+' is invalid\. expected a number from 1 on/);
  }
  assert.match((await debug(["--packet", "13"])).talk, /there is no packet 13/);
});

test("every packet takes the steps that the interpreter counts, and types fit values", () => {
  const captured = new Captured(readFileSync(TCP));
  for (const [file, program] of [
    ["tunnel", "tunnel"],
    ["ddos_guard", "ddos_guard"],
    ["ipv6_filter", "ipv6_filter"],
    ["vlan_gate", "vlan_gate"],
  ] as const) {
    const packets = new Packets(parseObject(readFileSync(object(file))), captured, {
      program,
      maxEntries: {},
      fill: () => {},
    });
    for (const number of [1, 7, 12]) {
      const stepper = packets.open(number);
      const { runtime } = stepper.instance;
      stepper.goOn(() => false);
      const verdict = stepper.ending?.verdict;
      const steps = stepper.place!.step;
      for (let step = 0; step <= steps; step++) {
        stepper.goTo(step);
        assert.equal(stepper.place?.step, step);
        for (const { type, text, value } of registersOf(stepper)) {
          const at = Number(value);
          if (type === "packet")
            assert.ok(at >= runtime.dataAt - 256 && at <= runtime.dataEnd + 64);
          if (type === "stack") assert.ok(at >= runtime.stackAt && at < runtime.stackAt + 8192);
          if (type === "map") assert.ok(runtime.mapByAddress.has(at), text);
          if (type === "map value") assert.doesNotMatch(text, /^map value at/);
        }
      }
      const { instance } = packets.open(number);
      assert.equal(instance.run(captured.packets[number - 1]!.bytes).verdict, verdict);
      assert.equal(instance.executed, steps + 1);
    }
  }
});
