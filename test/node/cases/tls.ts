/** TLS, HTTPS and HTTP/2 with a real certificate, checked. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import tls from "node:tls";
import { closed, ended, follow, listening } from "../support/sockets.js";
import { errorText, trace } from "../support/trace.js";

const folder = process.env.CASE_CERTIFICATES!;
const key = readFileSync(`${folder}/key.pem`);
const cert = readFileSync(`${folder}/cert.pem`);
const ca = cert;
const big = Buffer.alloc(1_500_000, "t");

async function plainTls(): Promise<void> {
  const server = tls.createServer({ key, cert }, (socket) => {
    follow("tls server", socket);
    socket.on("data", (d) => {
      trace("tls server", "data", d.toString(), socket.encrypted);
      socket.end("answer");
    });
  });
  const port = await listening(server);
  const client = tls.connect({ port, host: "127.0.0.1", ca });
  follow("tls client", client);
  client.on("secureConnect", () => {
    trace("tls client", client.authorized, client.getProtocol() ?? "", client.remoteAddress ?? "");
    client.write("question");
  });
  client.on("data", (d) => trace("tls client", "data", d.toString()));
  await closed(client);
  const stranger = follow("tls stranger", tls.connect({ port, host: "127.0.0.1" }));
  await closed(stranger);
  await ended(server);
}

/** TLS on a socket that was connected before, and an end by RST. */
async function upgraded(): Promise<void> {
  const context = tls.createSecureContext({ key, cert });
  const server = net.createServer((raw) => {
    raw.once("data", () => {
      raw.write("go", () => {
        const secure = new tls.TLSSocket(raw, { isServer: true, secureContext: context });
        secure.on("data", (d) => {
          if (d.toString() === "reset") raw.resetAndDestroy();
          else secure.write(d);
        });
        secure.on("error", () => {});
      });
    });
    raw.on("error", () => {});
  });
  const port = await listening(server);
  const raw = net.connect(port, "127.0.0.1");
  raw.write("starttls");
  await once(raw, "data");
  const secure = tls.connect({ socket: raw, ca, host: "127.0.0.1" });
  await once(secure, "secureConnect");
  secure.write("echo");
  trace("upgraded", String((await once(secure, "data"))[0]));
  secure.on("error", (e) => trace("upgraded", errorText(e)));
  secure.on("close", (hadError) => trace("upgraded", "close", hadError));
  secure.write("reset");
  await closed(secure);
  await ended(server);
}

async function secureHttp(): Promise<void> {
  const server = https.createServer({ key, cert }, (request, response) => {
    response.end(request.url === "/big" ? big : "over tls");
  });
  const port = await listening(server);
  for (const path of ["/", "/big"]) {
    const request = https.get({ port, host: "127.0.0.1", path, ca });
    const [response] = (await once(request, "response")) as [import("node:http").IncomingMessage];
    let n = 0;
    for await (const d of response) n += (d as Buffer).length;
    trace("https", path, response.statusCode, n);
  }
  server.close();
  server.closeAllConnections();
  await once(server, "close");
}

async function http2Over(secure: boolean): Promise<void> {
  const name = secure ? "h2" : "h2c";
  const server = secure ? http2.createSecureServer({ key, cert }) : http2.createServer();
  server.on("stream", (stream, headers) => {
    if (headers[":path"] === "/reset") {
      stream.close(http2.constants.NGHTTP2_CANCEL);
      return;
    }
    stream.respond({ ":status": 200 });
    if (headers[":path"] === "/broken-off") {
      stream.on("error", (e) => trace(name, "server", e.message));
      stream.write("goes out first");
      stream.destroy(new Error("broken off"));
      return;
    }
    if (headers[":method"] === "POST") stream.pipe(stream);
    else stream.end(headers[":path"] === "/big" ? big : "by http2");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = http2.connect(`${secure ? "https" : "http"}://127.0.0.1:${port}`, { ca });
  client.on("close", () => trace(name, "close"));
  const ask = async (path: string, body?: Buffer): Promise<void> => {
    const stream = client.request({
      ":path": path,
      ":method": body === undefined ? "GET" : "POST",
    });
    let n = 0;
    stream.on("error", (e) => trace(name, path, errorText(e)));
    stream.on("data", (d: Buffer) => {
      n += d.length;
    });
    stream.end(body);
    await new Promise((resolve) => stream.on("close", resolve));
    trace(name, path, n, stream.rstCode);
  };
  // The first one comes with the client's settings, which the server is acknowledging then.
  for (const path of ["/broken-off", "/", "/big", "/reset"]) await ask(path);
  await ask("/echo", big);
  const pinged = await new Promise((resolve) => client.ping((e) => resolve(e === null)));
  trace(name, "ping", pinged);
  client.close();
  await once(client, "close");
  server.close();
  await once(server, "close");
}

/** One segment, or TLS record, has requests and their resets: the server is told of each before the next. */
async function resetAtOnce(secure: boolean): Promise<void> {
  const name = secure ? "h2 reset" : "h2c reset";
  const server = secure ? http2.createSecureServer({ key, cert }) : http2.createServer();
  server.on("sessionError", () => {});
  let left = 2;
  const over = new Promise<void>((resolve) => {
    server.on("stream", (stream, headers) => {
      trace(name, headers[":authority"], stream.id, stream.destroyed);
      stream.on("aborted", () => trace(name, stream.id, "aborted"));
      stream.on("error", (e) => trace(name, stream.id, errorText(e)));
      stream.on("close", () => {
        trace(name, stream.id, "close", stream.rstCode);
        if (--left === 0) resolve();
      });
      stream.respond({ ":status": 200 });
      process.nextTick(() => trace(name, stream.id, "tick", stream.destroyed));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const to = { port: (server.address() as AddressInfo).port, host: "127.0.0.1" };
  const client = secure ? tls.connect({ ...to, ca, ALPNProtocols: ["h2"] }) : net.connect(to);
  client.on("error", () => {});
  await once(client, secure ? "secureConnect" : "connect");
  const request = (stream: number): string =>
    `00000601040000000${stream}828684410178` + `00000403000000000${stream}00000005`;
  const frames = `000000040000000000${request(1)}${request(3)}`;
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  client.write(Buffer.concat([preface, Buffer.from(frames, "hex")]));
  await over;
  client.destroy();
  server.close();
  await once(server, "close");
}

/** Requests one after the other in one segment, or record, with bodies in pieces: each is told with its ticks. */
async function piecesAtOnce(secure: boolean): Promise<void> {
  const name = secure ? "https pieces" : "http pieces";
  const server = secure ? https.createServer({ key, cert }) : http.createServer();
  server.on("request", (request: http.IncomingMessage, response: http.ServerResponse) => {
    trace(name, "request", request.url);
    request.on("data", (d: Buffer) => {
      trace(name, request.url, String(d));
      process.nextTick(() => trace(name, "tick", String(d), request.complete));
      void Promise.resolve().then(() => trace(name, "microtask", String(d)));
      if (String(d) !== "two") return;
      request.pause();
      setImmediate(() => request.resume());
    });
    request.on("end", () => {
      trace(name, request.url, "end", request.trailers["x-sum"]);
      response.end();
    });
  });
  const port = await listening(server);
  const to = { port, host: "127.0.0.1" };
  const client = secure ? tls.connect({ ...to, ca }) : net.connect(to);
  await once(client, secure ? "secureConnect" : "connect");
  const chunks = ["one", "two", "three"].map((text) => `${text.length}\r\n${text}\r\n`);
  const body = `${chunks.join("")}0\r\nX-Sum: 3\r\n\r\n`;
  const head = "Host: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n";
  const post = (path: string, more: string): string =>
    `POST ${path} HTTP/1.1\r\n${head}${more}\r\n${body}`;
  client.write(post("/a", "") + post("/b", "Connection: close\r\n"));
  client.resume();
  await closed(client);
  await ended(server);
}

await plainTls();
await upgraded();
await secureHttp();
await http2Over(true);
await http2Over(false);
await resetAtOnce(true);
await resetAtOnce(false);
await piecesAtOnce(true);
await piecesAtOnce(false);
