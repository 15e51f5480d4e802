/**
 * 64 bytes to and fro with Node.js's own sockets at both ends.
 *
 *     node-pingpong.js server|client udp|tcp ADDRESS [SECONDS]
 */
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { Histogram } from "../../src/cli/perf/histogram.js";
import { halfRoundTrips } from "../latency.js";

const BYTES = 64;
const PORT = 7007;
const WARM_UP_MS = 500;
const [role, protocol, address, seconds = "0"] = process.argv.slice(2) as [
  string,
  string,
  string,
  string?,
];
const message = Buffer.alloc(BYTES, 0x5a);

if (protocol === "udp") udp();
else tcp();

/** What a client does: sends, and is called when the whole reply is there. */
function pingPong(send: () => void): () => void {
  const latency = new Histogram();
  const measureMs = performance.now() + WARM_UP_MS;
  const endMs = measureMs + Number(seconds) * 1e3;
  let startMs = 0;
  const next = (): void => {
    startMs = performance.now();
    send();
  };
  next();
  return () => {
    const nowMs = performance.now();
    if (startMs >= measureMs) latency.record((nowMs - startMs) * 1e6);
    if (nowMs < endMs) next();
    else {
      console.log(JSON.stringify(halfRoundTrips(latency)));
      process.exit(0);
    }
  };
}

function udp(): void {
  const socket = createSocket("udp4");
  if (role === "server") {
    socket.on("message", (data, from) => socket.send(data, from.port, from.address));
    socket.bind(PORT, address, () => console.log("ready"));
    return;
  }
  socket.connect(PORT, address, () => {
    const answered = pingPong(() => socket.send(message));
    socket.on("message", answered);
  });
}

function tcp(): void {
  if (role === "server") {
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on("data", (data) => socket.write(data));
      socket.on("error", () => {});
    });
    server.listen(PORT, address, () => console.log("ready"));
    return;
  }
  const socket = connect({ port: PORT, host: address, noDelay: true }, () => {
    const answered = pingPong(() => socket.write(message));
    let have = 0;
    socket.on("data", (data) => {
      have += data.length;
      if (have < BYTES) return;
      have -= BYTES;
      answered();
    });
  });
}
