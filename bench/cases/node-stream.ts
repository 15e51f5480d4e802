/**
 * One way with Node.js's own sockets: datagrams, or writes of so many bytes. The server says how fast
 * they came.
 *
 *     node-stream.js server|client udp|tcp ADDRESS BYTES SECONDS
 */
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";

const PORT = 7007;
const WARM_UP_MS = 500;
const BATCH = 32;
const IDLE_MS = 1_000;
const [role, protocol, address, bytesText, secondsText] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const BYTES = Number(bytesText);
const message = Buffer.alloc(BYTES, 0x5a);
/** Set when there is a connection: getting there is not what is measured. */
let untilMs = 0;
const begin = (): void => {
  untilMs = performance.now() + WARM_UP_MS + Number(secondsText) * 1e3;
};

let received = 0;
let startMs = 0;
let lastMs = 0;
let isWarm = false;

if (protocol === "udp") udp();
else tcp();

function came(amount: number): void {
  lastMs = performance.now();
  if (startMs === 0) startMs = lastMs;
  if (!isWarm && lastMs > startMs + WARM_UP_MS) {
    isWarm = true;
    startMs = lastMs;
    received = 0;
  } else received += amount;
}

function report(perS: number): never {
  const gbit = Number(((perS * BYTES * 8) / 1e9).toFixed(3));
  const rate = Math.round(perS);
  console.log(JSON.stringify({ msgs_per_s: rate, writes_per_s: rate, gbit_per_s: gbit }));
  process.exit(0);
}

function udp(): void {
  const socket = createSocket("udp4");
  if (role === "server") {
    socket.on("message", () => came(1));
    socket.bind(PORT, address, () => console.log("ready"));
    setInterval(() => {
      if (lastMs !== 0 && performance.now() > lastMs + IDLE_MS) {
        report((received * 1e3) / (lastMs - startMs));
      }
    }, 100);
    return;
  }
  socket.connect(PORT, address, () => {
    begin();
    let underWay = 0;
    const sent = (): void => {
      underWay--;
      if (underWay === 0) sendBatch();
    };
    const sendBatch = (): void => {
      if (performance.now() > untilMs) {
        console.log("{}");
        process.exit(0);
      }
      for (; underWay < BATCH; underWay++) socket.send(message, sent);
    };
    sendBatch();
  });
}

function tcp(): void {
  if (role === "server") {
    const server = createServer((socket) => {
      socket.on("data", (data) => came(data.length));
      socket.on("end", () => report((received * 1e3) / (lastMs - startMs) / BYTES));
    });
    server.listen(PORT, address, () => console.log("ready"));
    return;
  }
  const socket = connect({ port: PORT, host: address, noDelay: true }, () => {
    begin();
    write();
  });
  socket.on("drain", write);
  function write(): void {
    let hasRoom = true;
    while (hasRoom) {
      if (performance.now() > untilMs) {
        socket.end();
        console.log("{}");
        return;
      }
      hasRoom = socket.write(message);
    }
  }
}
