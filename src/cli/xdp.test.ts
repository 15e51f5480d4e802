import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { fakeWorld } from "./fake-world.js";
import { run } from "./main.js";

const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const object = (name: string): string => root(`fuzz/corpus/elf/${name}.o`);
const TCP = root("test/vectors/captures/zeek/tcp.pcap");

const scratch = mkdtempSync(join(tmpdir(), "millrace-xdp-cli-"));
after(() => rmSync(scratch, { recursive: true }));

async function xdp(...args: string[]): Promise<{ status: number; out: string; talk: string }> {
  const world = fakeWorld();
  const status = await run(["xdp", ...args], world);
  return { status, out: world.outText(), talk: world.errText() };
}

test("run counts verdicts, the same with all engines", async () => {
  for (const engine of ["interp", "wasm", "trace"]) {
    const { status, out } = await xdp(
      "run",
      object("ipv6_filter"),
      "--in",
      TCP,
      "--engine",
      engine,
    );
    assert.equal(status, 0);
    assert.equal(out, "XDP_DROP              12\n");
  }
});

test("run --each --json is one document; tables are in the order of their keys, every time", async () => {
  const args = ["run", object("ddos_guard"), "--in", TCP, "--in", TCP, "--each", "--json"];
  const { status, out } = await xdp(...args);
  assert.equal(status, 0);
  const { each, packets, verdicts, maps } = JSON.parse(out);
  assert.equal(packets, 24);
  assert.equal(each.length, 24);
  assert.deepEqual(each[0], { packet: 1, verdict: "XDP_PASS", lengthBytes: 74 });
  assert.deepEqual(verdicts, { XDP_PASS: 16, XDP_DROP: 8 });
  assert.deepEqual(
    maps.sources.map(({ key }: { key: string }) => key),
    ["66.35.250.204", "128.232.110.120"],
  );
  assert.equal((await xdp(...args)).out, out);
});

test("a program sees the capture's time and the same random numbers in run and trace", async () => {
  const file = join(scratch, "time.s");
  const text = [".license GPL", ".map times hash 8 8 64"];
  text.push("call ktime_get_ns", "*(u64 *)(r10 - 8) = r0");
  text.push("call get_prandom_u32", "*(u64 *)(r10 - 16) = r0");
  text.push("r1 = times ll", "r2 = r10", "r2 += -8", "r3 = r10", "r3 += -16", "r4 = 0");
  text.push("call map_update_elem", "r0 = 2", "exit");
  writeFileSync(file, `${text.join("\n")}\n`);
  const runs: string[] = [];
  for (const engine of ["interp", "wasm", "trace"]) {
    const { out } = await xdp("run", file, "--in", TCP, "--engine", engine, "--json");
    runs.push(JSON.stringify(JSON.parse(out).maps.times));
  }
  assert.deepEqual(new Set(runs).size, 1);
  // 2003-04-16, when the capture was made.
  const first = Buffer.from(JSON.parse(runs[0]!)[0].key, "hex").readBigUInt64LE();
  assert.equal(new Date(Number(first / 1_000_000n)).getUTCFullYear() < 2020, true);
});

test("--specialise builds what an array holds into the traces", async () => {
  const file = join(scratch, "constant.s");
  const text = [".map numbers array 4 4 1", "*(u32 *)(r10 - 4) = 0", "r2 = r10", "r2 += -4"];
  text.push("r1 = numbers ll", "call map_lookup_elem", "if r0 == 0 goto out");
  text.push("r0 = *(u32 *)(r0 + 0)", "r0 &= 1", "r0 += 1", "out:", "exit");
  writeFileSync(file, `${text.join("\n")}\n`);
  const plain = await xdp("trace", file, "--in", TCP);
  const special = await xdp("trace", file, "--in", TCP, "--specialise", "numbers");
  assert.match(plain.out, /return .*numbers/);
  assert.match(special.out, /return XDP_DROP/);
  const run = ["run", file, "--in", TCP, "--specialise", "numbers"];
  assert.equal((await xdp(...run, "--engine", "trace")).out, "XDP_DROP              12\n");
  assert.match((await xdp(...run)).talk, /--specialise is for --engine trace/);
  const other = ["trace", object("ddos_guard"), "--in", TCP, "--specialise", "sources"];
  assert.match((await xdp(...other)).talk, /expected an array, and sources is none/);
});

test("packets on the standard output have it for themselves", async () => {
  const world = fakeWorld();
  const args = ["xdp", "run", object("ddos_guard"), "--in", TCP, "--out", "-", "--json", "--each"];
  assert.equal(await run(args, world), 0);
  assert.equal(JSON.parse(world.errText()).each.length, 12);
  const file = join(scratch, "again.pcapng");
  writeFileSync(file, world.outBytes());
  const again = await xdp("run", object("ddos_guard"), "--in", file);
  assert.equal(again.out, "XDP_PASS              12\n");
});

test("an empty capture is no verdicts and a word about it", async () => {
  const file = join(scratch, "empty.pcap");
  writeFileSync(file, readFileSync(TCP).subarray(0, 24));
  const { status, out, talk } = await xdp("run", object("ddos_guard"), "--in", file);
  assert.deepEqual([status, out], [0, ""]);
  assert.match(talk, /empty\.pcap: there are no packets/);
});

test("trace shows the paths, what they are taken for and what they do", async () => {
  const { status, out } = await xdp("trace", object("ipv6_filter"), "--in", TCP);
  assert.equal(status, 0);
  const lines = out.split("\n").map((line) => line.replace(/ +#.*$/, ""));
  assert.deepEqual(lines, [
    "trace 0: 12 packets (100.0 %), 14 instructions, 448 bits of TCAM",
    "  when  length >= 14",
    "   and  packet[12:14] != 0x86dd",
    "  return XDP_DROP",
    "",
  ]);
  assert.match(
    out,
    /# ipv6_filter\.c:8: if \(eth->h_proto == bpf_htons\(ETH_P_IPV6\)\) return XDP_PASS;/,
  );
});

test("trace --json has conditions and effects with their source lines", async () => {
  const { out } = await xdp("trace", object("ddos_guard"), "--in", TCP, "--json");
  const { packets, hits, traced, verdicts, traces } = JSON.parse(out);
  assert.deepEqual({ packets, hits, traced }, { packets: 12, hits: 10, traced: 2 });
  assert.deepEqual(verdicts, { XDP_PASS: 12 });
  assert.equal(traces.length, 2);
  assert.equal(traces[0].packets + traces[1].packets, 12);
  const texts = traces.map(({ condition }: { condition: { text: string }[] }) =>
    condition.map(({ text }) => text),
  );
  for (const text of texts) assert.ok(text.includes("packet[12:14] == 0x0800"), text.join());
  assert.match(traces[0].condition[0].source, /^packet\.h:\d+: /);
});

test("trace says which paths stay with the host, and why", async () => {
  const { status, out } = await xdp("trace", object("ddos_guard"), "--in", TCP, "--in", TCP);
  assert.equal(status, 0);
  assert.match(
    out,
    /^ {2}host {2}bpf_ringbuf_reserve gives memory in \w+ to write to, .* # ddos_guard\.c:\d+: /m,
  );
});

test("check and eval say which calls keep packets on the host, and why", async () => {
  const guard = object("ddos_guard");
  const { out } = await xdp("check", guard);
  const why = "bpf_ringbuf_reserve gives memory in reports to write to";
  assert.match(
    out,
    new RegExp(`^ {6}no trace through instruction \\d+, .*ddos_guard\\.c:\\d+: ${why}`, "m"),
  );
  const [judgement] = JSON.parse((await xdp("check", guard, "--json")).out);
  assert.deepEqual(
    judgement.hostOnly.map((one: { reason: string }) => one.reason.startsWith(why)),
    [true],
  );
  assert.deepEqual(
    JSON.parse((await xdp("check", object("tunnel"), "--json")).out)[0].hostOnly,
    [],
  );
  const table = await xdp("eval", guard, "--in", TCP, "--tables", "paths", "--packets", "200");
  assert.match(
    table.out,
    new RegExp(
      `^T3 Why packets are the host's\nprogram.*\nddos_guard +ordinary +\\d+ {2}${why}.*\\(ddos_guard\\.c:`,
      "m",
    ),
  );
});

test("nothing waits for the stop of a capture that was read", async () => {
  const world = fakeWorld();
  await run(["xdp", "run", object("ipv6_filter"), "--in", TCP, "--in", TCP], world);
  assert.equal(getEventListeners(world.stop, "abort").length, 0);
});

test("trace says what is wrong with its arguments", async () => {
  const { status, talk } = await xdp("trace", object("ipv6_filter"), "--in", "/nowhere.pcap");
  assert.equal(status, 1);
  assert.match(talk, /nowhere\.pcap/);
});

test("run --json has verdicts and maps by their types", async () => {
  const { out } = await xdp("run", object("ddos_guard"), "--in", TCP, "--json");
  const { verdicts, maps } = JSON.parse(out);
  assert.deepEqual(verdicts, { XDP_PASS: 12 });
  assert.deepEqual(maps[".bss"][0].value, { seen: 12 });
  assert.deepEqual(maps.sources.map((entry: { key: string }) => entry.key).sort(), [
    "128.232.110.120",
    "66.35.250.204",
  ]);
});

test("run --map fills a map from a file, in the form that --dump prints", async () => {
  const file = join(scratch, "tunnels.json");
  const value = { local: "192.0.2.1", remote: "192.0.2.2" };
  writeFileSync(file, JSON.stringify([{ key: "66.35.250.204", value }]));
  const out = join(scratch, "out.pcap");
  const args = ["run", object("tunnel"), "--in", TCP, "--map", `tunnels=${file}`, "--out", out];
  const { status, out: text } = await xdp(...args, "--json");
  assert.equal(status, 0);
  const { verdicts, maps } = JSON.parse(text);
  assert.deepEqual(verdicts, { XDP_TX: 6, XDP_PASS: 6 });
  assert.deepEqual(maps.tunnels, [{ key: "66.35.250.204", value }]);
  assert.equal(readFileSync(out).length, readFileSync(TCP).length + 6 * 20);
});

test("a map file that is wrong says where and what was expected", async () => {
  const file = join(scratch, "wrong.json");
  writeFileSync(file, JSON.stringify([{ key: "66.35.250.204", value: { lokal: "1.2.3.4" } }]));
  const { status, talk } = await xdp(
    "run",
    object("tunnel"),
    "--in",
    TCP,
    "--map",
    `tunnels=${file}`,
  );
  assert.equal(status, 1);
  assert.match(talk, /wrong\.json:1:2: entry 0: expected members local, remote, got/);
});

test("numbers that a map cannot hold are refused where they stand, never cut", async () => {
  const file = join(scratch, "numbers.json");
  const verdicts = `.rodata=${file}`;
  const run = ["run", object("ddos_guard"), "--in", TCP, "--map", verdicts];
  for (const [window, expected] of [
    ["4294967296", "window: expected -2147483648 to 4294967295, got 4294967296"],
    ["1.5", "window: expected a whole number, got 1.5"],
    ['"99999999999999999999"', 'got "99999999999999999999"'],
    ["18446744073709551615", "window: expected a number beyond 2\\^53 as text"],
    ["null", "window: expected [a-z_0-9 ]+, got null"],
    ["{}", "window: expected [a-z_0-9 ]+, got {}"],
  ] as const) {
    writeFileSync(file, `[{"key": "00000000",\n  "value": {"window": ${window}}}]`);
    const { status, talk } = await xdp(...run);
    assert.equal(status, 1, window);
    assert.match(talk, new RegExp(`numbers\\.json:1:2: entry 0: .*${expected}`));
  }
  writeFileSync(file, '[{"key": "00000000", "value": {"window": 64}, "flags": 1}]');
  assert.match(
    (await xdp(...run)).talk,
    /numbers\.json:1:2: entry 0: expected .* alone, got "flags"/,
  );
});

test("maps of programs are filled with programs, by their names", async () => {
  const file = join(scratch, "stages.json");
  const args = ["run", object("vlan_gate"), "-p", "vlan_gate", "--in", TCP];
  const filled = [...args, "--map", `stages=${file}`, "--json"];
  writeFileSync(file, '[{"key": 1, "value": "strip"}]');
  const { out, status } = await xdp(...filled);
  assert.equal(status, 0);
  const plain = JSON.parse((await xdp(...args, "--json")).out);
  assert.notDeepEqual(JSON.parse(out).maps.taken, plain.maps.taken);
  for (const [entry, expected] of [
    [
      { key: 1, value: 2 },
      /stages\.json:1:2: entry 0: expected a program of the object: .*strip.*; got 2/,
    ],
    [{ key: 1, value: "strop" }, /expected a program of the object: .*; got "strop"/],
    [{ key: 9, value: "strip" }, /entry 0: stages takes it not: E2BIG/],
  ] as const) {
    writeFileSync(file, JSON.stringify([entry]));
    const { status: refused, talk } = await xdp(...filled);
    assert.equal(refused, 1);
    assert.match(talk, expected);
  }
});

test("check says ok with numbers, or why not with status 1", async () => {
  const good = await xdp("check", object("vlan_gate"));
  assert.equal(good.status, 0);
  assert.match(good.out, /^ok {4}strip \(xdp\): \d+ instructions, \d+ steps, 16 bytes of stack$/m);
  const bytes = readFileSync(object("ipv6_filter"));
  // The comparison of the packet's end becomes goto +0: the read behind it is not allowed then.
  const at = bytes.indexOf(Buffer.from([0x2d]), 64);
  bytes.set([0x05, 0, 0, 0, 0, 0, 0, 0], at);
  const broken = join(scratch, "broken.o");
  writeFileSync(broken, bytes);
  const bad = await xdp("check", broken);
  assert.equal(bad.status, 1);
  assert.match(
    bad.out,
    /^fail {2}ipv6_filter \(xdp\): instruction \d+, .*ipv6_filter\.c:\d+\n.*compare with data_end/,
  );
});

test("check takes several objects, and those behind one that cannot be read", async () => {
  const files = [object("vlan_gate"), join(scratch, "nowhere.o"), object("ipv6_filter")];
  const { status, out, talk } = await xdp("check", ...files);
  assert.equal(status, 1);
  assert.match(talk, /nowhere\.o/);
  assert.match(out, /vlan_gate\.o: strip \(xdp\): .*\n[\s\S]*ipv6_filter\.o: ipv6_filter \(xdp\)/);
  const json = JSON.parse((await xdp("check", ...files.slice(2), "--json")).out);
  assert.deepEqual([json.length, json[0].object, json[0].accepted], [1, files[2], true]);
});

test("disasm --json has an object for each instruction", async () => {
  const { out } = await xdp("disasm", object("tunnel"), "--json");
  const [{ program, instructions }] = JSON.parse(out);
  assert.equal(program, "tunnel");
  assert.equal(instructions[0].pc, 0);
  assert.equal(instructions[0].function, "tunnel");
  assert.ok(instructions.some(({ map }: { map?: string }) => map === "tunnels"));
  assert.ok(instructions.every((one: { instruction: string }) => one.instruction !== ""));
  assert.ok(instructions.some(({ source }: { source?: string }) => source?.includes("ip->")));
});

test("options say what is wrong with them, and where to look", async () => {
  const run = ["run", object("tunnel"), "--in", TCP];
  for (const [args, expected] of [
    [["--max-entries", "nomap=4"], /there is no map nomap; the object has: by_protocol, tunnels/],
    [["--btf", TCP], /--btf .*tcp\.pcap: \.BTF has no header/],
    [["--map", `tunnels=${scratch}`], /: is a directory$/m],
  ] as const) {
    const { status, talk } = await xdp(...run, ...args);
    assert.equal(status, 1);
    assert.match(talk, expected);
  }
  const broken = join(scratch, "broken.json");
  writeFileSync(broken, '[\n  {"key": }\n]\n');
  const { talk } = await xdp(...run, "--map", `tunnels=${broken}`);
  assert.match(talk, /broken\.json:2:11: expected a value; got/);
  const twice = await xdp("debug", object("tunnel"), "--in", TCP, "--in", TCP);
  assert.equal(twice.status, 2);
  assert.match(twice.talk, /--in is there twice\.[\s\S]*see millrace xdp debug --help/);
});

test("disasm prints source lines and maps between instructions", async () => {
  const { status, out } = await xdp("disasm", object("tunnel"));
  assert.equal(status, 0);
  assert.match(out, /^tunnel \(xdp\):$/m);
  assert.match(out, /^; tunnel\.c:\d+ {2}__u32 protocol = ip->protocol;$/m);
  assert.match(out, /map_fd 0 ll {2}# tunnels$/m);
  assert.match(out, /^decapsulate:$/m);
});

test("a program is asked for when there are several", async () => {
  const { status, talk } = await xdp("run", object("vlan_gate"), "--in", TCP);
  assert.equal(status, 1);
  assert.match(
    talk,
    /say which program: --program NAME; XDP programs of the object: strip, mark, vlan_gate|vlan_gate, strip, mark/,
  );
});

test("what is no object is said", async () => {
  const { status, talk } = await xdp("check", TCP);
  assert.equal(status, 1);
  assert.match(talk, /millrace xdp check: .*tcp\.pcap: this is no ELF file/);
});

const EVAL = ["eval", object("ddos_guard"), object("ipv6_filter"), "--in", TCP, "--packets", "500"];

test("eval --json has every table, and no read of a map is stale", async () => {
  const { status, out } = await xdp(...EVAL, "--sizes", "1,16", "--json");
  assert.equal(status, 0);
  const { packets, programs } = JSON.parse(out);
  assert.equal(packets, 500);
  assert.deepEqual(
    programs.map((one: { program: string }) => one.program),
    ["ddos_guard", "ipv6_filter"],
  );
  const [guard, filter] = programs;
  assert.equal(filter.paths.ordinary.paths, 1);
  const hits = filter.cache.find(
    (row: { entries: number; policy: string }) => row.entries === 16 && row.policy === "lru",
  );
  assert.equal(hits.hitRate, 499 / 500);
  assert.ok(filter.vliw.cycles < filter.vliw.executed);
  assert.equal(guard.nic.packets, 500);
  assert.ok(guard.state.length > 0);
  for (const row of guard.state) assert.equal(row.staleReads, 0);
  assert.ok(guard.attack.length > 0);
});

test("eval prints the tables that are asked for, as text or Markdown", async () => {
  const { out } = await xdp(...EVAL, "--tables", "cache", "--sizes", "2", "--policies", "lru");
  assert.match(out, /^T3 Hits in percent by entries, ordinary packets, an entry a trace\n/);
  assert.match(out, /\nipv6_filter +lru +99\.80\n/);
  assert.match(
    out,
    /^T3 TCAM bits in use at most, by entries, ordinary packets, an entry a trace, any policy\n/m,
  );
  const markdown = await xdp(...EVAL, "--tables", "vliw", "--markdown");
  assert.match(markdown.out, /^### T5 .*\n\n\| program \| words \|/);
});

test("eval limits caches by bits of TCAM: one that is too small for a condition never has it", async () => {
  const caches = ["--tables", "cache,nic", "--hostile", "0", "--policies", "lru"];
  const ipv6Filter = ["eval", object("ipv6_filter"), "--in", TCP, "--packets", "500"];
  const { out } = await xdp(...ipv6Filter, ...caches, "--sizes", "16", "--tcam-sizes", "447,448");
  assert.match(out, /an entry a trace, any policy\nprogram +16\nipv6_filter +448\n/);
  assert.match(
    out,
    /^T3 Hits in percent by TCAM bits, .*\nprogram +policy +447 +448\nipv6_filter +lru +0\.00 +99\.80\n/m,
  );
  const json = JSON.parse((await xdp(...ipv6Filter, ...caches, "--tcam", "447", "--json")).out);
  assert.equal(json.programs[0].nic.onHost, 500);
  const row = json.programs[0].cache.find((one: { tcamBits?: number }) => one.tcamBits === 1024);
  assert.deepEqual([row.entries, row.mostEntries, row.mostTcamBits], [undefined, 1, 448]);
});

test("what is no pair of a map and a file or a number is a usage error", async () => {
  for (const [option, value, complaint] of [
    ["--map", "tunnels", "Expected NAME=FILE, a map's name and a JSON file."],
    ["--map", "tunnels=", "Expected NAME=FILE, a map's name and a JSON file."],
    ["--max-entries", "tunnels=0", "Expected MAP=NUMBER, the number being at least 1."],
    ["--max-entries", "tunnels", "Expected MAP=NUMBER, the number being at least 1."],
  ] as const) {
    for (const command of ["run", "trace", "eval", "debug", "serve"]) {
      const { status, talk } = await xdp(command, object("tunnel"), "--in", TCP, option, value);
      assert.equal(status, 2, `${command} ${option} ${value}: ${talk}`);
      assert.ok(talk.includes(complaint), talk);
    }
  }
});

test("eval says what is wrong with its options", async () => {
  for (const [option, value, complaint] of [
    ["--tables", "nonsense", "Expected some of paths,cache,vliw,nic,state,attack, got nonsense."],
    ["--sizes", "4,0", "Expected a number of at least 1, got 0."],
    ["--tcam-sizes", "1k", "Expected a number of at least 1, got 1k."],
    ["--tcam", "0", "Expected a number of at least 1, got 0."],
    ["--policies", "mru", "Expected some of fifo,lru,"],
  ] as const) {
    const { status, talk } = await xdp(...EVAL, option, value);
    assert.equal(status, 2);
    assert.ok(talk.includes(`: option '${option} `), talk);
    assert.ok(talk.includes(complaint), talk);
  }
});

test("a program is text, too; mistakes have their place; it is read by names", async () => {
  const file = join(scratch, "drop.s");
  writeFileSync(file, "  r0 = 1 ; XDP_DROP\n  exit\n");
  assert.deepEqual(await xdp("run", file, "--in", TCP), {
    status: 0,
    out: "XDP_DROP              12\n",
    talk: "",
  });
  const { out } = await xdp("disasm", file, "--names");
  assert.equal(out, "main (xdp):\n     0: mov r0, 1\n     1: exit\n");
  writeFileSync(file, "  r0 = 1\n  exeunt\n");
  const { status, talk } = await xdp("check", file);
  assert.equal(status, 1);
  assert.match(talk, /drop\.s:2:3: expected an instruction .* got exeunt/);
});
