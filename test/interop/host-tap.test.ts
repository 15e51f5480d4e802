/** The promise interface over TAP: this process's own Linux sockets are the peers. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import * as net from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { createHost, type Host, openTap, Runner } from "../../src/index.js";
import { enterNamespace, ip } from "../support/namespace.js";

await enterNamespace(import.meta.url, "ping", "curl");

const run = promisify(execFile);
const TEST = { timeout: 300_000 };
const KERNEL = { v4: "10.77.0.1", v6: "fd77::1" };
const OURS = { v4: "10.77.0.2", v6: "fd77::2" };
const BULK_BYTES = 64 * 1024 * 1024;
let taps = 0;

function hostOnTap(t: TestContext): Host {
  const name = `mrh${taps++}`;
  const device = openTap({ name });
  ip("addr", "add", `${KERNEL.v4}/24`, "dev", name);
  ip("addr", "add", `${KERNEL.v6}/64`, "dev", name, "nodad");
  const addresses = [`${OURS.v4}/24`, `${OURS.v6}/64`];
  const host = createHost({ device, addresses, runner: new Runner() });
  t.after(() => host.end());
  return host;
}

async function linuxServer(t: TestContext, options: net.ServerOpts = {}): Promise<net.Server> {
  const server = net.createServer(options);
  server.listen(5001, "::");
  await once(server, "listening");
  t.after(() => server.close());
  return server;
}

async function digest(stream: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash("sha256");
  for await (const data of stream) hash.update(data);
  return hash.digest("hex");
}

function* pieces(data: Buffer): Generator<Buffer> {
  for (let at = 0; at < data.length; at += 100_000) yield data.subarray(at, at + 100_000);
}

for (const family of ["v4", "v6"] as const) {
  test(`ping both ways, of every size, IP${family}`, TEST, async (t) => {
    const host = hostOnTap(t);
    for (const size of [0, 56, 1_472, 1_473, 9_000, 65_000]) {
      await run("ping", ["-c", "1", "-W", "60", "-s", String(size), OURS[family]]);
      const { replies } = await host.ping(KERNEL[family], { bytes: size });
      assert.equal(replies[0]?.bytes, size);
    }
  });

  test(`bulk data to Linux and from Linux are intact, IP${family}`, TEST, async (t) => {
    const host = hostOnTap(t);
    const data = randomBytes(BULK_BYTES);
    const expected = createHash("sha256").update(data).digest("hex");
    const server = await linuxServer(t);
    const accepted = once(server, "connection") as Promise<[net.Socket]>;
    const client = await host.connect({ address: KERNEL[family], port: 5001 });
    client.resume();
    const atLinux = digest((await accepted)[0]);
    await pipeline(Readable.from(pieces(data)), client);
    assert.equal(await atLinux, expected);

    const ours = await host.listen({ port: 5002 });
    const linux = net.connect(5002, OURS[family]);
    const atOurs = digest((await ours.accept())!);
    linux.resume();
    await pipeline(Readable.from(pieces(data)), linux);
    assert.equal(await atOurs, expected);
  });
}

test("curl is served by node:http over Millrace", TEST, async (t) => {
  const host = hostOnTap(t);
  const http = createHttpServer((request, response) => {
    if (request.method === "POST") request.pipe(response);
    else response.end("x".repeat(Number(request.url?.slice(1))));
  });
  const server = await host.listen({ port: 80 });
  (async () => {
    for await (const connection of server) http.emit("connection", connection);
  })();
  const sizes = [0, 1, 100_000, 10_000_000];
  const urls = sizes.map((n) => `http://${OURS.v4}/${n}`);
  for (const [i, url] of urls.entries()) {
    const { stdout } = await run("curl", ["-sS", url], { maxBuffer: 1 << 25 });
    assert.equal(stdout.length, sizes[i]);
  }
  const { stdout } = await run("curl", ["-sS", "-d", "posted", `http://[${OURS.v6}]/`]);
  assert.equal(stdout, "posted");
});

test("200 connections at once, each its own answer", TEST, async (t) => {
  const host = hostOnTap(t);
  const server = await host.listen({ port: 7, allowHalfOpen: true });
  (async () => {
    for await (const connection of server) connection.pipe(connection);
  })();
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      const socket = net.connect({ port: 7, host: OURS.v4, allowHalfOpen: true });
      socket.end(`connection ${n}`);
      let answer = "";
      for await (const data of socket) answer += data;
      return answer;
    }),
  );
  assert.deepEqual(
    answers,
    Array.from({ length: 200 }, (_, n) => `connection ${n}`),
  );
});

test("half-close works both ways round", TEST, async (t) => {
  const host = hostOnTap(t);
  const server = await linuxServer(t, { allowHalfOpen: true });
  server.on("connection", (socket) => {
    let request = "";
    socket.on("data", (data) => {
      request += data;
    });
    socket.on("end", () => socket.end(`answer to ${request}`));
  });
  const client = await host.connect({ address: KERNEL.v4, port: 5001, allowHalfOpen: true });
  client.end("request");
  let answer = "";
  for await (const data of client) answer += data;
  assert.equal(answer, "answer to request");
});

test("a reset arrives on either side, and a closed port refuses", TEST, async (t) => {
  const host = hostOnTap(t);
  const server = await linuxServer(t);
  const accepted = once(server, "connection") as Promise<[net.Socket]>;
  const client = await host.connect({ address: KERNEL.v4, port: 5001 });
  const [atLinux] = await accepted;
  const error = once(client.resume(), "error");
  atLinux.resetAndDestroy();
  assert.equal((await error)[0].code, "ECONNRESET");

  const ours = await host.listen({ port: 5002 });
  const linux = net.connect(5002, OURS.v4);
  const atOurs = (await ours.accept())!;
  const linuxError = once(linux.resume(), "error");
  atOurs.resetAndDestroy();
  assert.equal((await linuxError)[0].code, "ECONNRESET");

  await assert.rejects(host.connect({ address: KERNEL.v4, port: 9 }), { code: "ECONNREFUSED" });
  const refused = net.connect(9, OURS.v4);
  assert.equal((await once(refused, "error"))[0].code, "ECONNREFUSED");
});

test("UDP and multicast, both roles", TEST, async (t) => {
  const host = hostOnTap(t);
  const channel = await host.udp({ port: 7 });
  const linux = createSocket("udp4");
  t.after(() => linux.close());
  await new Promise<void>((resolve) => linux.bind(0, KERNEL.v4, resolve));
  for (const size of [0, 1, 1_472, 8_000, 65_507]) {
    const data = randomBytes(size);
    linux.send(data, 7, OURS.v4);
    const message = (await channel.receive())!;
    assert.deepEqual(message.data, data);
    const echoed = once(linux, "message");
    await channel.send(message.data, message);
    assert.deepEqual((await echoed)[0], data);
  }
  channel.join("239.7.7.7", { interfaceAddress: OURS.v4 });
  linux.setMulticastInterface(KERNEL.v4);
  linux.addMembership("239.8.8.8", KERNEL.v4);
  linux.send("to the group", 7, "239.7.7.7");
  assert.equal((await channel.receive())?.data.toString(), "to the group");
});

test("a host that waits uses no CPU, and a datagram wakes it", TEST, async (t) => {
  const host = hostOnTap(t);
  const channel = await host.udp({ port: 7 });
  const received = channel.receive();
  // Node may be busy compiling for a while: a second in which it hardly ran must come.
  let usedUs = Number.POSITIVE_INFINITY;
  for (let second = 0; second < 30 && usedUs >= 50_000; second++) {
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const { user, system } = process.cpuUsage(before);
    usedUs = user + system;
  }
  assert.ok(usedUs < 50_000, `${usedUs} µs of CPU in an idle second`);
  const linux = createSocket("udp4");
  linux.send("wake", 7, OURS.v4, () => linux.close());
  assert.equal((await received)?.data.toString(), "wake");
});
