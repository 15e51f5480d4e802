/**
 * `millrace perf` against the real sockperf, in both roles, over UDP and TCP, through the kernel's
 * loopback and through a TAP to a Millrace stack. What one end sent, the other end has counted.
 *
 * UDP loads are of fewer messages than a default receive buffer holds, so that a stall of the machine
 * costs none.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Background, background, enterNamespace, ip } from "../support/namespace.js";
import { runWithInput } from "../support/run-async.js";

await enterNamespace(import.meta.url, "ip", "sockperf");

const MILLRACE = fileURLToPath(new URL("../../../bin/millrace.js", import.meta.url));

ip("tuntap", "add", "dev", "tap0", "mode", "tap", "vnet_hdr");
ip("address", "add", "10.0.0.1/24", "dev", "tap0");
ip("link", "set", "tap0", "up");

/** A medium: what Millrace's end is told, its address, and the address of sockperf's end. */
interface Medium {
  readonly name: string;
  readonly nic: readonly string[];
  readonly millrace: string;
  readonly linux: string;
}
const MEDIA: readonly Medium[] = [
  { name: "loopback", nic: [], millrace: "127.0.0.1", linux: "127.0.0.1" },
  {
    name: "TAP",
    nic: ["--nic", "tap0", "--address", "10.0.0.2/24"],
    millrace: "10.0.0.2",
    linux: "10.0.0.1",
  },
];

const perf = (...args: string[]): Background =>
  background(process.execPath, MILLRACE, "perf", ...args, "--json");

const objectOf = (program: Background) =>
  JSON.parse(program.output.split("\n").find((line) => line.startsWith("{")) ?? "null");

/** Runs a client of sockperf's to its end; what it says. */
const sockperf = (...args: string[]): Promise<string> => runWithInput("", "sockperf", ...args);

/** The two numbers of `[Total Run] … SentMessages=101; ReceivedMessages=101`. */
function totals(output: string): { sent: number; received: number } {
  const match = /\[Total Run\].*SentMessages=(\d+); ReceivedMessages=(\d+)/.exec(output);
  assert.ok(match, output);
  return { sent: Number(match[1]), received: Number(match[2]) };
}

for (const { name, nic, millrace, linux } of MEDIA) {
  for (const protocol of [[], ["--tcp"]]) {
    const what = `${protocol.length === 0 ? "UDP" : "TCP"} over ${name}`;

    test(`sockperf's client and Millrace's server, ${what}`, async () => {
      const server = perf("server", ...nic, ...protocol, "--block");
      await server.waitFor(/listening on/);
      const common = ["-i", millrace, ...protocol, "-t", "1"];
      const pingPong = await sockperf("ping-pong", ...common, "--mps", "200");
      const { sent, received } = totals(pingPong);
      assert.ok(received > 0, pingPong);
      // The end of the time may come between a message and its reply.
      assert.ok(sent - received <= 1, pingPong);
      assert.match(
        pingPong,
        /dropped messages = 0; # duplicated messages = 0; # out-of-order messages = 0/,
      );
      const stream = await sockperf("throughput", ...common, "--mps", "150", "-m", "500");
      const streamed = Number(/Total of (\d+) messages sent/.exec(stream)?.[1]);
      await server.stop("SIGINT");
      const r = objectOf(server);
      assert.equal(r.received, sent + streamed, `${pingPong}${stream}`);
      assert.equal(r.answered, sent);
      assert.equal(r.peers, 2);
      assert.deepEqual([r.lost, r.duplicated, r.out_of_order, r.strange], [0, 0, 0, 0]);
    });

    test(`Millrace's clients and sockperf's server, ${what}`, async () => {
      const server = background("sockperf", "server", "-i", linux, ...protocol);
      await server.waitFor(/to block on socket/);
      const common = [...nic, "-i", linux, ...protocol, "--warmup", "0", "-t", "60", "--block"];
      const clients: readonly string[][] = [
        ["ping-pong", "-m", "64", "-c", "150"],
        ["under-load", "-m", "100", "-c", "150", "--mps", "500", "--reply-every", "10"],
        ["throughput", "-m", "1000", "-c", "150", "--mps", "2000"],
      ];
      const wanted = [150, 15, 0];
      for (const [i, [test, ...args]] of clients.entries()) {
        const client = perf(test!, ...common, ...args);
        assert.equal(await client.ended, 0, client.output);
        const r = objectOf(client);
        assert.equal(r.sent, 150);
        assert.equal(r.received, wanted[i]);
        assert.deepEqual([r.lost, r.duplicated, r.out_of_order], [0, 0, 0]);
      }
      await server.stop("SIGINT");
      assert.match(server.output, /Total 450 messages received and handled/);
    });
  }
}

test("two ends of Millrace's: a stack behind a TAP, and kernel sockets", async () => {
  const server = perf(
    "server",
    "--nic",
    "tap0",
    "--address",
    "10.0.0.2/24",
    "--address",
    "fd00::2/64",
    "--block",
  );
  await server.waitFor(/listening on/);
  const client = perf(
    "ping-pong",
    "-i",
    "10.0.0.2",
    "--warmup",
    "0",
    "-c",
    "100",
    "-t",
    "60",
    "--block",
  );
  assert.equal(await client.ended, 0, client.output);
  await server.stop("SIGINT");
  assert.equal(objectOf(client).received, 100);
  assert.equal(objectOf(server).answered, 100);
});

test("two processes joined by memif: what is sent as fast as it goes all comes", async () => {
  const path = `memif:@millrace-test-${process.pid}`;
  const server = perf(
    "server",
    "--nic",
    `${path},role=server`,
    "--address",
    "10.9.0.1/24",
    "--block",
  );
  await server.waitFor(/listening on/);
  const near = ["--nic", path, "--address", "10.9.0.2/24", "-i", "10.9.0.1", "--warmup", "0"];
  const counts: Readonly<Record<string, number>> = { "ping-pong": 100, throughput: 20_000 };
  for (const test of Object.keys(counts)) {
    const client = perf(test, ...near, "-c", `${counts[test]}`, "-t", "60", "-m", "64", "--block");
    assert.equal(await client.ended, 0, client.output);
    assert.equal(objectOf(client).sent, counts[test]);
  }
  await server.stop("SIGINT");
  const r = objectOf(server);
  assert.equal(r.received, 20_100);
  assert.deepEqual([r.lost, r.duplicated, r.out_of_order], [0, 0, 0]);
});

test("a group: sockperf's client, Millrace's server over kernel sockets", async () => {
  ip("route", "add", "224.0.0.0/4", "dev", "lo");
  const group = ["-i", "224.4.4.4", "--mc-loopback-enable"];
  const server = perf("server", ...group, "--mc-if", "lo", "--block");
  await server.waitFor(/listening on/);
  const own = ["--mc-rx-if", "127.0.0.1", "--mc-tx-if", "127.0.0.1"];
  const output = await sockperf("ping-pong", ...group, ...own, "-t", "1", "--mps", "100");
  const { sent, received } = totals(output);
  assert.ok(received > 0 && sent - received <= 1, output);
  await server.stop("SIGINT");
  const r = objectOf(server);
  assert.equal(r.received, sent); // its warm-up messages are not counted
  assert.equal(r.lost, 0);
});

test("a group: Millrace's client over kernel sockets, sockperf's server", async () => {
  const group = ["-i", "224.4.4.4", "--mc-loopback-enable"];
  const server = background(
    "sockperf",
    "server",
    ...group,
    "--mc-rx-if",
    "127.0.0.1",
    "--mc-tx-if",
    "127.0.0.1",
  );
  await server.waitFor(/to block on socket/);
  const client = perf(
    "pp",
    ...group,
    "--mc-if",
    "lo",
    "--warmup",
    "0",
    "-c",
    "100",
    "-t",
    "60",
    "--block",
  );
  assert.equal(await client.ended, 0, client.output);
  assert.equal(objectOf(client).received, 100);
  await server.stop("SIGINT");
  assert.match(server.output, /Total 100 messages received and handled/);
});
