/** The promise and stream interface, in real time: two hosts on a virtual link. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, get } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type TestContext, test } from "node:test";
import { NetError } from "../base/errors.js";
import type { SimLinkOptions } from "../nic/sim-link.js";
import { createHost, createPool, sharedPool } from "./create-host.js";
import { simLink } from "./devices.js";
import type { Host } from "./host.js";
import { Runner } from "./runner.js";
import type { TcpConnection } from "./tcp-connection.js";

const B = "10.0.0.2";
const TEST = { timeout: 120_000 };

function hosts(t: TestContext, link: SimLinkOptions = {}, spinUs = 0): { a: Host; b: Host } {
  const cable = simLink(link);
  const options = { runner: new Runner(), spinUs };
  const a = createHost({
    ...options,
    name: "a",
    device: cable.a,
    addresses: ["10.0.0.1/24", "fd00::1/64"],
  });
  const b = createHost({
    ...options,
    name: "b",
    device: cable.b,
    addresses: ["10.0.0.2/24", "fd00::2/64"],
  });
  t.after(() => {
    a.close();
    b.close();
  });
  return { a, b };
}

async function pair(a: Host, b: Host): Promise<[TcpConnection, TcpConnection]> {
  const server = await b.listen({ port: 80 });
  const [client, atServer] = await Promise.all([
    a.connect({ address: B, port: 80 }),
    server.accept(),
  ]);
  server.close();
  return [client, atServer!];
}

async function text(readable: AsyncIterable<Buffer>): Promise<string> {
  let all = "";
  for await (const data of readable) all += data.toString();
  return all;
}

const withCode = (code: string, syscall?: string) => (error: unknown) =>
  error instanceof NetError &&
  error.code === code &&
  (syscall === undefined || error.syscall === syscall);

for (const address of [B, "fd00::2"]) {
  test(`a connection to ${address} is a duplex stream that ends both ways`, TEST, async (t) => {
    const { a, b } = hosts(t);
    const server = await b.listen({ port: 80 });
    const client = await a.connect({ address, port: 80 });
    const atServer = await server.accept();
    assert.equal(client.remoteAddress, address);
    assert.equal(atServer?.remotePort, client.localPort);
    client.resume().end("ping");
    const closed = once(client, "close");
    assert.equal(await text(atServer!), "ping");
    await closed;
    assert.equal(client.bytesWritten, 4);
    assert.equal(atServer?.bytesRead, 4);
  });
}

test("a server is an async iterable of connections", TEST, async (t) => {
  const { a, b } = hosts(t);
  const server = await b.listen({ port: 0 });
  const port = server.address().port;
  assert.ok(port >= 32_768);
  const clients = [1, 2, 3].map((n) =>
    a.connect({ address: B, port }).then(async (c) => {
      c.end(`client ${n}`);
      return text(c);
    }),
  );
  const seen: string[] = [];
  for await (const connection of server) {
    const request = await text(connection);
    seen.push(request);
    if (seen.length === 3) server.close();
  }
  assert.deepEqual(seen.sort(), ["client 1", "client 2", "client 3"]);
  await Promise.all(clients);
});

test("bulk data arrive intact, and a slow reader holds the writer back", TEST, async (t) => {
  const { a, b } = hosts(t);
  const server = await b.listen({ port: 80, allowHalfOpen: true });
  const client = await a.connect({ address: B, port: 80 });
  const atServer = (await server.accept())!;
  const data = randomBytes(16 * 1024 * 1024);
  const sent = pipeline(Readable.from(chunksOf(data, 100_000)), client);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(client.bytesWritten < data.length, "the writer waits while nobody reads");
  const hash = createHash("sha256");
  for await (const chunk of atServer) hash.update(chunk as Buffer);
  await sent;
  assert.equal(hash.digest("hex"), createHash("sha256").update(data).digest("hex"));
});

function* chunksOf(data: Buffer, bytes: number): Generator<Buffer> {
  for (let at = 0; at < data.length; at += bytes) yield data.subarray(at, at + bytes);
}

test(
  "half-close: with allowHalfOpen the answer follows the end of the request",
  TEST,
  async (t) => {
    const { a, b } = hosts(t);
    const server = await b.listen({ port: 80, allowHalfOpen: true });
    const client = await a.connect({ address: B, port: 80, allowHalfOpen: true });
    const atServer = (await server.accept())!;
    client.end("request");
    let request = "";
    atServer.on("data", (data) => {
      request += data;
    });
    await once(atServer, "end");
    assert.equal(atServer.writable, true);
    atServer.end(`answer to ${request}`);
    assert.equal(await text(client), "answer to request");
  },
);

test("a connection to a closed port rejects with ECONNREFUSED", TEST, async (t) => {
  const { a } = hosts(t);
  await assert.rejects(a.connect({ address: B, port: 81 }), (error: NetError) => {
    assert.equal(error.code, "ECONNREFUSED");
    assert.equal(error.address, B);
    assert.equal(error.port, 81);
    return error.syscall === "connect";
  });
});

test(
  "a connection without a route rejects with ENETUNREACH, a wrong address with EINVAL",
  TEST,
  async (t) => {
    const { a } = hosts(t);
    await assert.rejects(a.connect({ address: "192.0.2.1", port: 1 }), withCode("ENETUNREACH"));
    await assert.rejects(a.connect({ address: "example.org", port: 1 }), withCode("EINVAL"));
    await assert.rejects(a.connect({ address: B, port: 70_000 }), withCode("EINVAL"));
  },
);

test(
  "listening twice rejects with EADDRINUSE, on a foreign address with EADDRNOTAVAIL",
  TEST,
  async (t) => {
    const { b } = hosts(t);
    await b.listen({ port: 80 });
    await assert.rejects(b.listen({ port: 80 }), withCode("EADDRINUSE", "listen"));
    await assert.rejects(
      b.listen({ port: 80, address: "10.0.0.9" }),
      withCode("EADDRNOTAVAIL", "listen"),
    );
  },
);

test("an aborted signal ends connect, accept and listen", TEST, async (t) => {
  const { a, b } = hosts(t);
  const early = AbortSignal.abort();
  await assert.rejects(a.connect({ address: B, port: 80, signal: early }), withCode("ECANCELED"));
  const { signal, abort } = controller();
  const toNobody = a.connect({ address: "10.0.0.77", port: 80, signal });
  setImmediate(abort);
  await assert.rejects(toNobody, withCode("ECANCELED"));
  assert.equal(a.stack.tcp.rows, 0);
  const second = controller();
  const server = await b.listen({ port: 80, signal: second.signal });
  const waiting = server.accept();
  second.abort();
  assert.equal(await waiting, null);
  const third = controller();
  const other = await b.listen({ port: 80 });
  const cancelled = other.accept({ signal: third.signal });
  third.abort();
  await assert.rejects(cancelled, withCode("ECANCELED"));
});

function controller(): { signal: AbortSignal; abort: () => void } {
  const c = new AbortController();
  return { signal: c.signal, abort: () => c.abort() };
}

test("resetAndDestroy sends RST: the peer's stream fails with ECONNRESET", TEST, async (t) => {
  const { a, b } = hosts(t);
  const [client, atServer] = await pair(a, b);
  atServer.resume();
  client.resetAndDestroy();
  const [error] = (await once(atServer, "error")) as [NetError];
  assert.equal(error.code, "ECONNRESET");
});

test("writing after the peer has reset fails the write", TEST, async (t) => {
  const { a, b } = hosts(t);
  const [client, atServer] = await pair(a, b);
  const failed = once(client, "error");
  atServer.resetAndDestroy();
  const timer = setInterval(() => client.write("x"), 1);
  const [error] = (await failed) as [NetError];
  clearInterval(timer);
  assert.match(error.code, /^(ECONNRESET|EPIPE)$/);
});

test("setTimeout emits timeout on an idle connection", TEST, async (t) => {
  const { a, b } = hosts(t);
  const [client] = await pair(a, b);
  client.setTimeout(10);
  const alive = setInterval(() => {}, 1_000);
  await once(client, "timeout");
  clearInterval(alive);
});

test("socket options and figures are reachable from a connection", TEST, async (t) => {
  const { a, b } = hosts(t);
  const [client] = await pair(a, b);
  client.setNoDelay().setKeepAlive(true, 5_000);
  assert.equal(client.socket.get("TCP_NODELAY"), 1);
  assert.equal(client.socket.get("SO_KEEPALIVE"), 1);
  assert.equal(client.socket.get("TCP_KEEPIDLE"), 5);
  assert.ok(client.info()!.sndMss > 1_000);
});

test("connections have the options of their server", TEST, async (t) => {
  const { a, b } = hosts(t);
  const server = await b.listen({ port: 80, noDelay: true, keepAlive: true });
  await a.connect({ address: B, port: 80 });
  const { socket } = (await server.accept())!;
  assert.equal(socket.get("TCP_NODELAY"), 1);
  assert.equal(socket.get("SO_KEEPALIVE"), 1);
});

test("node:http serves over a Millrace connection", TEST, async (t) => {
  const { a, b } = hosts(t);
  const http = createServer((request, response) => {
    response.end(`you asked for ${request.url}`);
  });
  const server = await b.listen({ port: 80 });
  const serving = (async () => {
    for await (const connection of server) http.emit("connection", connection);
  })();
  for (const path of ["/one", "/two"]) {
    const socket = await a.connect({ address: B, port: 80 });
    const request = get({ path, host: B, createConnection: () => socket as never });
    const [response] = (await once(request, "response")) as [Readable];
    assert.equal(await text(response), `you asked for ${path}`);
  }
  server.close();
  await serving;
  http.closeAllConnections();
});

test("corked writes that end with an empty one are sent at once", TEST, async (t) => {
  const cable = simLink();
  const tcp = { corkUs: 3_600_000_000 }; // what waits for more waits for an hour
  const runner = new Runner();
  const a = createHost({ device: cable.a, addresses: ["10.0.0.1/24"], runner, tcp });
  const b = createHost({ device: cable.b, addresses: ["10.0.0.2/24"], runner });
  t.after(() => [a.close(), b.close()]);
  const [client, atServer] = await pair(a, b);
  client.cork();
  client.write("hello");
  client.write(""); // as node:http ends a response
  client.write(Buffer.alloc(0));
  client.uncork();
  const [data] = await once(atServer, "data");
  assert.equal(String(data), "hello");
});

test("a hundred connections at once", TEST, async (t) => {
  const { a, b } = hosts(t);
  const server = await b.listen({ port: 80 });
  (async () => {
    for await (const c of server) c.pipe(c);
  })();
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, n) => {
      const c = await a.connect({ address: B, port: 80, allowHalfOpen: true });
      c.end(`number ${n}`);
      return text(c);
    }),
  );
  assert.deepEqual(
    answers,
    Array.from({ length: 100 }, (_, n) => `number ${n}`),
  );
});

test("a host talks to itself over loopback", TEST, async (t) => {
  const host = createHost({ runner: new Runner() });
  t.after(() => host.close());
  const server = await host.listen({ port: 80, address: "127.0.0.1" });
  const client = await host.connect({ address: "localhost", port: 80 });
  (await server.accept())!.end("hello myself");
  assert.equal(await text(client), "hello myself");
});

test("UDP: messages carry their sender, and answers find it", TEST, async (t) => {
  const { a, b } = hosts(t);
  const echo = await b.udp({ port: 7 });
  (async () => {
    for await (const m of echo) await echo.send(m.data, m);
  })();
  const channel = await a.udp();
  for (const address of [B, "fd00::2"]) {
    await channel.send(`hello ${address}`, { address, port: 7 });
    const answer = (await channel.receive())!;
    assert.equal(answer.data.toString(), `hello ${address}`);
    assert.equal(answer.address, address);
    assert.equal(answer.port, 7);
    assert.equal(answer.ttl, 64);
  }
  echo.close();
});

test("UDP: a connected channel hears of a refusal", TEST, async (t) => {
  const { a } = hosts(t);
  const channel = await a.udp();
  channel.connect(B, 9);
  await channel.send("anyone?");
  await assert.rejects(channel.receive(), withCode("ECONNREFUSED"));
});

test(
  "UDP: a large datagram is fragmented and comes whole; a larger one is EMSGSIZE",
  TEST,
  async (t) => {
    const { a, b } = hosts(t);
    const receiver = await b.udp({ port: 7 });
    const sender = await a.udp();
    const data = randomBytes(60_000);
    await sender.send(data, { address: B, port: 7 });
    assert.deepEqual((await receiver.receive())!.data, data);
    await assert.rejects(
      sender.send(new Uint8Array(70_000), { address: B, port: 7 }),
      withCode("EMSGSIZE"),
    );
  },
);

test("UDP: a group reaches its members, from the senders they want", TEST, async (t) => {
  const { a, b } = hosts(t);
  const member = await b.udp({ port: 5000 });
  member.join("239.1.2.3", { interfaceAddress: B });
  const sender = await a.udp({ multicastTtl: 4 });
  sender.socket.set("IP_MULTICAST_IF", (10 << 24) | 1);
  await sender.send("to the group", { address: "239.1.2.3", port: 5000 });
  const message = (await member.receive())!;
  assert.equal(message.data.toString(), "to the group");
  assert.equal(message.destination, "239.1.2.3");
  assert.equal(message.ttl, 4);
  member.leave("239.1.2.3", { interfaceAddress: B });
  assert.throws(() => member.leave("239.1.2.3"), withCode("EADDRNOTAVAIL"));
});

test("UDP: closing and aborting end receive", TEST, async (t) => {
  const { a } = hosts(t);
  const channel = await a.udp();
  const waiting = channel.receive();
  channel.close();
  assert.equal(await waiting, null);
  const { signal, abort } = controller();
  const other = await a.udp({ signal });
  const iterated = (async () => {
    for await (const _ of other);
    return "over";
  })();
  abort();
  assert.equal(await iterated, "over");
});

test("ping: replies with their times, silence without", TEST, async (t) => {
  const { a } = hosts(t);
  for (const address of [B, "fd00::2"]) {
    const { sent, replies } = await a.ping(address, { count: 3, bytes: 100 });
    assert.equal(sent, 3);
    assert.deepEqual(
      replies.map((r) => [r.sequence, r.bytes, r.ttl, r.address]),
      [1, 2, 3].map((n) => [n, 100, 64, address]),
    );
  }
  const silent = await a.ping("10.0.0.77", { timeoutMs: 20 });
  assert.deepEqual(silent.replies, []);
});

test("a link with delay delays", TEST, async (t) => {
  const { a } = hosts(t, { delayUs: 2_000 });
  const { replies } = await a.ping(B, { count: 2 });
  assert.ok(replies[1]!.roundTripMs >= 4, `round trip of ${replies[1]!.roundTripMs} ms`);
});

test("runUntil polls two hosts without the event loop", TEST, async (t) => {
  const { a, b } = hosts(t);
  const [client, atServer] = await pair(a, b);
  client.write("polled");
  const ready = a.runUntil(() => atServer.socket.readableBytes === 6, 5_000);
  assert.equal(ready, true);
});

test("a host that never sleeps serves as well", TEST, async (t) => {
  const { a, b } = hosts(t, {}, Number.POSITIVE_INFINITY);
  const [client, atServer] = await pair(a, b);
  client.end("spinning");
  assert.equal(await text(atServer), "spinning");
});

test("closing a host ends what waits on it, and refuses more", TEST, async (t) => {
  const { a, b } = hosts(t);
  const [, atServer] = await pair(a, b);
  const server = await b.listen({ port: 80 });
  const accepting = server.accept();
  const channel = await b.udp();
  const receiving = channel.receive();
  const connecting = b.connect({ address: "10.0.0.77", port: 1 });
  b.close();
  assert.equal(await accepting, null);
  assert.equal(await receiving, null);
  await assert.rejects(connecting, withCode("ENETDOWN"));
  await assert.rejects(b.connect({ address: "10.0.0.1", port: 1 }), withCode("ENETDOWN"));
  await assert.rejects(channel.send("x", { address: "10.0.0.1", port: 1 }), withCode("EBADF"));
  assert.equal(atServer.destroyed, true);
});

test("createHost says what is wrong with its options", () => {
  const cable = simLink();
  const message = (options: Parameters<typeof createHost>[0]): string => {
    try {
      createHost({ runner: new Runner(), ...options }).close();
    } catch (error) {
      assert.ok(error instanceof NetError);
      return error.message;
    }
    return "";
  };
  assert.match(message({ device: cable.a, addresses: ["10.0.0.1"] }), /prefix length.*10\.0\.0\.1/);
  const addresses = ["10.0.0.1/24"];
  assert.match(message({ device: cable.a, addresses, gateway: "10.9.9.9" }), /gateway/);
  assert.match(message({ addresses: ["10.0.0.1/24"] }), /without a device/);
  assert.match(message({ spinUs: -1 }), /spinUs/);
  assert.throws(() => createPool({ smallSlots: 1 }), /smallSlots/);
});

test("a device belongs to one host", () => {
  const device = simLink().a;
  createHost({ device }).close();
  assert.throws(() => createHost({ device }), withCode("EINVAL", "createHost"));
});

test("no slot is held when every host is closed", () => {
  const pool = sharedPool();
  const held = pool.memory.held.reduce((n, h) => n + h, 0);
  assert.equal(held, 0);
});

test("what came before a reset is read, then the reset is an error", TEST, async (t) => {
  const { a, b } = hosts(t);
  const [client, atServer] = await pair(a, b);
  atServer.write("the last words");
  await new Promise((resolve) => setTimeout(resolve, 50));
  atServer.resetAndDestroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  let all = "";
  client.on("data", (data: Buffer) => {
    all += data.toString();
  });
  const [error] = (await once(client, "error")) as [NetError];
  assert.equal(all, "the last words");
  assert.equal(error.code, "ECONNRESET");
});

test("a listener that throws does not stop the hosts when the process survives it", TEST, () => {
  const program = `
    import { createHost } from ${JSON.stringify(new URL("./create-host.js", import.meta.url).href)};
    process.on("uncaughtException", (error) => console.log("uncaught", error.message));
    const host = createHost();
    const server = await host.listen({ port: 80 });
    (async () => {
      for await (const c of server) c.on("data", () => { throw new Error("mine"); });
    })();
    const first = await host.connect({ address: "127.0.0.1", port: 80 });
    first.write("x");
    await new Promise((resolve) => setTimeout(resolve, 100));
    const second = await host.connect({ address: "127.0.0.1", port: 80 });
    console.log("connected to", second.remotePort);
    host.close();
  `;
  const args = ["--input-type=module", "-e", program];
  const child = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 120_000 });
  assert.equal(child.stdout, "uncaught mine\nconnected to 80\n", child.stderr);
});
