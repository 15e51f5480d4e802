/**
 * Millrace's contestants: two hosts joined by a simulated link, and a host joined to the Linux
 * kernel over TAP, where the kernel is the client and Millrace the server.
 *
 * The hosts are as `createHost` makes them: they sleep when there is nothing to do. Only the polled
 * ping-pong never does.
 */
import { spawnSync } from "node:child_process";
import { createServer as createHttpServer, Agent as HttpAgent } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import {
  createHost,
  type Host,
  IpAddress,
  openTap,
  simLink,
  type UdpChannel,
} from "../../src/index.js";
import { kernelHttpClient, kernelUdpClient } from "./kernel.js";
import { ANSWER, httpGet, readAll, writeAll } from "./streams.js";
import {
  type Contestant,
  DATAGRAM_BYTES,
  type HttpClient,
  type PolledUdpEnd,
  type UdpEnd,
} from "./work.js";

const CLIENT = "10.77.0.1";
const SERVER = "10.77.0.2";
const UDP_PORT = 7;
const POLLED_UDP_PORT = 8;
const TCP_PORT = 5001;
const HTTP_PORT = 80;

/** Two hosts, joined by a simulated link. */
export function simContestant(): Contestant {
  const link = simLink();
  const client = createHost({ device: link.a, addresses: [`${CLIENT}/24`] });
  const server = createHost({ device: link.b, addresses: [`${SERVER}/24`] });
  return {
    name: "Millrace to Millrace, simulated link",
    udp: () => simUdp(client, server),
    polledUdp: () => simPolledUdp(client, server),
    transfer: (bytes) =>
      transferTo(server, bytes, () => client.connect({ address: SERVER, port: TCP_PORT })),
    http: () => simHttp(client, server),
    close: async () => {
      client.close();
      server.close();
    },
  };
}

/** A host on a TAP interface of this network namespace. Throws `NetError` when it may not. */
export function tapContestant(): Contestant {
  const tap = openTap();
  const ip = spawnSync("ip", ["address", "add", `${CLIENT}/24`, "dev", tap.name], {
    encoding: "utf8",
  });
  if (ip.status !== 0) throw new Error(`ip address add: ${ip.error?.message ?? ip.stderr.trim()}`);
  const host = createHost({ device: tap, addresses: [`${SERVER}/24`] });
  return {
    name: "Linux to Millrace, over TAP",
    udp: async () => {
      const echo = await echoServer(host);
      const client = await kernelUdpClient(SERVER, UDP_PORT);
      return {
        ...client,
        close: () => {
          client.close();
          echo.close();
        },
      };
    },
    transfer: (bytes) => transferTo(host, bytes, async () => connect(TCP_PORT, SERVER)),
    http: async () => {
      await serveHttp(host);
      return kernelHttpClient(SERVER, HTTP_PORT);
    },
    close: async () => host.close(),
  };
}

async function simUdp(clientHost: Host, serverHost: Host): Promise<UdpEnd> {
  const server = await echoServer(serverHost);
  const client = await clientHost.udp();
  client.connect(SERVER, UDP_PORT);
  return {
    send: (data) => void client.send(data),
    onMessage: async (listener) => {
      for await (const { data } of client) listener(data);
    },
    close: () => {
      client.close();
      server.close();
    },
  };
}

async function echoServer(host: Host): Promise<UdpChannel> {
  const channel = await host.udp({ port: UDP_PORT });
  void (async () => {
    for await (const message of channel) await channel.send(message.data, message);
  })();
  return channel;
}

function simPolledUdp(clientHost: Host, serverHost: Host): PolledUdpEnd {
  const address = IpAddress.parse(SERVER);
  const server = serverHost.stack.udpSocket();
  server.bind(address, POLLED_UDP_PORT);
  const client = clientHost.stack.udpSocket();
  client.connect(address, POLLED_UDP_PORT);
  const data = new Uint8Array(DATAGRAM_BYTES);
  const answer = new Uint8Array(DATAGRAM_BYTES);
  const isAnswered = (): boolean => {
    const n = server.receive(data);
    if (n >= 0) server.send(data, 0, n, server.from, server.fromPort);
    return client.readableBytes > 0;
  };
  return {
    roundTrip: () => {
      client.send(answer);
      if (!clientHost.runUntil(isAnswered, 1_000)) throw new Error("a polled datagram was lost");
      client.receive(answer);
    },
    close: () => {
      client.close();
      server.close();
    },
  };
}

async function transferTo(
  serverHost: Host,
  bytes: number,
  dial: () => Promise<Duplex>,
): Promise<void> {
  const server = await serverHost.listen({ port: TCP_PORT });
  const [client, sink] = await Promise.all([dial(), server.accept()]);
  await Promise.all([readAll(sink!, bytes), writeAll(client, bytes)]);
  client.destroy();
  server.close();
}

async function serveHttp(host: Host): Promise<void> {
  const http = createHttpServer((_request, response) => response.end(ANSWER));
  const server = await host.listen({ port: HTTP_PORT, noDelay: true });
  void (async () => {
    for await (const connection of server) http.emit("connection", connection);
  })();
}

async function simHttp(clientHost: Host, serverHost: Host): Promise<HttpClient> {
  await serveHttp(serverHost);
  const agent = new MillraceAgent(clientHost);
  return {
    request: () => httpGet({ host: SERVER, port: HTTP_PORT, agent }),
    close: () => agent.destroy(),
  };
}

/** Makes `node:http`'s client connect through a Millrace host. */
class MillraceAgent extends HttpAgent {
  private readonly host: Host;

  constructor(host: Host) {
    super({ keepAlive: true, maxSockets: 1 });
    this.host = host;
  }

  override createConnection(
    _options: object,
    done?: (error: Error | null, connection: Duplex) => void,
  ): undefined {
    this.host.connect({ address: SERVER, port: HTTP_PORT }).then(
      (connection) => done?.(null, connection),
      (error) => done?.(error, undefined as never),
    );
  }
}
