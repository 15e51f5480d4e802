/** The kernel's sockets on the loopback interface, as Node's own modules use them. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { Agent, createServer as createHttpServer, get, type RequestOptions } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import type { Contestant, UdpEnd } from "./work.js";

const HOST = "127.0.0.1";
const CHUNK = new Uint8Array(65_536);

export function kernelContestant(): Contestant {
  return {
    name: "kernel, loopback",
    udp: kernelUdp,
    transfer: kernelTransfer,
    http: kernelHttp,
    close: async () => {},
  };
}

async function kernelUdp(): Promise<UdpEnd> {
  const server = createSocket("udp4", (data, from) => server.send(data, from.port, from.address));
  server.bind(0, HOST);
  await once(server, "listening");
  const client = createSocket("udp4");
  client.connect(server.address().port, HOST);
  await once(client, "connect");
  return {
    send: (data) => client.send(data),
    onMessage: (listener) => client.on("message", listener),
    close: () => {
      client.close();
      server.close();
    },
  };
}

async function kernelTransfer(bytes: number): Promise<void> {
  const server = createServer();
  server.listen(0, HOST);
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, HOST);
  const [sink] = await once(server, "connection");
  const done = (async () => {
    for await (const chunk of sink) void chunk;
  })();
  await writeAll(client, bytes);
  await done;
  server.close();
}

/** Writes with backpressure, then ends the stream. */
export async function writeAll(stream: NodeJS.WritableStream, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    if (!stream.write(left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK)) {
      await once(stream, "drain");
    }
  }
  stream.end();
}

async function kernelHttp(): Promise<{ request(): Promise<void>; close(): void }> {
  const server = createHttpServer((_request, response) => response.end("hello\n"));
  server.listen(0, HOST);
  await once(server, "listening");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const { port } = server.address() as AddressInfo;
  return {
    request: () => httpGet({ host: HOST, port, agent }),
    close: () => {
      agent.destroy();
      server.close();
    },
  };
}

/** One GET, its answer read to the end. */
export function httpGet(options: RequestOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    get(options, (response) => {
      response.resume();
      response.on("end", resolve);
      response.on("error", reject);
    }).on("error", reject);
  });
}
