/** What HTTP/2 can do besides asking and answering, one thing after another. */
import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { errorText, trace } from "../support/trace.js";

const { constants } = http2;
const BIG = Buffer.alloc(3_000_000, "b");
const WINDOW_BYTES = 8 << 20;
const CALM = constants.NGHTTP2_ENHANCE_YOUR_CALM;
const settings: http2.Settings = {
  initialWindowSize: 1 << 20,
  maxConcurrentStreams: 3,
  maxFrameSize: 100_000,
};

type Answer = (stream: http2.ServerHttp2Stream) => void;

const ANSWERS: Record<string, Answer> = {
  "/throw": (stream) => {
    stream.respond();
    stream.end("answered");
    throw new Error("a handler's");
  },
  "/push": (stream) =>
    stream.pushStream({ ":path": "/pushed" }, (e, pushed) => {
      if (e !== null) throw e;
      pushed.on("close", () => trace("server", "pushed", pushed.rstCode));
      pushed.respond({ ":status": 203 });
      pushed.end("before you ask");
      stream.respond();
      stream.end("asked");
    }),
  "/trailers": (stream) => {
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "42" }));
    stream.additionalHeaders({ ":status": 103, link: "</a>" });
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.end("body");
  },
  "/big": (stream) => {
    stream.respond();
    stream.end(BIG);
  },
  "/hang": (stream) => stream.respond(),
  "/goaway": (stream) => stream.session!.goaway(constants.NGHTTP2_NO_ERROR, 0, Buffer.from("bye")),
  "/calm": (stream) => stream.session!.destroy(new Error("calm"), CALM),
};

const server = http2.createServer({ settings });
/** The newest session's end at the server: of two parties nobody promises which hears first. */
let gone: Promise<void> = Promise.resolve();
server.on("session", (session) => {
  session.setLocalWindowSize(WINDOW_BYTES);
  session.on("error", (e) => trace("server", "session", errorText(e)));
  gone = new Promise((resolve) =>
    session.on("close", () => {
      trace("server", "session closed");
      resolve();
    }),
  );
});
server.on("stream", (stream, headers) => {
  const path = headers[":path"]!;
  stream.on("error", (e) => trace("server", path, errorText(e)));
  stream.on("aborted", () => trace("server", path, "aborted"));
  const answer = ANSWERS[path];
  if (answer !== undefined) answer(stream);
  else {
    stream.respond({ ":status": 200, "x-method": headers[":method"] });
    stream.pipe(stream);
  }
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;

function open(party: string, options: http2.ClientSessionOptions = {}): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`, options);
  session.on("error", (e) => trace(party, "session", errorText(e)));
  // Some versions of Node's send another one when the session ends.
  session.once("goaway", (code, last, data) => trace(party, "goaway", code, last, String(data)));
  session.on("close", () => trace(party, "close", session.destroyed));
  return session;
}

const shut = async (session: http2.ClientHttp2Session): Promise<void> => {
  if (!session.closed) session.close();
  if (!session.destroyed) await once(session, "close");
  await gone;
};

/** What comes of a stream, as text of its length. */
function follow(party: string, stream: http2.ClientHttp2Stream): Promise<void> {
  let n = 0;
  stream.on("headers", (h) => trace(party, "headers", h[":status"], h.link));
  stream.on("response", (h) => trace(party, "response", h[":status"], h["x-method"] ?? ""));
  stream.on("trailers", (h) => trace(party, "trailers", h["x-sum"]));
  stream.on("data", (d: Buffer) => {
    n += d.length;
  });
  stream.on("aborted", () => trace(party, "aborted"));
  stream.on("timeout", () => trace(party, "timeout"));
  stream.on("end", () => trace(party, "end", n));
  stream.on("error", (e) => trace(party, errorText(e)));
  return new Promise((resolve) =>
    stream.on("close", () => {
      trace(party, "close", stream.rstCode);
      resolve();
    }),
  );
}

async function windowsAndSettings(): Promise<void> {
  const session = open("settings", { settings: { initialWindowSize: 2 << 20 } });
  const [remote] = (await once(session, "remoteSettings")) as [http2.Settings];
  const { initialWindowSize, maxConcurrentStreams, maxFrameSize } = remote;
  trace("settings", "remote", initialWindowSize, maxConcurrentStreams, maxFrameSize);
  session.setLocalWindowSize(WINDOW_BYTES);
  const { effectiveLocalWindowSize, localWindowSize } = session.state;
  trace("settings", "window", effectiveLocalWindowSize, localWindowSize);
  await follow("big", session.request({ ":path": "/big" }));
  const up = session.request({ ":path": "/echo", ":method": "PUT" });
  const echoed = follow("echo", up);
  up.end(BIG);
  await echoed;
  // More at a time than the server allows.
  const many = Array.from({ length: 8 }, (_, i) => session.request({ ":path": `/${i}` }));
  await Promise.all(many.map((stream) => new Promise((r) => stream.resume().on("close", r))));
  trace("settings", "streams", many.map((s) => s.rstCode).join());
  session.settings({ initialWindowSize: 100_000 }, (e) =>
    trace("settings", "acknowledged", e === null, session.localSettings.initialWindowSize),
  );
  await once(session, "localSettings");
  const payload = Buffer.from("12345678");
  await new Promise<void>((resolve) => {
    session.ping(payload, (e, _ms, back) => {
      trace("settings", "ping", e === null, String(back));
      resolve();
    });
  });
  await shut(session);
}

async function pushAndTrailers(): Promise<void> {
  const session = open("push");
  const pushed = new Promise<void>((resolve) => {
    session.on("stream", (stream, headers) => {
      trace("pushed", headers[":path"]);
      stream.on("push", (h) => trace("pushed", "push", h[":status"]));
      void follow("pushed", stream).then(resolve);
    });
  });
  await Promise.all([follow("push", session.request({ ":path": "/push" })), pushed]);
  await follow("trailers", session.request({ ":path": "/trailers" }));
  await shut(session);
}

async function ends(): Promise<void> {
  const session = open("ends");
  const aborted = session.request({ ":path": "/hang" });
  const gone = follow("cancel", aborted);
  await once(aborted, "response");
  aborted.close(constants.NGHTTP2_CANCEL);
  await gone;
  const controller = new AbortController();
  const signalled = session.request({ ":path": "/hang" }, { signal: controller.signal });
  const signalledEnd = follow("signal", signalled);
  await once(signalled, "response");
  controller.abort();
  await signalledEnd;
  const late = session.request({ ":path": "/hang" });
  const lateEnd = follow("timeout", late);
  await once(late, "response");
  late.setTimeout(30, () => late.close());
  await lateEnd;
  const destroyed = session.request({ ":path": "/hang" });
  const destroyedEnd = follow("destroy", destroyed);
  await once(destroyed, "response");
  session.destroy(new Error("enough"), constants.NGHTTP2_INTERNAL_ERROR);
  await destroyedEnd;
  for (const path of ["/goaway", "/calm"]) {
    const other = open(path);
    const stream = other.request({ ":path": path });
    const over = follow(`${path} stream`, stream);
    if (path === "/goaway") {
      await once(other, "goaway");
      stream.close();
    }
    await over;
    await shut(other);
  }
}

/** The server stays until what it has begun is over; then its sessions are closed. */
async function closeServer(): Promise<void> {
  const session = open("last");
  const stream = session.request({ ":path": "/echo", ":method": "POST" });
  const over = follow("last stream", stream);
  await once(stream, "response");
  server.close(() => trace("server", "closed"));
  stream.end("the last");
  await over;
  await shut(session);
}

/** A handler throws: its answer and the session are not lost. */
async function exceptions(): Promise<void> {
  const caught: string[] = [];
  const onUncaught = (e: Error): void => void caught.push(e.message);
  process.on("uncaughtException", onUncaught);
  const session = open("exceptions");
  for (const path of ["/throw", "/echo"]) {
    const stream = session.request({ ":path": path });
    await follow(path, stream);
  }
  trace("exceptions", caught);
  process.off("uncaughtException", onUncaught);
  await shut(session);
}

await windowsAndSettings();
await exceptions();
await pushAndTrailers();
await ends();
await closeServer();
