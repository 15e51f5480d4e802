/** `fetch`, option by option: redirects, streams both ways, compression, keep-alive, ends from either side. */
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { trace } from "../support/trace.js";

const big = Buffer.alloc(1_000_000, "fetch");
let requests = 0;

type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => void;

const ANSWERS: Record<string, Answer> = {
  "/301": (_, response) => response.writeHead(301, { location: "/echo" }).end(),
  "/307": (_, response) => response.writeHead(307, { location: "/echo" }).end(),
  "/loop": (_, response) => response.writeHead(302, { location: "/loop" }).end(),
  "/gzip": (_, response) =>
    response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(big)),
  "/br": (_, response) =>
    response.writeHead(200, { "content-encoding": "br" }).end(brotliCompressSync(big)),
  "/broken": (_, response) =>
    response.writeHead(200, { "content-encoding": "gzip" }).end("this is not gzip"),
  "/parts": async (_, response) => {
    for (let i = 0; i < 5; i++) {
      response.write(`part ${i};`);
      await sleep(2);
    }
    response.end();
  },
  "/endless": async (_, response) => {
    response.on("close", () => trace("server", "endless", "closed"));
    while (!response.destroyed) {
      response.write(big);
      await sleep(5);
    }
  },
  "/short": (_, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("half of it", () => response.destroy());
  },
  "/silent": (request) => request.on("close", () => trace("server", "silent", "closed")),
  "/close": (_, response) => response.writeHead(200, { connection: "close" }).end("closes"),
  "/empty": (_, response) => response.writeHead(204).end(),
};

const server = http.createServer((request, response) => {
  requests++;
  const answer = ANSWERS[request.url!];
  if (answer !== undefined) answer(request, response);
  else {
    response.writeHead(200, {
      "x-method": request.method,
      "x-te": request.headers["transfer-encoding"] ?? "none",
    });
    request.pipe(response);
  }
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** What it resolves or rejects with. */
async function ask(
  what: string,
  path: string,
  init: RequestInit & { duplex?: "half" } = {},
): Promise<void> {
  try {
    const response = await fetch(url + path, init);
    const { status, redirected, type, headers } = response;
    const said = [
      status,
      redirected,
      type,
      headers.get("x-method") ?? "",
      headers.get("x-te") ?? "",
    ];
    trace(what, ...said, new URL(response.url || url).pathname);
    const text = await response.text();
    trace(what, text.length, text.slice(0, 40));
  } catch (error) {
    const { name, message, cause } = error as Error & { cause?: NodeJS.ErrnoException };
    trace(what, name, message, cause?.name ?? "", cause?.code ?? "");
  }
}

await ask("301", "/301", { method: "POST", body: "posted" });
await ask("307", "/307", { method: "POST", body: "posted" });
await ask("manual", "/301", { redirect: "manual" });
await ask("error", "/301", { redirect: "error" });
await ask("loop", "/loop");
for (const path of ["/gzip", "/br", "/broken", "/parts", "/short", "/close", "/empty"]) {
  await ask(path, path);
}
await ask("head", "/echo", { method: "HEAD" });
await ask("form", "/echo", { method: "POST", body: new URLSearchParams({ a: "1", b: "2" }) });
await ask("blob", "/echo", { method: "PUT", body: new Blob([big]) });

async function* parts(): AsyncGenerator<Buffer> {
  for (let i = 0; i < 20; i++) {
    yield big.subarray(0, 50_000);
    if (i % 8 === 0) await sleep(1);
  }
}
const streaming = (): ReadableStream => Readable.toWeb(Readable.from(parts())) as ReadableStream;
await ask("stream up", "/echo", { method: "POST", body: streaming(), duplex: "half" });

/** A reader that is slower than its server, and then has enough. */
async function enough(): Promise<void> {
  const response = await fetch(`${url}/endless`);
  const reader = response.body!.getReader();
  let n = 0;
  while (n < 2 * big.length) {
    const { value } = await reader.read();
    n += value!.length;
    await sleep(1);
  }
  await reader.cancel("enough");
  trace("enough", n >= 2 * big.length, (await reader.read()).done);
}
await enough();

/** Ended by a signal: before, while nothing comes, and in the middle of a body. */
async function signals(): Promise<void> {
  await ask("aborted before", "/echo", { signal: AbortSignal.abort(new Error("never")) });
  await ask("timed out", "/silent", { signal: AbortSignal.timeout(40) });
  const controller = new AbortController();
  const response = await fetch(`${url}/endless`, { signal: controller.signal });
  const reader = response.body!.getReader();
  await reader.read();
  controller.abort();
  const ended = async (): Promise<void> => {
    for (;;) if ((await reader.read()).done) return;
  };
  await ended().then(
    () => trace("aborted within", "end"),
    (e: Error) => trace("aborted within", e.name),
  );
}
await signals();

/** One after the other and at a time; over which connection is undici's choice. */
async function keepsAlive(): Promise<void> {
  for (let i = 0; i < 10; i++) await (await fetch(`${url}/echo`)).text();
  const many = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const body = `${i}`.repeat(1_000);
      return (await (await fetch(`${url}/echo`, { method: "POST", body })).text()) === body;
    }),
  );
  trace("alive", "at a time", many.every(Boolean));
  await ask("keepalive", "/echo", { keepalive: true, method: "POST", body: "kept" });
}
await keepsAlive();

const dead = http.createServer().listen(0, "127.0.0.1");
await once(dead, "listening");
const deadUrl = `http://127.0.0.1:${(dead.address() as AddressInfo).port}/`;
dead.close();
await once(dead, "close");
await fetch(deadUrl).catch((e) => trace("refused", e.name, e.cause?.code, e.cause?.syscall));

trace("server", requests);
server.close(() => trace("server", "closed"));
server.closeAllConnections();
