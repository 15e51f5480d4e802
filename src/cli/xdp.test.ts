import assert from "node:assert/strict";
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
  assert.match(talk, /wrong\.json: entry 0: expected members local, remote, got/);
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
