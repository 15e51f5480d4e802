/** Every option and call of a datagram socket, wrong ones included. */
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { inspect } from "node:util";
import { errorText, HERE, HERE6, trace } from "../support/trace.js";

const AT = HERE;

/** What each call gives or throws. */
function each(party: string, calls: Record<string, () => unknown>): void {
  for (const [name, call] of Object.entries(calls)) {
    try {
      const result = call();
      const isSelf = result instanceof dgram.Socket;
      trace(party, name, isSelf ? "itself" : result === undefined ? "undefined" : result);
    } catch (e) {
      trace(party, name, errorText(e));
    }
  }
}

const any = <T>(value: unknown): T => value as T;

async function bound(options: dgram.SocketOptions, at = AT): Promise<dgram.Socket> {
  const socket = dgram.createSocket(options);
  socket.bind(0, at);
  await once(socket, "listening");
  return socket;
}

function calls(socket: dgram.Socket, own: string): Record<string, () => unknown> {
  const group = own.includes(":") ? "ff02::7777" : "239.7.7.7";
  return {
    "ttl 0": () => socket.setTTL(0),
    "ttl 256": () => socket.setTTL(256),
    "ttl text": () => socket.setTTL(any("7")),
    "ttl 255": () => socket.setTTL(255),
    "multicast ttl 256": () => socket.setMulticastTTL(256),
    "multicast ttl 0": () => socket.setMulticastTTL(0),
    "multicast ttl text": () => socket.setMulticastTTL(any("1")),
    "loopback off": () => socket.setMulticastLoopback(false),
    "loopback 7": () => socket.setMulticastLoopback(any(7)),
    "broadcast on": () => socket.setBroadcast(true),
    "broadcast off": () => socket.setBroadcast(false),
    "interface text": () => socket.setMulticastInterface("nowhere"),
    "interface none": () => socket.setMulticastInterface(any(undefined)),
    "interface nobody's": () => socket.setMulticastInterface("192.0.2.77"),
    "group none": () => socket.addMembership(any(undefined)),
    "group unicast": () => socket.addMembership(own),
    "group text": () => socket.addMembership("group"),
    "group at nobody's": () => socket.addMembership(group, "192.0.2.77"),
    "leave never joined": () => socket.dropMembership(group),
    "source none": () => socket.addSourceSpecificMembership(any(undefined), group),
    "source number": () => socket.addSourceSpecificMembership(any(1), group),
    "source's group none": () => socket.addSourceSpecificMembership(own, any(undefined)),
    "source's group unicast": () => socket.addSourceSpecificMembership(own, own),
    "leave source never joined": () => socket.dropSourceSpecificMembership(own, group),
    "receive buffer 0": () => socket.setRecvBufferSize(0),
    "receive buffer -1": () => socket.setRecvBufferSize(-1),
    "receive buffer text": () => socket.setRecvBufferSize(any("8")),
    "receive buffer 2**31": () => socket.setRecvBufferSize(2 ** 31),
    "receive buffer 1": () => socket.setRecvBufferSize(1),
    "receive buffer is": () => socket.getRecvBufferSize(),
    "receive buffer 20000": () => socket.setRecvBufferSize(20_000),
    "receive buffer is now": () => socket.getRecvBufferSize(),
    "receive buffer 2**30": () => socket.setRecvBufferSize(2 ** 30),
    "send buffer 1": () => socket.setSendBufferSize(1),
    "send buffer is": () => socket.getSendBufferSize(),
    "send buffer 20000": () => socket.setSendBufferSize(20_000),
    "send buffer is now": () => socket.getSendBufferSize(),
    "send buffer 2**30": () => socket.setSendBufferSize(2 ** 30),
    queue: () => [socket.getSendQueueSize(), socket.getSendQueueCount()],
    remote: () => socket.remoteAddress(),
    disconnect: () => socket.disconnect(),
    "bind again": () => socket.bind(0),
    "connect port 0": () => socket.connect(0, own),
    "connect port text": () => socket.connect(any("x"), own),
    "send nothing": () => any<dgram.Socket>(socket).send(any(undefined), 1, own),
    "send number": () => socket.send(any(7), 1, own),
    "send list of numbers": () => socket.send(any([7]), 1, own),
    "send to no port": () => socket.send("x", any(undefined), own),
    "send to port 0": () => socket.send("x", 0, own),
    "send to port 65536": () => socket.send("x", 65_536, own),
    "send to no address": () => socket.send("x", 9, any(7)),
    "send beyond the end": () => socket.send(Buffer.alloc(4), 2, 8, 9, own),
    "send from beyond the end": () => socket.send(Buffer.alloc(4), 8, 1, 9, own),
    ref: () => socket.ref(),
    unref: () => socket.unref(),
  };
}

/** Before the socket is bound, when it is, and after its end. */
async function states(options: dgram.SocketOptions, own: string): Promise<void> {
  const name = `${options.type}`;
  const early = dgram.createSocket(options);
  each(`${name} early`, {
    address: () => early.address(),
    broadcast: () => early.setBroadcast(true),
    "receive buffer": () => early.getRecvBufferSize(),
    queue: () => [early.getSendQueueSize(), early.getSendQueueCount()],
    disconnect: () => early.disconnect(),
    remote: () => early.remoteAddress(),
  });
  early.close();
  const socket = await bound(options, own);
  each(name, calls(socket, own));
  socket.close();
  each(`${name} late`, {
    address: () => socket.address(),
    send: () => socket.send("x", 9, own),
    bind: () => socket.bind(0),
    connect: () => socket.connect(9, own),
    ttl: () => socket.setTTL(4),
    ref: () => socket.ref(),
  });
}

function created(): void {
  for (const options of [
    "udp5",
    {},
    undefined,
    { type: "udp4", lookup: "x" },
    { type: "udp4", signal: "x" },
    { type: "udp4", recvBufferSize: "x" },
    { type: "udp4", receiveBlockList: "x" },
  ]) {
    each("create", {
      [JSON.stringify(options) ?? "none"]: () => void dgram.createSocket(any(options)),
    });
  }
}

async function bufferOptions(): Promise<void> {
  const socket = await bound({ type: "udp4", recvBufferSize: 30_000, sendBufferSize: 40_000 });
  trace("buffers", socket.getRecvBufferSize(), socket.getSendBufferSize());
  socket.close();
}

async function sharing(): Promise<void> {
  for (const how of ["reuseAddr", "reusePort", "ipv6Only", "exclusive"]) {
    const six = how === "ipv6Only";
    const one = dgram.createSocket({ type: six ? "udp6" : "udp4", [how]: true });
    const other = dgram.createSocket({ type: "udp4", ...(six ? {} : { [how]: true }) });
    for (const s of [one, other]) s.on("error", (e) => trace(how, errorText(e)));
    one.bind(0, six ? "::" : AT);
    await once(one, "listening").catch(() => {});
    other.bind({ port: one.address().port, address: six ? "0.0.0.0" : AT, exclusive: true });
    await once(other, "listening").catch(() => {});
    trace(how, "done");
    one.close();
    other.close();
  }
}

/** Names: what `lookup` is asked, and what its answers do. */
async function names(): Promise<void> {
  const server = await bound({ type: "udp4" });
  const { port } = server.address();
  for (const [name, answer] of Object.entries<[Error | null, string, number]>({
    good: [null, AT, 4],
    failed: [Object.assign(new Error("no"), { code: "ENO" }), "", 4],
    "of six": [null, "::1", 6],
    "no address": [null, "nonsense", 4],
  })) {
    const client = dgram.createSocket({
      type: "udp4",
      lookup: (host, options, done) => {
        trace(name, "asked", host, options);
        if (host === "example.test") done(...answer);
        else done(null, host, 4);
      },
    });
    client.on("error", (e) => trace(name, "error", errorText(e)));
    const sent = new Promise<void>((resolve) => {
      client.send("x", port, "example.test", (e, n) => {
        trace(name, "sent", e === null ? n : errorText(e));
        resolve();
      });
      client.once("error", () => resolve());
    });
    await sent;
    client.close();
  }
  server.close();
}

/** Connecting: told, failing, again, and to whom. */
async function connecting(): Promise<void> {
  const server = await bound({ type: "udp4" });
  const client = dgram.createSocket("udp4");
  client.on("connect", () => trace("connect", "event"));
  client.connect(server.address().port, AT, () => trace("connect", "callback"));
  await once(client, "connect");
  each("connect", {
    "send to an address": () => client.send("x", 9, AT),
    queue: () => [client.getSendQueueSize(), client.getSendQueueCount()],
  });
  client.send(Buffer.from("abcd"), 1, 2, (e, n) => trace("connect", "sent", e === null, n));
  trace("connect", String((await once(server, "message"))[0]));
  client.disconnect();
  client.connect(server.address().port, () =>
    trace("connect", "again", client.remoteAddress().family),
  );
  await once(client, "connect");
  client.close(() => trace("connect", "closed"));
  await once(client, "close");
  server.close();
}

/** Nobody is there: a connected sender is told. */
async function nobody(): Promise<void> {
  const gone = await bound({ type: "udp4" });
  const { port } = gone.address();
  gone.close();
  await once(gone, "close");
  const client = dgram.createSocket("udp4");
  client.connect(port, AT);
  await once(client, "connect");
  client.send("x");
  const [error] = (await once(client, "error").catch((e) => [e])) as [Error];
  trace("nobody", errorText(error));
  client.close();
}

async function blocked(): Promise<void> {
  const list = new net.BlockList();
  list.addAddress(AT);
  const server = await bound({ type: "udp4" });
  const client = dgram.createSocket(any({ type: "udp4", sendBlockList: list }));
  client.on("error", (e) => trace("blocked", "error", errorText(e)));
  await new Promise<void>((resolve) => {
    client.send("x", server.address().port, AT, (e) => {
      trace("blocked", "sent", e === null ? "" : errorText(e));
      resolve();
    });
    client.once("error", () => resolve());
  });
  client.close();
  server.close();
}

/** Addresses of the other family, and the order in which names are told. */
async function families(): Promise<void> {
  // Sockets that close are told of until an iteration of the event loop has ended.
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
  const socket = await bound({ type: "udp4" });
  each("families", {
    address: () => Object.keys(socket.address()),
    "interface of six": () => socket.setMulticastInterface("::1"),
    handle: () => inspect(socket, { depth: 1 }).includes("handle: [UDP]"),
    resources: () => process.getActiveResourcesInfo().filter((type) => type === "UDPWrap"),
  });
  await new Promise<void>((resolve) => {
    socket.send("x", 9, "::1", (e) => {
      trace("families", "sent", e === null ? "" : errorText(e));
      resolve();
    });
  });
  socket.connect(9, AT);
  await once(socket, "connect");
  trace("families", "peer", Object.keys(socket.remoteAddress()));
  socket.close();
  const other = dgram.createSocket("udp4");
  other.bind(0, "::1");
  const [error] = (await once(other, "error")) as [Error];
  trace("families", "bound", errorText(error));
}

created();
await states({ type: "udp4" }, AT);
await states({ type: "udp6" }, HERE6);
await bufferOptions();
await sharing();
await names();
await connecting();
await nobody();
await blocked();
await families();
