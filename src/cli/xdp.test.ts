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

test("run counts verdicts, the same with both engines", async () => {
  for (const engine of ["interp", "wasm"]) {
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
