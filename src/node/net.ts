/**
 * `millrace/net`: `net` without any private interface of Node's, for programs that import it by name.
 * Sockets are streams over a connection of the stack, or over a `net.Socket` where the kernel carries
 * it; decided as for preloaded programs (docs/node.md), which get the better `net`: this one has a
 * stream more.
 */
import kernelNet from "node:net";
import { Server, type ServerOptions } from "./net-server.js";
import { type ConnectOptions, connectArguments, Socket } from "./net-socket.js";

export { Server, type ServerOptions } from "./net-server.js";
export { type ConnectOptions, Socket, type SocketOptions } from "./net-socket.js";

export const {
  isIP,
  isIPv4,
  isIPv6,
  BlockList,
  SocketAddress,
  getDefaultAutoSelectFamily,
  setDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamilyAttemptTimeout,
} = kernelNet;

export function createServer(onConnection?: (socket: Socket) => void): Server;
export function createServer(
  options: ServerOptions,
  onConnection?: (socket: Socket) => void,
): Server;
export function createServer(...args: unknown[]): Server {
  const [first, second] = args;
  return typeof first === "function"
    ? new Server({}, first as (socket: Socket) => void)
    : new Server((first ?? {}) as ServerOptions, second as ((socket: Socket) => void) | undefined);
}

export function connect(options: ConnectOptions, connected?: () => void): Socket;
export function connect(port: number, host?: string, connected?: () => void): Socket;
export function connect(port: number, connected?: () => void): Socket;
export function connect(...args: unknown[]): Socket {
  const { options, callback } = connectArguments(args);
  return new Socket(options).connect(options, callback ?? undefined);
}
export const createConnection = connect;

export default {
  Socket,
  Server,
  createServer,
  connect,
  createConnection,
  isIP,
  isIPv4,
  isIPv6,
  BlockList,
  SocketAddress,
  getDefaultAutoSelectFamily,
  setDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamilyAttemptTimeout,
};
