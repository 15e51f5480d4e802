/** HTTP/1.1 by Node's own server and clients. */
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { errorText, trace } from "../support/trace.js";

const big = Buffer.alloc(2_000_000, "x");
const server = http.createServer((request, response) => {
  if (request.url === "/big") response.end(big);
  else if (request.url === "/slow") setTimeout(() => response.end("slow"), 500);
  else if (request.url === "/reset") (request.socket as Socket).resetAndDestroy();
  else if (request.method === "POST") {
    let n = 0;
    request.on("data", (d: Buffer) => {
      n += d.length;
    });
    request.on("end", () => response.end(`got ${n}`));
  } else response.end(`hello ${request.url} ${request.socket.remoteAddress}`);
});
server.on("upgrade", (_request, socket) => {
  socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n");
  socket.pipe(socket);
});
server.on("checkContinue", (request, response) => {
  response.writeContinue();
  request.resume();
  request.on("end", () => response.end("continued"));
});
server.on("clientError", (e, socket) => {
  trace("server", "clientError", (e as NodeJS.ErrnoException).code ?? "");
  socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;
const url = `http://127.0.0.1:${port}`;

trace("fetch", await (await fetch(`${url}/a`)).text());
trace("fetch", (await (await fetch(`${url}/big`)).arrayBuffer()).byteLength);
trace("fetch", await (await fetch(url, { method: "POST", body: big })).text());
await fetch(`${url}/reset`).catch((e) => trace("fetch", "reset", e.name, e.cause?.code));
await fetch(`${url}/slow`, { signal: AbortSignal.timeout(50) }).catch((e) =>
  trace("fetch", e.name),
);

const ports = new Set<number>();
const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
const get = (path: string, options: http.RequestOptions = {}): Promise<string> =>
  new Promise((resolve, reject) => {
    const request = http.get(`${url}${path}`, { agent, ...options }, (response) => {
      let text = "";
      ports.add(response.socket.localPort ?? 0);
      response.setEncoding("utf8");
      response.on("data", (d) => {
        text += d;
      });
      response.on("end", () => resolve(text));
    });
    request.on("timeout", () => request.destroy(new Error("timed out")));
    request.on("error", reject);
  });
const texts = await Promise.all(Array.from({ length: 20 }, (_, i) => get(`/${i}`)));
trace("agent", texts.length, new Set(texts).size, ports.size);
await get("/slow", { timeout: 50 }).catch((e) => trace("agent", errorText(e)));

const expecting = http.request(url, { method: "POST", headers: { expect: "100-continue" } });
expecting.on("continue", () => {
  trace("continue", "told");
  expecting.end("body");
});
expecting.flushHeaders();
const [continued] = (await once(expecting, "response")) as [http.IncomingMessage];
for await (const d of continued) trace("continue", String(d));

const upgrading = http.get(url, { headers: { connection: "upgrade", upgrade: "echo" } });
const [, socket] = (await once(upgrading, "upgrade")) as [unknown, Socket];
socket.write("through");
const [echo] = (await once(socket, "data")) as [Buffer];
trace("upgrade", echo.toString());
socket.end();

const { connect } = await import("node:net");
const raw = connect(port, "127.0.0.1");
raw.write("nonsense\r\n\r\n");
for await (const d of raw) trace("raw", String(d));
const pipelined = connect(port, "127.0.0.1");
pipelined.write(
  "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
);
let both = "";
for await (const d of pipelined) both += String(d);
trace("pipelined", both.match(/hello \/\d/g));

agent.destroy();
server.close(() => trace("server", "closed"));
server.closeAllConnections();
