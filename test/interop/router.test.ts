/**
 * A Linux router with a smaller MTU between a Millrace host and a Linux server: traceroute both
 * ways, path-MTU discovery by UDP and TCP, both families, with and without offloads of the TAP.
 *
 *     Millrace 10.7.0.2 -- tap -- Linux router 10.7.0.1, 10.8.0.1 -- veth, MTU 1300 -- 10.8.0.2
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ECONNREFUSED, EMSGSIZE } from "../../src/base/errno.js";
import { ErrorEntry } from "../../src/ip/error-queue.js";
import { content } from "../support/content.js";
import { enterNamespace, ip, Namespace, sysctl } from "../support/namespace.js";
import { runAsync } from "../support/run-async.js";
import { HOST4, HOST6, LINUX4, LINUX6, type TapHost, tapHost } from "../support/tap-host.js";
import { PATIENCE_MS, until } from "../support/until.js";

await enterNamespace(
  import.meta.url,
  "ip",
  "traceroute",
  "tracepath",
  "socat",
  "python3",
  "tshark",
);

const PEER = fileURLToPath(new URL("../../../test/support/linux-tcp.py", import.meta.url));
const FAR4 = "10.8.0.2";
const FAR6 = "fd08::2";
/** Further addresses of the far end: the MTU of a path to an address is learnt once. */
const OTHER4 = "10.8.0.3";
const OTHER6 = "fd08::3";
const FAMILIES = [
  {
    family: 4,
    host: HOST4,
    gateway: LINUX4,
    near: "10.8.0.1",
    far: FAR4,
    other: OTHER4,
    headerBytes: 20,
  },
  {
    family: 6,
    host: HOST6,
    gateway: LINUX6,
    near: "fd08::1",
    far: FAR6,
    other: OTHER6,
    headerBytes: 40,
  },
] as const;
const MTU = 1300;
const BYTES = 3_000_000;

const far = makeFar();
after(() => far.close());
const inFar = (...command: string[]): Promise<string> =>
  runAsync("ip", "netns", "exec", far.name, ...command);

/** The far end, and this namespace a router to it. */
function makeFar(): Namespace {
  const made = Namespace.create();
  const pair = ["mtu", `${MTU}`, "type", "veth", "peer", "name", "far", "mtu", `${MTU}`];
  ip("link", "add", "near", ...pair, "netns", made.name);
  ip("address", "add", "10.8.0.1/24", "dev", "near");
  ip("address", "add", "fd08::1/64", "dev", "near", "nodad");
  ip("link", "set", "near", "up");
  made.run("ip", "address", "add", `${FAR4}/24`, "dev", "far");
  made.run("ip", "address", "add", `${FAR6}/64`, "dev", "far", "nodad");
  made.run("ip", "address", "add", `${OTHER4}/24`, "dev", "far");
  made.run("ip", "address", "add", `${OTHER6}/64`, "dev", "far", "nodad");
  made.run("ip", "link", "set", "far", "up");
  // Its segments may be as long as an Ethernet takes: the path is left to be discovered.
  made.run("ip", "route", "add", "default", "via", "10.8.0.1", "advmss", "1460");
  made.run("ip", "-6", "route", "add", "default", "via", "fd08::1", "advmss", "1440");
  sysctl("net.ipv4.ip_forward", 1);
  sysctl("net.ipv6.conf.all.forwarding", 1);
  // Errors are limited to one a second and peer, which is too slow for many tests in a row.
  sysctl("net.ipv4.icmp_ratelimit", 0);
  sysctl("net.ipv6.icmp.ratelimit", 0);
  return made;
}

for (const offload of [true, false]) {
  describe(offload ? "with offloads" : "without offloads", () => {
    let link: TapHost;
    before(() => {
      link = tapHost({ offload });
    });
    after(() => link.close());

    for (const { family, host, gateway, near, far: farAddress, other, headerBytes } of FAMILIES) {
      test(`Linux traces the route to ${host} through the router`, async () => {
        const awake = await link.host.udp();
        const out = await inFar("traceroute", "-n", "-q", "1", "-w", "30", host);
        awake.close();
        assert.match(out, new RegExp(`1 +${near} .*\n +2 +${host} `));
      });

      test(`the host traces the route to ${farAddress} from the errors that it gets`, async () => {
        const hops: string[] = [];
        const entry = new ErrorEntry();
        for (let ttl = 1; ttl < 5 && entry.errno !== ECONNREFUSED; ttl++) {
          const probe = await link.host.udp({ ttl });
          probe.socket.set("IP_RECVERR", 1);
          probe.socket.set("IPV6_RECVERR", 1);
          await probe.send("probe", { address: farAddress, port: 33_434 + ttl });
          await until(() => probe.socket.takeErrorEntry(entry), `an answer to TTL ${ttl}`);
          assert.equal(Buffer.from(entry.data).toString(), "probe");
          hops.push(entry.offender.toString());
          probe.close();
        }
        assert.deepEqual(hops, [gateway, farAddress]);
      });

      test(`a TCP transfer to ${farAddress} uses the path's MTU`, async () => {
        const port = 5010 + family;
        const args = ["python3", PEER, "sink", farAddress, `${port}`];
        const sink = far.background(...(args as [string, ...string[]]));
        await sink.waitFor(/ready/);
        const connection = await link.host.connect({ address: farAddress, port });
        const digest = createHash("sha256");
        for (const block of content(BYTES)) {
          digest.update(block);
          connection.write(block);
        }
        await until(() => connection.bytesWritten === BYTES, "everything taken");
        const info = connection.info();
        connection.end();
        await sink.waitFor(/[0-9a-f]{64} \d+/);
        assert.match(sink.output, new RegExp(`${digest.digest("hex")} ${BYTES}`));
        assert.equal(info?.pmtuBytes, MTU);
        assert.equal(info?.sndMss, MTU - headerBytes - 32); // with timestamps
        if (!offload) assertSegmentBytes(link, family, port);
      });

      test(`a UDP socket learns the MTU of the path to ${other}`, async () => {
        const channel = await link.host.udp();
        channel.socket.set("IP_MTU_DISCOVER", 2); // IP_PMTUDISC_DO: never fragment
        channel.socket.set("IP_RECVERR", 1);
        channel.socket.set("IPV6_RECVERR", 1);
        channel.connect(other, 9);
        await channel.send(new Uint8Array(1400));
        const entry = new ErrorEntry();
        await until(() => channel.socket.takeErrorEntry(entry), "an error");
        assert.deepEqual([entry.errno, entry.info], [EMSGSIZE, MTU]);
        channel.socket.takeError();
        assert.equal(channel.socket.get("IP_MTU"), MTU);
        const most = MTU - headerBytes - 8;
        await assert.rejects(channel.send(new Uint8Array(most + 1)), { code: "EMSGSIZE" });
        await channel.send(new Uint8Array(most));
        channel.close();
      });

      test(`larger datagrams pass in fragments to ${farAddress} and back`, async () => {
        const listen = `UDP${family}-RECVFROM:500${family},fork`;
        const server = far.background("socat", "-d", "-d", listen, "EXEC:cat");
        await server.waitFor(/receiving on|starting/);
        const channel = await link.host.udp();
        const to = { address: farAddress, port: 5000 + family };
        const data = Buffer.alloc(4000, "fragments ");
        const heard = channel.receive({ signal: AbortSignal.timeout(PATIENCE_MS) });
        await channel.send(data, to);
        assert.deepEqual((await heard)?.data, data);
        channel.close();
        await server.stop();
      });

      test(`Linux finds the MTU of the path to ${host}`, async () => {
        const awake = await link.host.udp();
        const out = await inFar("tracepath", `-${family}`, "-n", "-m", "4", host);
        awake.close();
        assert.match(out, new RegExp(`pmtu ${MTU}\n[^]* ${host} [^]*reached`));
      });
    }

    test("the router's own address answers the host", async () => {
      for (const address of [LINUX4, LINUX6]) {
        assert.equal((await link.host.ping(address, { count: 1 })).replies.length, 1);
      }
    });
  });
}

/** What left the host after the router had complained was as long as the path carries. */
function assertSegmentBytes(link: TapHost, family: 4 | 6, port: number): void {
  const [field, header] = family === 4 ? ["ip.len", 0] : ["ipv6.plen", 40];
  const sent = link.recording.fieldOf(field, `tcp.dstport == ${port} && tcp.len > 0`);
  const lengths = sent.map((length) => Number(length) + header);
  const settled = lengths.slice(lengths.length / 2);
  assert.ok(settled.length > BYTES / MTU / 3, `${settled.length} segments`);
  assert.equal(Math.max(...settled), MTU);
}
