/** The kernel's sockets on the loopback interface, as Node's own modules use them. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { Agent, createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { ANSWER, httpGet, readAll, writeAll } from "./streams.js";
import type { Contestant, HttpClient, UdpEnd } from "./work.js";

const LOOPBACK = "127.0.0.1";

export function kernelContestant(): Contestant {
  return {
    name: "Linux to Linux, loopback",
    udp: kernelUdp,
    transfer: kernelTransfer,
    http: kernelHttp,
    close: async () => {},
  };
}

async function kernelUdp(): Promise<UdpEnd> {
  const server = createSocket("udp4", (data, from) => server.send(data, from.port, from.address));
  server.bind(0, LOOPBACK);
  await once(server, "listening");
  const client = await kernelUdpClient(LOOPBACK, server.address().port);
  return {
    ...client,
    close: () => {
      client.close();
      server.close();
    },
  };
}

/** The kernel's end of a UDP ping-pong with any server. */
export async function kernelUdpClient(address: string, port: number): Promise<UdpEnd> {
  const client = createSocket("udp4");
  client.connect(port, address);
  await once(client, "connect");
  return {
    send: (data) => client.send(data),
    onMessage: (listener) => client.on("message", listener),
    close: () => client.close(),
  };
}

async function kernelTransfer(bytes: number): Promise<void> {
  const server = createServer();
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, LOOPBACK);
  const [sink] = await once(server, "connection");
  await Promise.all([readAll(sink, bytes), writeAll(client, bytes)]);
  server.close();
}

async function kernelHttp(): Promise<HttpClient> {
  const server = createHttpServer((_request, response) => response.end(ANSWER));
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  const client = kernelHttpClient(LOOPBACK, (server.address() as AddressInfo).port);
  return {
    ...client,
    close: () => {
      client.close();
      server.close();
    },
  };
}

/** The kernel's end of HTTP with any server. */
export function kernelHttpClient(host: string, port: number): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    request: () => httpGet({ host, port, agent }),
    close: () => agent.destroy(),
  };
}
