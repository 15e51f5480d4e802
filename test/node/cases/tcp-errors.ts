/** What goes wrong, and what programs are told of it. */
import { once } from "node:events";
import net from "node:net";
import { closed, ended, follow, listening } from "../support/sockets.js";
import { errorText, trace } from "../support/trace.js";

async function reset(): Promise<void> {
  const server = net.createServer((socket) => {
    follow("reset server", socket);
    socket.on("data", () => socket.resetAndDestroy());
  });
  const port = await listening(server);
  const client = follow("reset client", net.connect(port, "127.0.0.1"));
  client.write("x");
  await closed(client);
  await ended(server);
}

async function refused(): Promise<void> {
  const server = net.createServer();
  const port = await listening(server);
  await ended(server);
  const client = follow("refused", net.connect(port, "127.0.0.1"));
  await closed(client);
}

async function inUse(): Promise<void> {
  const server = net.createServer();
  const port = await listening(server);
  const second = net.createServer();
  second.on("error", (e) => trace("in use", errorText(e), second.listening));
  second.listen(port, "127.0.0.1");
  await once(second, "error").catch(() => {});
  const foreign = net.createServer();
  foreign.on("error", (e) => trace("foreign", errorText(e)));
  foreign.listen(0, "192.0.2.1");
  await once(foreign, "error").catch(() => {});
  const from = follow("local", net.connect({ port, host: "127.0.0.1", localAddress: "192.0.2.1" }));
  await closed(from);
  await ended(server);
  server.close((e) => trace("closed twice", errorText(e)));
  await new Promise(setImmediate);
}

async function afterEnd(): Promise<void> {
  const server = net.createServer((socket) => socket.resume());
  const port = await listening(server);
  const client = follow("after end", net.connect(port, "127.0.0.1"));
  await once(client, "connect");
  client.end();
  client.write("more", (e) => trace("after end", "write", errorText(e)));
  await closed(client);
  client.write("more", (e) => trace("after end", "write", errorText(e)));
  await new Promise(setImmediate);
  await ended(server);
}

/** Writing to a peer that is gone. */
async function writeAfterReset(): Promise<void> {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.resetAndDestroy();
  });
  const port = await listening(server);
  const client = net.connect(port, "127.0.0.1");
  client.on("error", (e) => trace("gone", e.name, (e as NodeJS.ErrnoException).code ?? ""));
  client.on("close", (hadError) => trace("gone", "close", hadError));
  await closed(client);
  await ended(server);
}

async function destroyed(): Promise<void> {
  const server = net.createServer((socket) => follow("destroy server", socket).resume());
  const port = await listening(server);
  const client = follow("destroy client", net.connect(port, "127.0.0.1"));
  await once(client, "connect");
  client.write("last words");
  client.destroy(new Error("my own"));
  await closed(client);
  const early = follow("destroy early", net.connect(port, "127.0.0.1"));
  early.destroy();
  await closed(early);
  await ended(server);
}

async function aborted(): Promise<void> {
  const server = net.createServer();
  const control = new AbortController();
  const port = await listening(server, { signal: control.signal });
  const connecting = new AbortController();
  const client = net.connect({ port, host: "127.0.0.1", signal: connecting.signal });
  follow("abort client", client);
  client.on("connect", () => connecting.abort());
  await closed(client);
  control.abort();
  await once(server, "close");
  trace("abort server", server.listening);
}

async function tooMany(): Promise<void> {
  const server = net.createServer((socket) => socket.resume());
  server.maxConnections = 1;
  server.on("drop", (data) => {
    trace(
      "drop",
      data?.localAddress ?? "",
      data?.remoteFamily ?? "",
      Number(data?.localPort) === port,
    );
  });
  const port = await listening(server);
  const first = net.connect(port, "127.0.0.1");
  await once(first, "connect");
  const second = net.connect(port, "127.0.0.1");
  second.on("error", () => {});
  second.resume();
  await closed(second);
  server.getConnections((_e, n) => trace("drop", "connections", n));
  first.end();
  await closed(first);
  await ended(server);
}

await reset();
await refused();
await inUse();
await afterEnd();
await writeAfterReset();
await destroyed();
await aborted();
await tooMany();
