/**
 * The server of a contestant, in a process of its own: echoes datagrams, swallows streams and says how
 * many bytes came, answers HTTP. Prints the ports as JSON when it is ready; ends with its standard input.
 *
 *     peer.js kernel
 *     peer.js memif PATH
 *
 * `polled` on its standard input makes the memif one echo with polled sockets, and nothing else, until
 * a datagram of one byte comes.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import type { Duplex } from "node:stream";
import { createHost, type Host, IpAddress, openMemif } from "../../src/index.js";
import { LOOPBACK, type Ports, SERVER, SPIN_US } from "./meeting.js";
import { ANSWER } from "./streams.js";

const POLLED_LIMIT_MS = 120_000;
const MOST_BYTES = 2_048;

const [kind, path = ""] = process.argv.slice(2);
process.stdin.on("end", () => process.exit(0));
const ports = kind === "kernel" ? await kernel() : await memif(path);
console.log(JSON.stringify(ports));
process.stdin.resume();

async function kernel(): Promise<Ports> {
  const udp = createSocket("udp4", (data, from) => udp.send(data, from.port, from.address));
  const tcp = createServer({ allowHalfOpen: true }, (socket) => count(socket));
  const http = createHttpServer((_request, response) => response.end(ANSWER));
  udp.bind(0, LOOPBACK);
  tcp.listen(0, LOOPBACK);
  http.listen(0, LOOPBACK);
  await Promise.all([udp, tcp, http].map((server) => once(server, "listening")));
  const portOf = (address: unknown): number => (address as AddressInfo).port;
  return {
    udp: udp.address().port,
    tcp: portOf(tcp.address()),
    http: portOf(http.address()),
    polled: 0,
  };
}

async function memif(socket: string): Promise<Ports> {
  const device = openMemif({ path: socket, role: "server" });
  const host = createHost({ device, addresses: [`${SERVER}/24`], spinUs: SPIN_US });
  const ports: Ports = { udp: 7, polled: 8, tcp: 5001, http: 80 };
  const udp = await host.udp({ port: ports.udp });
  const sink = await host.listen({ port: ports.tcp });
  const web = await host.listen({ port: ports.http, noDelay: true });
  const http = createHttpServer((_request, response) => response.end(ANSWER));
  void (async () => {
    for await (const message of udp) await udp.send(message.data, message);
  })();
  void (async () => {
    for await (const connection of sink) count(connection);
  })();
  void (async () => {
    for await (const connection of web) http.emit("connection", connection);
  })();
  process.stdin.on("data", () => echoPolled(host, ports.polled));
  return ports;
}

/** Reads to the end, and answers how much it was. */
function count(stream: Duplex): void {
  let bytes = 0;
  stream.on("data", (chunk: Uint8Array) => {
    bytes += chunk.length;
  });
  stream.on("end", () => stream.end(`${bytes}`));
}

/** Echoes without promises, and without ever sleeping, until a datagram of one byte comes. */
function echoPolled(host: Host, port: number): void {
  const socket = host.stack.udpSocket();
  socket.bind(IpAddress.parse(SERVER), port);
  console.log("polling");
  const data = new Uint8Array(MOST_BYTES);
  host.runUntil(() => {
    const n = socket.receive(data);
    if (n > 0) socket.send(data, 0, n, socket.from, socket.fromPort);
    return n === 1;
  }, POLLED_LIMIT_MS);
  socket.close();
}
