/** What Node's own observers see of sockets: diagnostics channels, performance entries, asynchronous resources. */
import { createHook } from "node:async_hooks";
import dgram from "node:dgram";
import channel from "node:diagnostics_channel";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { PerformanceObserver } from "node:perf_hooks";
import { inspect } from "node:util";
import { closed, ended, listening } from "../support/sockets.js";
import { errorText, trace } from "../support/trace.js";

for (const name of ["net.client.socket", "net.server.socket", "udp.socket"]) {
  channel.subscribe(name, (message) => {
    const { socket } = message as { socket: object };
    trace("channel", name, socket.constructor.name, Object.keys(message as object));
  });
}
for (const part of ["asyncStart", "asyncEnd", "error"]) {
  channel.subscribe(`tracing:net.server.listen:${part}`, (message) => {
    const { error } = message as { error?: Error };
    trace("channel", "listen", part, error === undefined ? "" : errorText(error));
  });
}

const seen: string[] = [];
const observer = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const { detail } = entry as unknown as { detail: Record<string, unknown> };
    const { host, hostname, port } = detail;
    const names = Object.keys(detail).join();
    const isLikely = entry.duration > 0 && entry.duration < 60_000;
    const what = `${entry.entryType} ${entry.name} ${host} ${hostname} ${typeof port} ${names}`;
    seen.push(`${what} ${isLikely}`);
  }
});
observer.observe({ entryTypes: ["net", "dns", "http"] });

/** Which resources are made and destroyed for a socket: by type, for those that programs look for. */
const KNOWN = new Set(["TCPWRAP", "TCPSERVERWRAP", "TCPCONNECTWRAP", "UDPWRAP"]);
const made = new Map<string, number>();
const alive = new Map<number, string>();
const hook = createHook({
  init(id, type) {
    if (!KNOWN.has(type)) return;
    made.set(type, (made.get(type) ?? 0) + 1);
    alive.set(id, type);
  },
});

const types = (): string[] =>
  process
    .getActiveResourcesInfo()
    .filter((type) => /TCP|UDP/.test(type))
    .sort();
const handles = (): string[] =>
  (process as unknown as { _getActiveHandles(): object[] })
    ._getActiveHandles()
    .map((h) => h.constructor.name)
    .filter((name) => /Server|Socket/.test(name))
    .sort();

const server = net.createServer((socket) => socket.resume().end("x"));
const accepted = once(server, "connection") as Promise<[net.Socket]>;
const port = await listening(server);
hook.enable();
const client = net.connect(port, "127.0.0.1");
await new Promise<void>((resolve) => process.nextTick(resolve));
trace("resources", "connecting", types());
trace("handles", handles());
trace("handles", inspect(client, { depth: 0 }).includes("[TCP]"));
await once(client, "connect");
hook.disable();
trace("resources", "made", [...made].sort());
trace("resources", "connected", types().length >= 2);
trace("handles", handles());
await Promise.all([closed(client.resume().end()), closed((await accepted)[0])]);
const socket = dgram.createSocket("udp4");
socket.bind(0, "127.0.0.1");
await once(socket, "listening");
trace("resources", "bound", types());
socket.unref();
trace("resources", "unreferenced", types());
socket.ref();
socket.send("x", socket.address().port, "127.0.0.1");
await once(socket, "message");
socket.close();
await closed(net.connect({ port, host: "localhost", family: 4 }).resume());
const web = http.createServer((_request, response) => response.end("x"));
const webPort = await listening(web);
const request = http.get({ port: webPort, host: "127.0.0.1", agent: false });
const [response] = (await once(request, "response")) as [http.IncomingMessage];
await once(response.resume(), "close");
await ended(web);
await ended(server);
await once(process, "beforeExit");
for (const one of seen.sort()) trace("performance", one);
observer.disconnect();
const busy = net.createServer().listen(0, "127.0.0.1");
await once(busy, "listening");
const second = net.createServer().listen((busy.address() as net.AddressInfo).port, "127.0.0.1");
await once(second, "error");
await ended(busy);
