/** Much data, slow readers, timers. */
import { once } from "node:events";
import net from "node:net";
import { pipeline } from "node:stream/promises";
import { closed, ended, follow, listening } from "../support/sockets.js";
import { trace } from "../support/trace.js";

/** A reader that does not read stops the writer; then everything arrives. */
async function backpressure(): Promise<void> {
  const chunk = Buffer.alloc(65_536, "b");
  let received = 0;
  const server = net.createServer((socket) => {
    socket.pause();
    socket.on("data", (d) => {
      received += d.length;
    });
    setTimeout(() => socket.resume(), 50);
  });
  const port = await listening(server);
  const client = net.connect({ port, host: "127.0.0.1" });
  await once(client, "connect");
  let sent = 0;
  while (client.writableLength < 4_000_000) {
    const goesOn = client.write(chunk);
    sent += chunk.length;
    if (sent === chunk.length)
      trace("flow client", "first write", goesOn, client.writableHighWaterMark);
  }
  trace("flow client", "stopped", client.writableNeedDrain, client.bufferSize > 0);
  await once(client, "drain");
  trace("flow client", "drain", client.writableLength, client.bytesWritten === sent);
  client.end();
  await closed(client);
  trace("flow server", "received all", received === sent);
  await ended(server);
}

async function highWaterMark(): Promise<void> {
  const server = net.createServer({ highWaterMark: 1_024 }, (socket) => {
    trace("hwm server", socket.readableHighWaterMark, socket.writableHighWaterMark);
    socket.end(Buffer.alloc(100_000, "h"));
  });
  const port = await listening(server);
  const client = net.connect({ port, host: "127.0.0.1" });
  let n = 0;
  for await (const d of client) n += (d as Buffer).length;
  trace("hwm client", n, client.bytesRead);
  await ended(server);
}

async function echoStream(): Promise<void> {
  const server = net.createServer((socket) => {
    pipeline(socket, socket).catch(() => {});
  });
  const port = await listening(server);
  const client = net.connect({ port, host: "127.0.0.1", noDelay: true, keepAlive: true });
  let n = 0;
  let wrong = 0;
  client.on("data", (d: Buffer) => {
    for (const byte of d) if (byte !== n++ % 251) wrong++;
  });
  let at = 0;
  for (const size of [1, 2, 1_000, 65_535, 65_536, 65_537, 300_000, 7]) {
    client.write(Uint8Array.from({ length: size }, () => at++ % 251));
  }
  client.end();
  await closed(client);
  trace("echo", n, wrong, client.bytesRead, client.bytesWritten);
  await ended(server);
}

async function timeouts(): Promise<void> {
  const server = net.createServer((socket) => socket.resume());
  const port = await listening(server);
  const client = follow("timeout", net.connect(port, "127.0.0.1"));
  await once(client, "connect");
  client.setTimeout(60);
  client.on("timeout", () => {
    trace("timeout", client.timeout ?? -1);
    client.setTimeout(0); // a busy machine takes longer than that to close
    client.end();
  });
  await closed(client);
  await ended(server);
}

async function many(): Promise<void> {
  const server = net.createServer((socket) => socket.pipe(socket));
  const port = await listening(server);
  let echoed = 0;
  await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const client = net.connect(port, "127.0.0.1");
      const text = String(i).repeat(100 + i);
      client.end(text);
      let got = "";
      for await (const d of client) got += String(d);
      if (got === text) echoed++;
    }),
  );
  trace("many", echoed);
  await ended(server);
}

await backpressure();
await highWaterMark();
await echoStream();
await timeouts();
await many();
