/** `millrace perf` on the simulated link: both ends in this process, nothing else needed. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fakeWorld } from "./fake-world.js";
import { run } from "./main.js";

const folder = mkdtempSync(join(tmpdir(), "millrace-perf-"));
after(() => rmSync(folder, { recursive: true }));

const SIM = ["--nic", "sim", "--warmup", "0"];
/** By number, so that a slow machine finds the same. */
const UNTIL = (count: number): string[] => ["-c", `${count}`, "-t", "60"];

async function perf(...args: string[]) {
  const world = fakeWorld();
  const status = await run(["perf", ...args], world);
  return { status, out: world.outText(), err: world.errText() };
}

async function json(...args: string[]) {
  const { status, out, err } = await perf(...args, "--json");
  assert.equal(status, 0, err);
  return JSON.parse(out);
}

for (const protocol of [[], ["--tcp"]]) {
  for (const address of ["10.0.0.2", "fd00::2"]) {
    test(`ping-pong ${protocol} with ${address}: every message is answered`, async () => {
      const r = await json("ping-pong", ...SIM, ...protocol, "-i", address, ...UNTIL(500));
      assert.equal(r.sent, 500);
      assert.equal(r.received, r.sent);
      assert.deepEqual([r.lost, r.duplicated, r.out_of_order], [0, 0, 0]);
      const l = r.latency;
      assert.equal(l.observations, r.received);
      const order = [l.min_us, l.p25_us, l.p50_us, l.p75_us, l.p90_us, l.p99_us, l.p99_9_us];
      order.push(l.p99_99_us, l.p99_999_us, l.max_us);
      assert.deepEqual(
        order,
        order.toSorted((a, b) => a - b),
      );
      assert.ok(l.min_us > 0);
    });
  }
  test(`under-load ${protocol}: the rate is not exceeded, every tenth message answered`, async () => {
    const load = ["--mps", "2000", "--reply-every", "10", "-m", "200", "-r", "50"];
    const r = await json("ul", ...SIM, ...protocol, ...UNTIL(400), ...load);
    assert.equal(r.sent, 400);
    assert.equal(r.replies_wanted, 40);
    assert.ok(r.seconds >= 0.19, "at most 2,000 messages a second");
    assert.equal(r.received, r.replies_wanted);
  });
  test(`throughput ${protocol} asks for no replies`, async () => {
    const r = await json("throughput", ...SIM, ...protocol, ...UNTIL(1_000), "-m", "1000");
    assert.equal(r.replies_wanted, 0);
    assert.equal(r.latency, undefined);
    assert.equal(r.sent, 1_000);
  });
}

test("--full-rtt is said in the report", async () => {
  const r = await json("ping-pong", ...SIM, ...UNTIL(20), "--full-rtt");
  assert.equal(r.latency.convention, "round trip");
});

test("playback sends what the file says, and --csv, --plot and --plot-file write it down", async () => {
  const data = join(folder, "load.csv");
  const [csv, svg] = [join(folder, "log.csv"), join(folder, "plot.svg")];
  writeFileSync(data, "# time, size\n0, 64\n0.01, 1400\n0.02, 64\n0.03, 9000\n");
  const files = ["--data-file", data, "--csv", csv, "--plot", "--plot-file", svg];
  const { status, out, err } = await perf("playback", ...SIM, "--reply-every", "1", ...files);
  assert.equal(status, 0, err);
  assert.match(out, /sent {8}4; replies wanted 4, received 4/);
  assert.match(out, /from µs observations/);
  const lines = readFileSync(csv, "utf8").trim().split("\n");
  assert.equal(lines[0], "packet, txTime(sec), rxTime(sec), latency(usec)");
  assert.equal(lines.length, 5);
  assert.match(lines[1]!, /^0, \d+\.\d{9}, \d+\.\d{9}, \d+\.\d{3}$/);
  assert.match(readFileSync(svg, "utf8"), /^<svg xmlns[\s\S]*<rect[\s\S]*<\/svg>\n$/);
});

test("--plot-file makes a page, too", async () => {
  const html = join(folder, "plot.html");
  assert.equal((await perf("pp", ...SIM, ...UNTIL(50), "--plot-file", html)).status, 0);
  assert.match(readFileSync(html, "utf8"), /^<!doctype html>[\s\S]*<svg[\s\S]*p99_99_us/);
});

test("messages to a group are answered to the group", async () => {
  const r = await json("ping-pong", ...SIM, "-i", "239.1.2.3", ...UNTIL(50));
  assert.equal(r.sent, 50);
  assert.equal(r.received, r.sent);
});

test("Ctrl-C prints what was found so far", async () => {
  const world = fakeWorld();
  const running = run(["perf", "ping-pong", ...SIM, "-t", "60", "--json"], world);
  setTimeout(world.press, 300);
  assert.equal(await running, 0);
  const r = JSON.parse(world.outText());
  assert.equal(r.cut_short, true);
  assert.ok(r.seconds < 60);
});

test("nobody answers: status 1, and what to do", async () => {
  const silent = ["-i", "10.0.0.77", ...UNTIL(2), "--reply-timeout", "0.02"];
  const { status, err } = await perf(
    "ping-pong",
    "--nic",
    "kernel",
    ...silent,
    "-i",
    "127.0.0.1",
    "-p",
    "9",
  );
  assert.equal(status, 1);
  assert.match(err, /no reply came from 127\.0\.0\.1 port 9: is a server running there/);
});

const WRONG: [string[], RegExp][] = [
  [["ping-pong"], /expected the server's address: -i ADDRESS/],
  [["ping-pong", "-i", "nobody"], /-i: expected an IPv4 or IPv6 address, got nobody/],
  [["ping-pong", "-i", "10.0.0.1", "-m", "13"], /expected a whole number from 14 to 65507/],
  [
    ["ping-pong", "-i", "10.0.0.1", "-t", "0"],
    /expected seconds, such as 10 or 0\.5, at least 0\.001/,
  ],
  [["ping-pong", "-i", "10.0.0.1", "--nic", "tap0"], /--nic tap0 needs --address, such as/],
  [
    ["ping-pong", "-i", "10.0.0.1", "--nic", "floppy:a", "--address", "10.0.0.2/24"],
    /expected a device like/,
  ],
  [
    ["ping-pong", "-i", "10.0.0.1", "--nic", "tap0", "--address", "10.0.0.2"],
    /with its prefix length/,
  ],
  [["ping-pong", "-i", "239.1.1.1", "--tcp"], /groups have UDP only/],
  [["ping-pong", "-i", "10.0.0.1", "--plot-file", "x.png"], /ends in \.svg or \.html/],
  [["server", "--nic", "sim"], /has its server inside/],
  [["server", "--address", "10.0.0.1/24"], /are for a NIC of Millrace's/],
  [["playback", "-i", "10.0.0.1"], /required option '--data-file <file>' not specified/],
  [["throughput", "--plot"], /unknown option '--plot'/],
];
for (const [args, message] of WRONG) {
  test(`wrong usage: perf ${args.join(" ")}`, async () => {
    const { status, err } = await perf(...args);
    assert.equal(status, 2);
    assert.match(err, message);
  });
}

test("help begins with examples", async () => {
  for (const sub of [[], ["server"], ["ping-pong"], ["playback"]]) {
    const { status, out } = await perf(...sub, "--help");
    assert.equal(status, 0);
    assert.match(out, /^Examples:\n {2}millrace perf /);
  }
});
