/** A child with an IPC channel, in which Node has loaded `net` and `dgram` itself, uses its own sockets. */
import { fork } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import tls from "node:tls";
import { fileURLToPath } from "node:url";

const HERE = "127.0.0.1";
const portOf = (server: net.Server): number => (server.address() as net.AddressInfo).port;
const say = (what: unknown): void => void process.send!(what);
const codeOf = (e: unknown): unknown[] => {
  const { code, syscall } = e as NodeJS.ErrnoException;
  return [code, syscall];
};

async function read(options: net.NetConnectOpts): Promise<string> {
  let text = "";
  const socket = net.connect(options);
  for await (const d of socket) text += String(d);
  return `${text} ${socket.bytesRead} read`;
}

async function streams(): Promise<void> {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.setNoDelay(true);
    socket.end("hello");
  });
  server.listen(0, HERE);
  await once(server, "listening");
  const port = portOf(server);
  say(await read({ port, host: HERE, noDelay: true, keepAlive: true }));
  say(await read({ port, host: HERE, localAddress: HERE }));
  const reset = net.connect(port, HERE);
  await once(reset, "connect");
  reset.resetAndDestroy();
  await once(reset, "close");
  server.close();
  await once(server, "close");
  await once(net.connect(port, HERE), "connect").catch((e) => say(codeOf(e)));

  const one = net.createServer().listen(0);
  await once(one, "listening");
  const other = net.createServer().listen(portOf(one));
  await once(other, "listening").catch((e) => say(codeOf(e)));
  one.close();
}

async function protocols(): Promise<void> {
  const server = http.createServer((_, response) => response.end("http")).listen(0, HERE);
  await once(server, "listening");
  say(await (await fetch(`http://${HERE}:${portOf(server)}`)).text());
  const ended = once(server, "close");
  server.close();
  server.closeAllConnections();
  await ended;
  // TLS asks for a class that is not loaded before.
  const plain = net.createServer((socket) => socket.destroy()).listen(0, HERE);
  await once(plain, "listening");
  const secure = tls.connect({ port: portOf(plain), host: HERE });
  await once(secure, "secureConnect").catch((e) => say(codeOf(e)));
  plain.close();
}

async function datagrams(type: dgram.SocketType, here: string): Promise<void> {
  const server = dgram.createSocket(type);
  server.on("message", (m, from) => server.send(`${m} answered`, from.port, from.address));
  server.bind(0, here);
  await once(server, "listening");
  const client = dgram.createSocket(type);
  client.connect(server.address().port, here);
  await once(client, "connect");
  client.send("question");
  const [message, from] = await once(client, "message");
  say([String(message), from.address, from.family]);
  client.close();
  server.close();
}

if (process.send === undefined) {
  const child = fork(fileURLToPath(import.meta.url));
  child.on("message", (what) => console.log(JSON.stringify(what)));
  const [code] = await once(child, "exit");
  console.log("status", code);
} else {
  await streams();
  await protocols();
  await datagrams("udp4", HERE);
  await datagrams("udp6", "::1");
  process.disconnect();
}
