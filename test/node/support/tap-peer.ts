/**
 * The kernel's end of a TAP whose other end is an accelerated program's: answers, asks, and says what
 * it has seen. Runs on the kernel's sockets, in the test's namespace.
 */
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";

export const KERNEL = "10.78.0.1";
export const PROGRAM = "10.78.0.2";
export const GROUP = "239.78.0.1";

/** Everything that a connection to `port` is answered with, after `question`. */
export async function ask(port: number, question: string): Promise<string> {
  const socket = net.connect(port, PROGRAM);
  socket.end(question);
  let text = "";
  for await (const d of socket) text += String(d);
  return text;
}

/** A server of the kernel that gives back what it is sent, and how much. */
export async function echoServer(): Promise<net.Server> {
  const server = net.createServer((socket) => socket.on("error", () => {}).pipe(socket));
  server.listen(0, KERNEL);
  await once(server, "listening");
  return server;
}

/** A datagram socket of the kernel's, bound to its address. */
export async function datagrams(address = KERNEL): Promise<dgram.Socket> {
  const socket = dgram.createSocket({ type: "udp4", reuseAddr: true });
  socket.bind(0, address);
  await once(socket, "listening");
  return socket;
}
