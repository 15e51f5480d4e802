import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { CaptureReader } from "../wire/capture-reader.js";
import { type FakeWorld, fakeWorld } from "./fake-world.js";
import { run } from "./main.js";

const vector = (name: string): string =>
  fileURLToPath(new URL(`../../../test/vectors/captures/${name}`, import.meta.url));
const TCP = vector("zeek/tcp.pcap");
const CUT_SHORT = vector("zeek/modbus-and-non-modbus-p502.pcap");

const scratch = mkdtempSync(join(tmpdir(), "millrace-cli-"));
after(() => rmSync(scratch, { recursive: true }));

/** Runs `millrace capture` with arguments; status, lines and talk. */
async function capture(
  args: string[],
  world: FakeWorld = fakeWorld(),
): Promise<{ status: number; lines: string[]; talk: string }> {
  const status = await run(["capture", ...args], world);
  return { status, lines: world.outText().trimEnd().split("\n"), talk: world.errText() };
}

test("one line a packet, then how many there were", async () => {
  const { status, lines, talk } = await capture(["-r", TCP, "-tt"]);
  assert.equal(status, 0);
  assert.equal(lines.length, 12);
  assert.equal(
    lines[2],
    "1071580905.035724 IP 128.232.110.120.34855 > 66.35.250.204.80: Flags [.], ack 1, win 5840, options [nop,nop,TS val 87269149 ecr 422613849], length 0",
  );
  assert.equal(talk, `reading from ${TCP}, link-type EN10MB (Ethernet)\n12 packets captured\n`);
});

test("a filter and a count", async () => {
  const { status, lines, talk } = await capture(["-r", TCP, "-t", "-c2", "src", "port", "80"]);
  assert.equal(status, 0);
  assert.equal(lines.length, 2);
  assert.match(lines[1]!, /^IP 66\.35\.250\.204\.80 > .* ack 497, win 6432/);
  assert.match(talk, /\n2 packets captured\n5 packets received by filter\n$/);
});

test("JSON: one object a packet, with the fields that are known", async () => {
  const { lines } = await capture(["-r", vector("tcpdump/802.1ad_QinQ.pcap"), "--json", "-c", "1"]);
  const { time, text, ...rest } = JSON.parse(lines[0]!) as Record<string, unknown>;
  assert.match(String(time), /^\d+\.\d{9}$/);
  assert.match(String(text), /^ARP, Request who-has 172\.21\.79\.100/);
  assert.deepEqual(rest, {
    link: "EN10MB",
    length: 64,
    captured: 64,
    ethernet: { src: "00:20:d2:5a:fb:3f", dst: "ff:ff:ff:ff:ff:ff" },
    vlan: 200,
    protocol: "arp",
    src: "172.21.79.97",
    dst: "172.21.79.100",
  });
});

test("hexadecimal after the line, without and with the link-level header", async () => {
  const arp = vector("zeek/arp-who-has.pcap");
  const { lines } = await capture(["-r", arp, "-t", "-x", "-c1"]);
  assert.equal(lines[1], "\t0x0000:  0001 0800 0604 0001 7831 c1c6 3fc2 0a00");
  assert.equal(lines.length, 3);
  const whole = await capture(["-r", arp, "-t", "-XX", "-c1"]);
  assert.match(whole.lines[1]!, /^\t0x0000: {2}ffff ffff ffff /);
  assert.match(whole.lines[1]!, / {2}\.{6}/);
});

test("a broken file: all packets before the place, the place, and status 1", async () => {
  const { status, lines, talk } = await capture(["-r", CUT_SHORT]);
  assert.equal(status, 1);
  assert.equal(lines.length, 70);
  assert.match(
    talk,
    /modbus.*: at byte 6113: the file is cut short: expected a packet of 82 bytes/,
  );
});

test("a file that is not there: status 1", async () => {
  const { status, talk } = await capture(["-r", join(scratch, "nothing")]);
  assert.equal(status, 1);
  assert.match(talk, /nothing: no such file/);
});

test("from the standard input, in any chunks", async () => {
  const file = readFileSync(TCP);
  const input = [file.subarray(0, 7), file.subarray(7, 900), file.subarray(900)];
  const { status, lines, talk } = await capture(["-r", "-"], fakeWorld({ input }));
  assert.equal(status, 0);
  assert.equal(lines.length, 12);
  assert.match(talk, /^reading from the standard input, /);
});

test("written files hold the selected packets, the format follows the name", async () => {
  for (const [name, magic] of [
    ["few.pcap", "4d3cb2a1"],
    ["few.pcapng", "0a0d0d0a"],
  ] as const) {
    const path = join(scratch, name);
    const { status, lines } = await capture(["-r", TCP, "-w", path, "src port 80"]);
    assert.equal(status, 0);
    assert.deepEqual(lines, [""]);
    const file = readFileSync(path);
    assert.equal(file.subarray(0, 4).toString("hex"), magic);
    const reader = new CaptureReader();
    reader.push(file);
    reader.end();
    let n = 0;
    while (reader.next()) n++;
    assert.equal(n, 6);
    assert.equal(reader.error, null);
  }
});

test("a file without packets is still a capture file", async () => {
  const path = join(scratch, "none.pcap");
  await capture(["-r", TCP, "-w", path, "udp"]);
  assert.equal(readFileSync(path).length, 24);
});

test("--print prints what is written; -w - writes to the standard output", async () => {
  const both = await capture(["-r", TCP, "-w", join(scratch, "a.pcapng"), "--print"]);
  assert.equal(both.lines.length, 12);
  const world = fakeWorld();
  await run(["capture", "-r", TCP, "-w", "-", "--format", "pcap"], world);
  assert.equal(Buffer.from(world.outBytes().subarray(0, 4)).toString("hex"), "4d3cb2a1");
});

test("pcap cannot hold two link types: said, with what can", async () => {
  const first = fakeWorld();
  await run(["capture", "-r", TCP, "-w", "-"], first);
  const second = fakeWorld();
  await run(["capture", "-r", vector("zeek/linuxsll-arp.pcap"), "-w", "-"], second);
  const path = join(scratch, "mixed.pcapng");
  writeFileSync(path, Buffer.concat([first.outBytes(), second.outBytes()]));
  const { status, talk } = await capture(["-r", path, "-w", join(scratch, "mixed.pcap")]);
  assert.equal(status, 1);
  assert.match(talk, /have EN10MB and LINUX_SLL; write pcapng instead \(--format pcapng\)/);
  const again = await capture(["-r", path, "-w", join(scratch, "again.pcapng")]);
  assert.equal(again.status, 0);
  assert.match(again.talk, /24 packets captured/);
});

test("an output that cannot be opened: status 1", async () => {
  const { status, talk } = await capture(["-r", TCP, "-w", join(scratch, "no/such/folder")]);
  assert.equal(status, 1);
  assert.match(talk, /no such file or directory/);
});

test("a reader that goes away ends the run quietly", async () => {
  const { status, lines } = await capture(["-r", TCP], fakeWorld({ outWrites: 0 }));
  assert.equal(status, 0);
  assert.deepEqual(lines, [""]);
});

test("Ctrl-C ends a run that waits for its input, with the summary", {
  timeout: 120_000,
}, async () => {
  const endless = async function* (): AsyncGenerator<Uint8Array> {
    yield readFileSync(TCP);
    await new Promise(() => {});
  };
  const world = { ...fakeWorld(), input: endless() };
  const done = run(["capture", "-r", "-"], world);
  setImmediate(() => setImmediate(() => world.press()));
  assert.equal(await done, 0);
  assert.match(world.errText(), /12 packets captured\n$/);
});

test("pcap:FILE is a device that replays the file", async () => {
  const { status, lines, talk } = await capture(["-i", `pcap:${vector("zeek/arp-who-has.pcap")}`]);
  assert.equal(status, 0);
  assert.equal(lines.length, 2);
  assert.match(talk, /2 packets captured\n$/);
  const gone = await capture(["-i", "pcap:/no/such/file"]);
  assert.equal(gone.status, 1);
  assert.match(gone.talk, /^millrace capture: pcap:\/no\/such\/file: ENOENT/);
});

test("wrong usage: status 2, what was expected, and where to look", async () => {
  const cases: [string[], RegExp][] = [
    [[], /expected one of -r FILE and -i DEVICE/],
    [["-r", TCP, "-i", "tap0"], /expected one of -r FILE and -i DEVICE/],
    [["-r", TCP, "-c", "0"], /-c: expected a whole number above 0/],
    [["-r", TCP, "--format", "zip"], /Allowed choices are pcapng, pcap/],
    [["-r", TCP, "--reed"], /unknown option '--reed'/],
    [
      ["-r", TCP, "tcp prt"],
      /column 5: expected `and`, `or` or the end, got `prt`\n {2}tcp prt\n {6}\^/,
    ],
    [["-i", "nothing:x"], /expected a device like tap:tap0, got "nothing:x"; kinds: tap:NAME/],
  ];
  for (const [args, expected] of cases) {
    const { status, talk } = await capture(args);
    assert.equal(status, 2, args.join(" "));
    assert.match(talk, expected);
  }
});
