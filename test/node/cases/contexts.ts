/** Asynchronous contexts, the order of ticks, and exceptions that somebody catches. */
import { AsyncLocalStorage } from "node:async_hooks";
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { closed, ended, listening } from "../support/sockets.js";
import { trace } from "../support/trace.js";

const store = new AsyncLocalStorage<string>();
const here = (): string => store.getStore() ?? "none";

async function contexts(): Promise<void> {
  const server = store.run("server", () =>
    net.createServer((socket) => {
      trace("context", "accepted in", here());
      store.run("handler", () => {
        socket.on("data", (d) => {
          trace("context server", "data in", here());
          socket.write(d, () => trace("context server", "written in", here()));
        });
      });
      socket.on("close", () => trace("context server", "closed in", here()));
    }),
  );
  const port = await store.run("listen", () => listening(server));
  const client = store.run("client", () => net.connect(port, "127.0.0.1"));
  client.on("connect", () => {
    trace("context client", "connect in", here());
    store.run("write", () =>
      client.write("x", () => trace("context client", "written in", here())),
    );
  });
  client.on("data", () => {
    trace("context client", "data in", here());
    store.run("end", () => client.end());
  });
  await closed(client);
  await ended(server);
  const socket = store.run("udp", () => dgram.createSocket("udp4"));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  socket.on("message", () => trace("context udp", "message in", here()));
  store.run("send", () => socket.send("x", socket.address().port, "127.0.0.1"));
  await once(socket, "message");
  socket.close();
}

/** Each event's ticks and microtasks run before the next event. */
async function order(): Promise<void> {
  const server = net.createServer((socket) => {
    socket.on("data", (d) => {
      trace("order", "data", d.toString());
      process.nextTick(() => trace("order", "tick"));
      Promise.resolve().then(() => trace("order", "microtask"));
      queueMicrotask(() => process.nextTick(() => trace("order", "tick of a microtask")));
    });
    socket.on("end", () => trace("order", "end"));
  });
  const port = await listening(server);
  const client = net.connect(port, "127.0.0.1");
  client.end("once");
  client.resume();
  await closed(client);
  await ended(server);
}

/** Nothing arrives before the code that is running, ticks and promises included, is done. */
async function notTooSoon(): Promise<void> {
  const socket = dgram.createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  socket.send("soon", socket.address().port, "127.0.0.1");
  for (let i = 0; i < 10; i++) await null;
  await new Promise<void>((resolve) => process.nextTick(resolve));
  for (let i = 0; i < 10; i++) await null;
  const [message] = await once(socket, "message");
  trace("not too soon", String(message));
  socket.close();
}

async function exceptions(): Promise<void> {
  const caught: string[] = [];
  const onUncaught = (e: Error): void => void caught.push(e.message);
  process.on("uncaughtException", onUncaught);
  const server = net.createServer((socket) => {
    socket.on("data", (d) => {
      const text = d.toString();
      socket.write(`${text} back`);
      if (text.startsWith("throw")) throw new Error(text);
      if (text.startsWith("tick")) {
        process.nextTick(() => {
          throw new Error(text);
        });
      }
      if (text.startsWith("promise")) Promise.reject(new Error(text));
    });
  });
  const port = await listening(server);
  for (const text of ["throw 1", "tick 2", "promise 3", "nothing", "throw 4"]) {
    const client = net.connect(port, "127.0.0.1");
    client.write(text);
    const [answer] = await once(client, "data");
    trace("exceptions", String(answer));
    client.end();
    await closed(client);
  }
  await ended(server);
  process.off("uncaughtException", onUncaught);
  trace("exceptions", caught);
}

/** The listener that hears of an end throws, and so does its tick: other connections go on. */
async function exceptionsAfterEnd(): Promise<void> {
  const caught: string[] = [];
  const onUncaught = (e: Error): void => void caught.push(e.message);
  process.on("uncaughtException", onUncaught);
  const server = net.createServer((socket) => socket.pipe(socket));
  const port = await listening(server);
  const [thrower, other] = [net.connect(port, "127.0.0.1"), net.connect(port, "127.0.0.1")];
  await Promise.all([once(thrower, "connect"), once(other, "connect")]);
  thrower.resume().on("finish", () => {
    process.nextTick(() => {
      throw new Error("tick");
    });
    throw new Error("finish");
  });
  setTimeout(() => thrower.end("bye"), 50);
  await closed(thrower);
  other.end("on");
  const [answer] = await once(other, "data");
  trace("exceptions after the end", String(answer), caught);
  await ended(server);
  process.off("uncaughtException", onUncaught);
}

await contexts();
await order();
await notTooSoon();
await exceptions();
await exceptionsAfterEnd();
