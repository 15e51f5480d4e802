/**
 * Millrace's contestants: two processes joined by memif, each with a host of its own; and a host joined
 * to the Linux kernel over TAP, where the kernel is the client and Millrace the server.
 *
 * A host over memif polls for a millisecond before it sleeps, the one over TAP sleeps at once. Only the
 * polled ping-pong never does.
 */
import { spawnSync } from "node:child_process";
import { createServer as createHttpServer, Agent as HttpAgent } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import {
  createHost,
  type Host,
  IpAddress,
  openMemif,
  openTap,
  type UdpChannel,
} from "../../src/index.js";
import { kernelHttpClient, kernelUdpClient } from "./kernel.js";
import { CLIENT, Peer, SERVER, SPIN_US } from "./meeting.js";
import { ANSWER, httpGet, readAll, sendAll, writeAll } from "./streams.js";
import { type Contestant, DATAGRAM_BYTES, type PolledUdpEnd, type UdpEnd } from "./work.js";

const UDP_PORT = 7;
const TCP_PORT = 5001;
const HTTP_PORT = 80;
/** For the other process to be there, on a busy machine. */
const LINK_PATIENCE_MS = 10_000;

/** This process and another, joined by memif. */
export async function memifContestant(): Promise<Contestant> {
  const path = `@millrace-demo-${process.pid}`;
  const peer = await Peer.start("memif", path);
  const { udp, tcp, http, polled } = peer.ports;
  const device = openMemif({ path });
  const host = createHost({ device, addresses: [`${CLIENT}/24`], spinUs: SPIN_US });
  const untilMs = performance.now() + LINK_PATIENCE_MS;
  while (!device.isUp) {
    if (performance.now() > untilMs) throw new Error("the memif link does not come up");
    await sleep(1);
  }
  return {
    name: "Millrace to Millrace, memif",
    udp: () => memifUdp(host, udp),
    polledUdp: async () => {
      await peer.poll();
      return memifPolledUdp(host, polled);
    },
    transfer: async (bytes) => sendAll(await host.connect({ address: SERVER, port: tcp }), bytes),
    http: async () => {
      const agent = new MillraceAgent(host);
      return {
        request: () => httpGet({ host: SERVER, port: http, agent }),
        close: () => agent.destroy(),
      };
    },
    close: async () => {
      host.close();
      await peer.close();
    },
  };
}

/** A host on a TAP interface of this network namespace. Throws `NetError` when it may not. */
export async function tapContestant(): Promise<Contestant> {
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

async function memifUdp(host: Host, port: number): Promise<UdpEnd> {
  const client = await host.udp();
  client.connect(SERVER, port);
  return {
    send: (data) => void client.send(data),
    onMessage: async (listener) => {
      for await (const { data } of client) listener(data);
    },
    close: () => client.close(),
  };
}

async function echoServer(host: Host): Promise<UdpChannel> {
  const channel = await host.udp({ port: UDP_PORT });
  void (async () => {
    for await (const message of channel) await channel.send(message.data, message);
  })();
  return channel;
}

function memifPolledUdp(host: Host, port: number): PolledUdpEnd {
  const client = host.stack.udpSocket();
  client.connect(IpAddress.parse(SERVER), port);
  const data = new Uint8Array(DATAGRAM_BYTES);
  const isAnswered = (): boolean => client.readableBytes > 0;
  return {
    roundTrip: () => {
      client.send(data);
      if (!host.runUntil(isAnswered, LINK_PATIENCE_MS)) throw new Error("a datagram was lost");
      client.receive(data);
    },
    close: () => {
      client.send(data, 0, 1); // the other process may sleep again
      host.runUntil(isAnswered, LINK_PATIENCE_MS);
      client.close();
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
