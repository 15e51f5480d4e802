/** Connections from their beginning to their end: events, addresses, counters. */
import { once } from "node:events";
import net from "node:net";
import { closed, ended, follow, listening } from "../support/sockets.js";
import { trace } from "../support/trace.js";

/** A question and its answer, ended by either side. */
async function exchange(name: string, ender: "client" | "server"): Promise<void> {
  const server = net.createServer((socket) => {
    follow(`${name} server`, socket);
    trace(`${name} server`, socket.remoteFamily ?? "", socket.localAddress ?? "", socket.pending);
    socket.on("data", (d) => {
      trace(`${name} server`, "data", d.toString());
      if (ender === "server") socket.end("answer");
      else socket.write("answer");
    });
  });
  const port = await listening(server);
  const client = follow(`${name} client`, net.connect(port, "127.0.0.1"));
  trace(`${name} client`, client.connecting, client.pending, client.readyState);
  client.on("connect", () => {
    trace(`${name} client`, client.connecting, client.readyState, client.remotePort === port);
    trace(`${name} client`, client.localAddress ?? "", client.remoteAddress ?? "");
    client.write("question", () => trace(`${name} client`, "written"));
  });
  client.on("data", (d) => {
    trace(`${name} client`, "data", d.toString(), client.bytesRead, client.bytesWritten);
    if (ender === "client") client.end();
  });
  await closed(client);
  trace(`${name} client`, client.destroyed, client.readyState);
  await ended(server);
}

async function halfOpen(): Promise<void> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    follow("half server", socket);
    socket.resume();
    socket.on("end", () => {
      socket.write("late ");
      setImmediate(() => socket.end("answer"));
    });
  });
  const port = await listening(server);
  const client = follow(
    "half client",
    net.connect({ port, host: "127.0.0.1", allowHalfOpen: true }),
  );
  let text = "";
  client.on("data", (d) => {
    text += d.toString();
  });
  client.on("end", () => trace("half client", text, client.writable, client.readyState));
  client.end("question");
  await closed(client);
  await ended(server);
}

async function strings(): Promise<void> {
  const server = net.createServer((socket) => {
    const parts: Buffer[] = [];
    socket.on("data", (d) => parts.push(d as Buffer));
    socket.on("end", () => trace("strings server", Buffer.concat(parts).toString("hex")));
  });
  const port = await listening(server);
  const client = follow("strings client", net.connect(port, "127.0.0.1"));
  await once(client, "connect");
  client.write("žluťoučký", "utf8");
  client.write("\xe9\xff", "latin1");
  client.write("ab", "ascii");
  client.write("čau", "utf16le");
  client.write("00ff", "hex");
  client.cork();
  client.write("co");
  client.write(Buffer.from("rk"));
  client.write(new Uint8Array([1, 2, 3]));
  client.write("");
  client.uncork();
  client.end("YWJj", "base64");
  await closed(client);
  await ended(server);
}

/** Without room nothing is read. */
async function emptyUserBuffer(): Promise<void> {
  const server = net.createServer((socket) => socket.on("error", () => {}).write("for nobody"));
  const port = await listening(server);
  const onread = { buffer: Buffer.alloc(0), callback: () => true };
  await closed(follow("onread empty", net.connect({ port, host: "127.0.0.1", onread })));
  await ended(server);
}

async function userBuffer(): Promise<void> {
  const server = net.createServer((socket) => socket.end("into the user's buffer"));
  const port = await listening(server);
  const buffer = Buffer.alloc(8);
  const parts: string[] = [];
  const client = net.connect({
    port,
    host: "127.0.0.1",
    onread: {
      buffer,
      callback: (n, into) => {
        parts.push(Buffer.from(into.buffer, into.byteOffset, n).toString());
        return true;
      },
    },
  });
  follow("onread client", client);
  await closed(client);
  trace("onread client", parts);
  await ended(server);
}

/** Who wants no more than its buffer holds has the rest later, in buffers of whatever size it gives then. */
async function pausingUserBuffer(): Promise<void> {
  const server = net.createServer((socket) => socket.end("in pieces of its own"));
  const port = await listening(server);
  const parts: string[] = [];
  let size = 2;
  const client = net.connect({
    port,
    host: "127.0.0.1",
    onread: {
      buffer: () => Buffer.alloc(++size),
      callback: (n, into) => {
        parts.push(Buffer.from(into.buffer, into.byteOffset, n).toString());
        if (parts.length % 2 === 1) return true;
        setImmediate(() => {
          trace("onread pausing", parts, client.bytesRead);
          client.resume();
        });
        return false;
      },
    },
  });
  follow("onread pausing", client);
  await closed(client);
  trace("onread pausing", parts);
  await ended(server);
}

async function encodingAndPause(): Promise<void> {
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    trace("paused server", socket.isPaused());
    setTimeout(() => {
      socket.setEncoding("utf8");
      socket.on("data", (d) => trace("paused server", "data", typeof d, d));
      socket.resume();
    }, 20);
    follow("paused server", socket);
  });
  const port = await listening(server);
  const client = follow("paused client", net.connect(port, "127.0.0.1"));
  client.end("while it is paused");
  await closed(client);
  await ended(server);
}

await exchange("a", "client");
await exchange("b", "server");
await halfOpen();
await strings();
await userBuffer();
await emptyUserBuffer();
await pausingUserBuffer();
await encodingAndPause();
