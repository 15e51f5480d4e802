/** A program that imports `net` and `dgram` by the names that it is given. */
import { getEventListeners, once } from "node:events";
import { createServer as createHttp } from "node:http";

const [netName = "node:net", dgramName = "node:dgram"] = process.argv.slice(2);
const net = ((await import(netName)) as { default: typeof import("node:net") }).default;
const dgram = ((await import(dgramName)) as { default: typeof import("node:dgram") }).default;

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on("data", (d) => socket.write(`${d} answered`));
  socket.on("end", () => console.log("server: end"));
  socket.on("close", (hadError) => console.log("server: close", hadError));
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port, family } = server.address() as import("node:net").AddressInfo;
console.log(family, server.listening);
const client = net.connect({ port, host: "127.0.0.1" }, () => console.log("client: connected"));
client.setNoDelay(true).setTimeout(5_000);
client.write("question");
console.log(String((await once(client, "data"))[0]), client.remoteAddress, client.bytesRead);
client.end();
await once(client, "close");
const large = net.connect(port, "localhost");
large.on("error", (e) => console.log("large:", (e as NodeJS.ErrnoException).code));
large.destroy();

const echo = net.createServer((socket) => socket.pipe(socket));
echo.listen(0, "127.0.0.1");
await once(echo, "listening");
const bulk = net.connect((echo.address() as { port: number }).port, "127.0.0.1");
bulk.end(Buffer.alloc(1_000_000, "n"));
let n = 0;
for await (const d of bulk) n += (d as Buffer).length;
console.log(n);
echo.close();

const refused = net.connect(1, "127.0.0.1");
const [e] = await once(refused, "error");
console.log(e.code, e.syscall, e.address, e.port);

// A name with an address where nobody listens, and one where somebody does.
const both: import("node:net").LookupFunction = (_host, options, done) => {
  const six = { address: "::1", family: 6 };
  const four = { address: "127.0.0.1", family: 4 };
  if (options.all === true) done(null, [six, four]);
  else done(null, "127.0.0.1", 4);
};
for (const to of [port, 1]) {
  const several = net.connect({
    port: to,
    host: "a.test",
    lookup: both,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 10_000,
  });
  several.on("lookup", (_e, address, of) => console.log("lookup", address, of));
  several.on("connectionAttempt", (address, _port, of) => console.log("attempt", address, of));
  several.on("connectionAttemptFailed", (address, _port, of, e) =>
    console.log("failed", address, of, (e as NodeJS.ErrnoException).code),
  );
  several.on("error", (e) => {
    const { code, errors } = e as AggregateError & { code: string };
    console.log(e.name, code, errors.map((one) => [one.code, one.address]).join(" "));
  });
  several.once("connect", () => several.end());
  several.resume();
  await new Promise<void>((resolve) => several.once("close", () => resolve()));
  console.log(several.autoSelectFamilyAttemptedAddresses?.length);
}

const http = createHttp((_request, response) => response.end("page"));
const web = net.createServer((socket) => http.emit("connection", socket));
web.listen(0, "127.0.0.1");
await once(web, "listening");
const raw = net.connect((web.address() as { port: number }).port, "127.0.0.1");
raw.end("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
let page = "";
for await (const d of raw) page += String(d);
console.log(page.split("\r\n").at(-1));
web.close();
server.close();

const receiver = dgram.createSocket("udp4");
receiver.on("message", (m, from) => receiver.send(`${m} answered`, from.port, from.address));
receiver.bind(0, "127.0.0.1");
await once(receiver, "listening");
const sender = dgram.createSocket({ type: "udp4" });
sender.send(["in ", "parts"], receiver.address().port, "127.0.0.1", (error, sent) => {
  console.log("sent", error, sent);
});
const [m, from] = await once(sender, "message");
console.log(String(m), from.size);
sender.close();
await once(sender, "close");
const connected = dgram.createSocket("udp4");
connected.connect(receiver.address().port, "127.0.0.1");
await once(connected, "connect");
connected.send("to the peer");
console.log(String((await once(connected, "message"))[0]), connected.remoteAddress().family);
connected.close();
receiver.close();
const giveUp = new AbortController();
const short = dgram.createSocket({ type: "udp4", signal: giveUp.signal });
short.close();
await once(short, "close");
console.log("listeners of a signal:", getEventListeners(giveUp.signal, "abort").length);

// What is thrown in listeners is an uncaught exception, and all goes on.
const failures: string[] = [];
process.on("uncaughtException", (error: Error) => failures.push(error.message));
const thrower = net.createServer((socket) => {
  socket.on("error", () => {});
  socket.pipe(socket);
  throw new Error("accepting");
});
thrower.listen(0, "127.0.0.1");
await once(thrower, "listening");
const throwerPort = (thrower.address() as { port: number }).port;
for (const word of ["one", "two"]) {
  const throwing = net.connect(throwerPort, "127.0.0.1");
  throwing.write(word);
  console.log(throwing.readyState);
  await new Promise<void>((resolve) => {
    throwing.once("data", (data) => {
      console.log(String(data), throwing.readyState);
      resolve();
      throw new Error(`reading ${word}`);
    });
  });
  throwing.destroy();
  await once(throwing, "close");
  console.log(throwing.readyState);
}
const hearer = dgram.createSocket({ type: "udp4", recvBufferSize: 20_000 });
hearer.bind(0, "127.0.0.1");
await once(hearer, "listening");
for (const word of ["one", "two"]) {
  const heard = new Promise<void>((resolve) => {
    hearer.once("message", () => {
      resolve();
      throw new Error(`hearing ${word}`);
    });
  });
  hearer.send(word, hearer.address().port, "127.0.0.1");
  await heard;
}
await new Promise((resolve) => setImmediate(resolve));
console.log(failures.sort().join());

/** What a call throws. */
function thrown(name: string, call: () => unknown): void {
  try {
    console.log(name, call());
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    console.log(name, code, code?.startsWith("ERR_") === true ? message : "");
  }
}
thrown("listen again", () => void thrower.listen(0));
thrown("port", () => net.connect(65_536));
thrown("local address", () =>
  net.connect({ port: throwerPort, host: "127.0.0.1", localAddress: "a" }),
);
await new Promise<void>((resolve) => {
  const early = net.connect(throwerPort, "127.0.0.1");
  early.write("x", (error) => {
    console.log((error as NodeJS.ErrnoException | null | undefined)?.code);
    resolve();
  });
  early.destroy();
});
const never = new net.Socket();
never.resetAndDestroy();
console.log(((await once(never, "error")) as [NodeJS.ErrnoException])[0].code);
const slow = net.connect({ port: throwerPort, host: "slow.test", lookup: () => {} });
slow.setTimeout(10, () => console.log("timeout", slow.timeout, slow.connecting));
await once(slow, "timeout");
slow.destroy();
thrower.close();
await once(thrower, "close");
await new Promise<void>((resolve) => {
  thrower.close((error) => {
    console.log((error as NodeJS.ErrnoException | undefined)?.code);
    resolve();
  });
});

const full = net.createServer((socket) => socket.resume());
full.maxConnections = 1;
full.on("drop", (data) => console.log(Object.keys(data ?? {}).join()));
full.listen(0, "127.0.0.1");
await once(full, "listening");
const fullPort = (full.address() as { port: number }).port;
const accepted = net.connect(fullPort, "127.0.0.1");
await once(full, "connection");
const dropped = net.connect(fullPort, "127.0.0.1");
await new Promise<void>((resolve) => {
  dropped.on("error", () => {});
  dropped.on("close", () => resolve());
  dropped.resume();
});
accepted.destroy();
full.close();

thrown("remote", () => hearer.remoteAddress());
thrown("disconnect", () => hearer.disconnect());
thrown("bind", () => void hearer.bind(0));
thrown("send port", () => hearer.send("x", 0));
thrown("send range", () => hearer.send(Buffer.alloc(3), 2, 5, 9));
thrown("ttl", () => hearer.setTTL(0));
thrown("sizes", () => [hearer.getRecvBufferSize(), hearer.setSendBufferSize(20_000)]);
thrown("sizes", () => hearer.getSendBufferSize());
thrown("interface", () => hearer.setMulticastInterface("127.0.0.1"));
hearer.connect(hearer.address().port, "127.0.0.1");
thrown("connect", () => hearer.connect(9));
await once(hearer, "connect");
thrown("remote", () => hearer.remoteAddress().address);
thrown("disconnect", () => hearer.disconnect());
hearer.close();
thrown("close", () => hearer.close());
thrown("send", () => hearer.send("x", 9));
