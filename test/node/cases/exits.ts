/** When a process ends: this runs itself again, once for each way to be unreferenced. */
import { spawnSync } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import { listening } from "../support/sockets.js";
import { trace } from "../support/trace.js";

const ways: Record<string, () => Promise<void>> = {
  "a closed server": async () => {
    const server = net.createServer();
    await listening(server);
    server.close();
  },
  "an unreferenced server": async () => {
    const server = net.createServer();
    await listening(server);
    server.unref();
  },
  "an unreferenced datagram socket": async () => {
    const socket = dgram.createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    socket.unref();
  },
  "an unreferenced connection": async () => {
    const server = net.createServer((socket) => void socket.unref().resume());
    const client = net.connect(await listening(server), "127.0.0.1");
    await once(client, "connect");
    client.unref();
    server.unref();
  },
  "a connection that does not read": async () => {
    const server = net.createServer({ pauseOnConnect: true }, (socket) => {
      socket.pause();
      server.unref();
      client.pause();
      setImmediate(() => client.unref());
    });
    const client = net.connect(await listening(server), "127.0.0.1");
  },
  "a server that is referenced again": async () => {
    const server = net.createServer();
    await listening(server);
    server.unref().ref();
    setTimeout(() => process.exit(3), 100).unref();
    setTimeout(() => {}, 50);
  },
  "an unreferenced TLS connection to another process": async () => {
    tls.connect(Number(process.argv[3]), "127.0.0.1").unref();
  },
  "process.exit": async () => {
    const server = net.createServer((socket) => {
      socket.end("bye", () => process.exit(4));
    });
    net.connect(await listening(server), "127.0.0.1").resume();
  },
  "an uncaught exception": async () => {
    const server = net.createServer(() => {
      throw new Error("nobody catches this");
    });
    net.connect(await listening(server), "127.0.0.1");
  },
};

const chosen = process.argv[2];
if (chosen !== undefined) {
  process.on("exit", (code) => console.log(`exit ${code}`));
  await ways[chosen]!();
} else {
  // Accepted by the kernel, and never answered: this process waits for the others.
  const silent = net.createServer();
  const port = await listening(silent);
  for (const way of Object.keys(ways)) {
    const { status, stdout, signal } = spawnSync(
      process.execPath,
      [...process.execArgv, fileURLToPath(import.meta.url), way, `${port}`],
      { encoding: "utf8", timeout: 60_000, env: { ...process.env, MILLRACE_DEBUG: "" } },
    );
    trace(way, status ?? signal ?? "", stdout);
  }
  silent.close();
  // That this process is accelerated, too.
  const server = net.createServer((socket) => socket.end());
  const client = net.connect(await listening(server), "127.0.0.1").resume();
  await once(client, "close");
  server.close();
}
