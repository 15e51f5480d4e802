/** The kernel's sockets on the loopback interface, as Node's own modules use them; two processes. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { Agent } from "node:http";
import { connect } from "node:net";
import { LOOPBACK, Peer } from "./meeting.js";
import { httpGet, sendAll } from "./streams.js";
import type { Contestant, HttpClient, UdpEnd } from "./work.js";

export async function kernelContestant(): Promise<Contestant> {
  const peer = await Peer.start("kernel");
  const { udp, tcp, http } = peer.ports;
  return {
    name: "Linux to Linux, loopback",
    udp: () => kernelUdpClient(LOOPBACK, udp),
    transfer: (bytes) =>
      sendAll(connect({ port: tcp, host: LOOPBACK, allowHalfOpen: true }), bytes),
    http: async () => kernelHttpClient(LOOPBACK, http),
    close: () => peer.close(),
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

/** The kernel's end of HTTP with any server. */
export function kernelHttpClient(host: string, port: number): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    request: () => httpGet({ host, port, agent }),
    close: () => agent.destroy(),
  };
}
