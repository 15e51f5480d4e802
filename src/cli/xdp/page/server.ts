/** The page over HTTP: fixed files, and questions to the desk as JSON. Everything that comes in is untrusted. */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { refusal } from "./allowed.js";
import type { Desk } from "./desk.js";
import { PageError, type PageProblem, problemOf } from "./page-error.js";
import { questionOf, splitAddress } from "./question.js";
import { readBody } from "./uploaded.js";

const FOLDER = new URL("../../../../../web/xdp/", import.meta.url);
const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};
const FILES = [
  "index.html",
  "style.css",
  "icon.svg",
  "main.js",
  "api.js",
  "dom.js",
  "paths.js",
  "packets.js",
  "packet.js",
  "cache.js",
] as const;

const MIB = 1 << 20;
export const MAX_OBJECT_BYTES = 16 * MIB;
export const MAX_CAPTURE_BYTES = 64 * MIB;
const MAX_NAME = 200;
const BAD_REQUEST = 400;
const FORBIDDEN = 403;
const NOT_FOUND = 404;
const HEADERS_LIMIT_MS = 10_000;
const REQUEST_LIMIT_MS = 120_000;

const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cache-control": "no-store",
};

/** `name`: what the user listens on, which requests may name. */
export function pageServer(desk: Desk, name: string): Server {
  const files = new Map(FILES.map((file) => [`/${file}`, readFileSync(new URL(file, FOLDER))]));
  const server = createServer((request, response) => {
    answer(request, response, desk, name, files).catch((error: unknown) => {
      sendProblem(response, BAD_REQUEST, problemOf(error, "server"));
    });
  });
  server.headersTimeout = HEADERS_LIMIT_MS;
  server.requestTimeout = REQUEST_LIMIT_MS;
  server.on("clientError", (_error, socket) => socket.destroy());
  return server;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  desk: Desk,
  name: string,
  files: ReadonlyMap<string, Buffer>,
): Promise<void> {
  const method = request.method ?? "";
  const why = refusal(method, request.headers, name);
  if (why !== null) {
    sendProblem(response, FORBIDDEN, { about: "request", message: why, advice: "" });
    return;
  }
  const { path, query } = splitAddress(request.url ?? "/");
  if (method === "POST") {
    await put(path, query, request, desk);
    sendJson(response, 200, await desk.overview());
    return;
  }
  const file = files.get(path === "/" ? "/index.html" : path);
  if (file !== undefined) {
    const type = TYPES[path === "/" ? "html" : path.split(".").at(-1)!]!;
    response.writeHead(200, { ...HEADERS, "content-type": type });
    response.end(file);
    return;
  }
  const found = await ask(path, query, desk);
  if (found !== null) sendJson(response, 200, found);
  else
    sendProblem(response, NOT_FOUND, { about: "request", message: `no ${path} here`, advice: "" });
}

async function put(
  path: string,
  query: URLSearchParams,
  request: IncomingMessage,
  desk: Desk,
): Promise<void> {
  const name = (query.get("name") ?? "").slice(0, MAX_NAME);
  switch (path) {
    case "/api/object":
      desk.putObject({ name, bytes: await readBody(request, "object", MAX_OBJECT_BYTES) });
      return;
    case "/api/capture":
      desk.putCapture({ name, bytes: await readBody(request, "capture", MAX_CAPTURE_BYTES) });
      return;
    case "/api/program":
      await readBody(request, "request", 0);
      desk.choose(name);
      return;
    default:
      throw new PageError("request", `nothing can be put to ${path}`, "");
  }
}

/** null: there is no such thing. */
async function ask(path: string, query: URLSearchParams, desk: Desk): Promise<unknown> {
  const question = questionOf(path, query);
  switch (question?.kind) {
    case "overview":
      return desk.overview();
    case "packets":
      return desk.rows(question.revision, question.from, question.count, question.path);
    case "packet":
      return desk.packet(question.revision, question.n);
    case "cache":
      return desk.cache(question.revision, question.policy, question.entries);
    default:
      return null;
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  if (response.headersSent || response.destroyed) return;
  const isRefused = status >= BAD_REQUEST;
  response.writeHead(status, {
    ...HEADERS,
    "content-type": "application/json; charset=utf-8",
    // What was not read of a refused upload is not waited for.
    ...(isRefused ? { connection: "close" } : {}),
  });
  response.end(JSON.stringify(value));
}

function sendProblem(response: ServerResponse, status: number, problem: PageProblem): void {
  sendJson(response, status, { problem });
}
