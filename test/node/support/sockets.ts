/** What the cases do again and again. */
import { once } from "node:events";
import type net from "node:net";
import { errorText, trace } from "./trace.js";

export async function listening(
  server: net.Server,
  options: net.ListenOptions = {},
): Promise<number> {
  server.listen({ port: 0, host: "127.0.0.1", ...options });
  await once(server, "listening");
  return (server.address() as net.AddressInfo).port;
}

/** Traces what happens to a socket. */
export function follow(party: string, socket: net.Socket): net.Socket {
  socket.on("lookup", (_e, address, family) => trace(party, "lookup", address, String(family)));
  socket.on("connect", () => trace(party, "connect"));
  socket.on("ready", () => trace(party, "ready"));
  socket.on("end", () => trace(party, "end"));
  socket.on("finish", () => trace(party, "finish"));
  socket.on("timeout", () => trace(party, "timeout"));
  socket.on("error", (e) => trace(party, "error", errorText(e)));
  socket.on("close", (hadError) => {
    trace(party, "close", hadError, "read", socket.bytesRead, "written", socket.bytesWritten);
  });
  return socket;
}

/** Resolves when the socket is closed, with an error or without. */
export const closed = (socket: net.Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.on("close", () => resolve());
  });

export const ended = (server: net.Server): Promise<void> =>
  new Promise((resolve) => server.close(() => resolve()));
