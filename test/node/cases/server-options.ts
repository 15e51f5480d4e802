/** Every option of a server, wrong ones included, and what each does. */
import { once } from "node:events";
import net from "node:net";
import { closed, ended, listening } from "../support/sockets.js";
import { errorText, HERE, HERE6, trace } from "../support/trace.js";

type Options = net.ServerOpts & net.ListenOptions & Record<string, unknown>;

const AT = HERE;

/** A connection to a server with these options: what both ends say of themselves. */
async function exchange(name: string, options: Options): Promise<void> {
  const server = net.createServer(options);
  server.on("connection", (socket) => {
    trace(name, "paused", socket.isPaused(), "half open", socket.allowHalfOpen);
    trace(name, "marks", socket.readableHighWaterMark, socket.writableHighWaterMark);
    socket
      .on("error", () => {})
      .resume()
      .end(name);
  });
  const port = await listening(server, { host: AT, ...options });
  const { address, family } = server.address() as net.AddressInfo;
  const client = net.connect(port, address === "::" ? "::1" : address);
  let text = "";
  for await (const data of client) text += String(data);
  trace(name, family, address, text);
  await ended(server);
  trace(name, "address", server.address(), "listening", server.listening);
}

/** Options that are wrong: thrown at once, or told. */
async function wrong(name: string, options: unknown): Promise<void> {
  const server = net.createServer();
  try {
    server.listen(options as net.ListenOptions);
    await Promise.race([once(server, "error").then(([e]) => told(e)), once(server, "listening")]);
    trace(name, "listening", server.listening);
  } catch (e) {
    trace(name, "throws", errorText(e));
  }
  server.close(() => {});
  function told(e: unknown): void {
    trace(name, "error", errorText(e));
  }
}

async function sharedPort(): Promise<void> {
  for (const how of ["exclusive", "reusePort", "ipv6Only"]) {
    const [one, other] = [net.createServer(), net.createServer()];
    one.on("error", (e) => trace(how, "first", errorText(e)));
    other.on("error", (e) => trace(how, "second", errorText(e)));
    const options = { host: how === "ipv6Only" ? "::" : AT, [how]: true };
    try {
      one.listen({ port: 0, ...options });
      await Promise.race([once(one, "listening"), once(one, "close")]);
      const { port } = one.address() as net.AddressInfo;
      other.listen({ port, ...options, ...(how === "ipv6Only" ? { host: "0.0.0.0" } : {}) });
      await Promise.race([once(other, "listening"), once(other, "error")]);
    } catch (e) {
      trace(how, "throws", errorText(e));
    }
    trace(how, one.listening, other.listening);
    for (const server of [one, other]) if (server.listening) await ended(server);
  }
}

async function aborted(): Promise<void> {
  const control = new AbortController();
  const server = net.createServer();
  server.listen({ port: 0, host: AT, signal: control.signal });
  await once(server, "listening");
  control.abort();
  await once(server, "close");
  trace("aborted", server.listening);
  const before = net.createServer();
  before.listen({ port: 0, host: AT, signal: AbortSignal.abort() });
  await once(before, "close");
  trace("aborted", "before", before.listening);
}

/** More connections than the server wants: the rest are dropped, and it is told whose. */
async function limited(): Promise<void> {
  const server = net.createServer();
  server.maxConnections = 1;
  server.on("drop", (d) => trace("limited", "drop", d?.localAddress, d?.localFamily));
  const port = await listening(server, { host: AT });
  const first = net.connect(port, AT);
  const [kept] = (await once(server, "connection")) as [net.Socket];
  const second = net.connect(port, AT).on("error", () => {});
  await closed(second.resume());
  trace("limited", "second", second.bytesRead, server.connections ?? "");
  server.getConnections((e, n) => trace("limited", "connections", e, n));
  first.end();
  kept.resume().end();
  await Promise.all([closed(first.resume()), ended(server)]);
}

/** Servers that are closed early, twice, or while somebody is connected. */
async function closing(): Promise<void> {
  const never = net.createServer();
  never.close((e) => trace("closing", "never", e === undefined ? "" : errorText(e)));
  await new Promise((resolve) => setImmediate(resolve));
  const early = net.createServer(() => trace("closing", "a connection"));
  early.on("listening", () => trace("closing", "listening"));
  early.listen(0, AT).close(() => trace("closing", "early"));
  await once(early, "close");
  const twice = net.createServer();
  await listening(twice, { host: AT });
  try {
    twice.listen(0);
  } catch (e) {
    trace("closing", errorText(e));
  }
  twice.close(() => trace("closing", "first"));
  twice.close((e) => trace("closing", "second", e === undefined ? "" : errorText(e)));
  await once(twice, "close");
  await listening(twice, { host: AT });
  trace("closing", "again", twice.listening, twice.ref() === twice, twice.unref() === twice);
  await ended(twice);
  const busy = net.createServer((socket) => socket.resume());
  const client = net.connect(await listening(busy, { host: AT }), AT);
  await Promise.all([once(busy, "connection"), once(client, "connect")]);
  busy.close(() => trace("closing", "busy"));
  trace("closing", busy.listening, client.destroyed);
  client.end();
  await once(busy, "close");
}

await exchange("plain", {});
await exchange("paused", { pauseOnConnect: true });
await exchange("half open", { allowHalfOpen: true });
await exchange("marks", { highWaterMark: 1_000 });
await exchange("kept alive", { keepAlive: true, keepAliveInitialDelay: 2_000, noDelay: true });
await exchange("backlog", { backlog: 1 });
await exchange("exclusive", { exclusive: true });
await exchange("six", { host: HERE6, ipv6Only: true });
await exchange("any six", { host: "::", ipv6Only: true });
for (const [name, options] of Object.entries({
  "port -1": { port: -1 },
  "port text": { port: "12a" },
  "port 65536": { port: 65_536 },
  "host number": { port: 0, host: 1 },
  "host is nobody's": { port: 0, host: "192.0.2.1" },
  "no name": { port: 0, host: "no.such.name.invalid." },
  "backlog text": { port: 0, host: AT, backlog: "many" },
  nothing: {},
  "signal is none": { port: 0, host: AT, signal: "stop" },
  "reusePort text": { port: 0, host: AT, reusePort: "yes" },
  "fd 999": { fd: 999 },
  "privileged six of four": { port: 0, host: AT, ipv6Only: true },
})) {
  if (name !== "no name") await wrong(name, options);
}
for (const options of [
  { blockList: 1 },
  { highWaterMark: "x" },
  { keepAliveInitialDelay: "x" },
  1,
]) {
  try {
    net.createServer(options as unknown as net.ServerOpts);
    trace("create", "no error");
  } catch (e) {
    trace("create", errorText(e));
  }
}
await sharedPort();
await aborted();
await limited();
await closing();
