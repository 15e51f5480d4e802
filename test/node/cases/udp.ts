/** Datagrams: events, addresses, options, errors. */
import dgram from "node:dgram";
import { once } from "node:events";
import { errorText, trace } from "../support/trace.js";

async function bound(type: dgram.SocketType, address?: string): Promise<dgram.Socket> {
  const socket = dgram.createSocket(type);
  socket.bind(0, address);
  await once(socket, "listening");
  return socket;
}

async function next(socket: dgram.Socket): Promise<[Buffer, dgram.RemoteInfo]> {
  return (await once(socket, "message")) as [Buffer, dgram.RemoteInfo];
}

async function exchange(type: dgram.SocketType, at: string): Promise<void> {
  const name = `${type} exchange`;
  const server = await bound(type, at);
  const { port, family, address } = server.address();
  trace(name, family, address);
  const client = dgram.createSocket(type);
  client.on("listening", () => trace(name, "client listening"));
  client.on("close", () => trace(name, "client close"));
  const asked = next(server);
  client.send(["a ", Buffer.from("question"), new Uint8Array([33])], port, at, (e, n) =>
    trace(name, "sent", e === null, n),
  );
  const [question, from] = await asked;
  trace(name, question.toString(), from.address, from.family, from.size);
  trace(name, from.port === client.address().port);
  const answered = next(client);
  server.send("answer", from.port, from.address);
  const [answer, by] = await answered;
  trace(name, answer.toString(), by.port === port);
  const empty = next(server);
  client.send("", port, at);
  trace(name, "empty", (await empty)[0].length);
  const large = next(server);
  client.send(Buffer.alloc(60_000, "l"), port, at);
  trace(name, "large", (await large)[0].length);
  client.send(Buffer.alloc(70_000), port, at, (e) => trace(name, "too large", errorText(e)));
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.close();
  server.close();
  await once(server, "close");
}

async function connected(): Promise<void> {
  const server = await bound("udp4", "127.0.0.1");
  const stranger = await bound("udp4", "127.0.0.1");
  const client = dgram.createSocket("udp4");
  client.connect(server.address().port, "127.0.0.1");
  await once(client, "connect");
  trace("connected", client.remoteAddress().address, client.remoteAddress().family);
  trace("connected", client.address().address);
  try {
    client.connect(1, "127.0.0.1");
  } catch (e) {
    trace("connected", errorText(e));
  }
  const asked = next(server);
  client.send("to the peer", (e, n) => trace("connected", "sent", e === null, n));
  trace("connected", (await asked)[0].toString());
  stranger.send("not for you", client.address().port, "127.0.0.1");
  const got = next(client);
  await new Promise((resolve) => setTimeout(resolve, 20));
  server.send("for you", client.address().port, "127.0.0.1");
  trace("connected", (await got)[0].toString());
  client.disconnect();
  try {
    client.remoteAddress();
  } catch (e) {
    trace("connected", errorText(e));
  }
  for (const s of [client, server, stranger]) s.close();
}

async function options(): Promise<void> {
  const early = dgram.createSocket("udp4");
  try {
    early.setTTL(10);
  } catch (e) {
    trace("options", errorText(e));
  }
  early.close();
  const socket = await bound("udp4", "127.0.0.1");
  socket.setBroadcast(true);
  trace("options", socket.setTTL(16), socket.setMulticastTTL(4), socket.setMulticastLoopback(true));
  socket.setRecvBufferSize(8_192);
  socket.setSendBufferSize(8_192);
  trace("options", socket.getRecvBufferSize(), socket.getSendBufferSize());
  trace("options", socket.getSendQueueSize(), socket.getSendQueueCount());
  for (const f of [
    () => socket.setTTL(1_000),
    () => socket.addMembership("10.0.0.1"),
    () => socket.setMulticastInterface("not an address"),
    () => socket.bind(0),
    () => socket.disconnect(),
  ]) {
    try {
      f();
      trace("options", "no error");
    } catch (e) {
      trace("options", errorText(e));
    }
  }
  trace("options", socket.ref() === socket, socket.unref() === socket);
  socket.close();
  try {
    socket.close();
  } catch (e) {
    trace("options", errorText(e));
  }
}

async function inUse(): Promise<void> {
  const first = await bound("udp4", "127.0.0.1");
  const second = dgram.createSocket("udp4");
  second.on("error", (e) => trace("in use", errorText(e)));
  second.bind(first.address().port, "127.0.0.1");
  await once(second, "error").catch(() => {});
  first.close();
  second.close();
  const reuse = [1, 2].map(() => dgram.createSocket({ type: "udp4", reuseAddr: true }));
  reuse[0]!.bind(0, "127.0.0.1");
  await once(reuse[0]!, "listening");
  reuse[1]!.bind(reuse[0]!.address().port, "127.0.0.1");
  await once(reuse[1]!, "listening");
  trace("in use", "shared");
  for (const s of reuse) s.close();
}

async function aborted(): Promise<void> {
  const control = new AbortController();
  const socket = dgram.createSocket({ type: "udp4", signal: control.signal });
  socket.on("close", () => trace("abort", "close"));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  control.abort();
  await new Promise(setImmediate);
}

async function lookups(): Promise<void> {
  const server = await bound("udp4", "127.0.0.1");
  const client = dgram.createSocket({
    type: "udp4",
    lookup: (host, _options, done) => {
      trace("lookup", host);
      done(null, "127.0.0.1", 4);
    },
  });
  const asked = next(server);
  client.send("by name", server.address().port, "example.test");
  trace("lookup", (await asked)[0].toString());
  client.close();
  server.close();
}

async function burst(): Promise<void> {
  const server = await bound("udp4", "127.0.0.1");
  server.setRecvBufferSize(212_992);
  const client = dgram.createSocket("udp4");
  let n = 0;
  let inOrder = true;
  const all = new Promise<void>((resolve) => {
    server.on("message", (m) => {
      if (m.readInt32LE() !== n) inOrder = false;
      if (++n === 100) resolve();
    });
  });
  client.bind(0, "127.0.0.1");
  await once(client, "listening");
  for (let i = 0; i < 100; i++) {
    const b = Buffer.alloc(64);
    b.writeInt32LE(i);
    client.send(b, server.address().port, "127.0.0.1");
  }
  await all;
  trace("burst", n, inOrder);
  client.close();
  server.close();
}

/** A second socket by the descriptor of a bare handle: what is sent to their port is the second one's. */
async function byDescriptor(): Promise<void> {
  const { UDP } = (process as unknown as Bindings).binding("udp_wrap");
  const handle = new UDP();
  handle.bind("127.0.0.1", 0, 0);
  const socket = dgram.createSocket("udp4");
  socket.bind({ fd: handle.fd }); // listens at once
  const client = await bound("udp4", "127.0.0.1");
  const asked = next(socket);
  client.send("by descriptor", socket.address().port, "127.0.0.1");
  const [question, from] = await asked;
  const answered = next(client);
  socket.send(question, from.port, from.address);
  trace("descriptor", String((await answered)[0]));
  client.close();
  socket.close();
}

interface Bindings {
  binding(name: string): {
    UDP: new () => { readonly fd: number; bind(at: string, port: number, flags: number): number };
  };
}

await exchange("udp4", "127.0.0.1");
await exchange("udp6", "::1");
await connected();
await options();
await inUse();
await aborted();
await lookups();
await burst();
await byDescriptor();
