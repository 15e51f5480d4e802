/**
 * A program with a server, a connection and a datagram socket on which nothing happens: how much of a
 * processor it uses.
 *
 *     node-idle.js server|client ADDRESS [SECONDS]
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { setTimeout } from "node:timers/promises";

const PORT = 7007;
/** Until V8 has compiled what it likes to, and collected. */
const SETTLE_MS = 2_000;
const [role, address, seconds = "0"] = process.argv.slice(2) as [string, string, string?];

if (role === "server") {
  createServer((socket) => socket.on("error", () => {}).resume()).listen(PORT, address, () => {
    console.log("ready");
  });
} else {
  const datagrams = createSocket("udp4").bind(0);
  await once(datagrams, "listening");
  const socket = connect(PORT, address).resume();
  await once(socket, "connect");
  await setTimeout(SETTLE_MS);
  const before = process.cpuUsage();
  await setTimeout(Number(seconds) * 1e3);
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ cpu_ms_per_s: (user + system) / 1e3 / Number(seconds) }));
  process.exit(0);
}
