/**
 * Connect, one request of 64 bytes, one reply, close, with Node.js's own sockets; the server closes
 * first.
 *
 *     node-connect.js server|client ADDRESS [COUNT AT_A_TIME]
 */
import { connect, createServer } from "node:net";

const PORT = 7007;
const BYTES = 64;
const WARM_UP = 500;
const [role, address, count = "0", atATime = "1"] = process.argv.slice(2) as [
  string,
  string,
  string?,
  string?,
];
const message = Buffer.alloc(BYTES, 0x5a);

if (role === "server") {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on("data", () => socket.end(message));
    socket.on("error", () => {});
  });
  server.listen(PORT, address, 1024, () => console.log("ready"));
} else {
  const total = Number(count);
  let done = 0;
  let startMs = 0;
  const connectOne = (): void => {
    const socket = connect({ port: PORT, host: address, noDelay: true }, () =>
      socket.write(message),
    );
    socket.on("data", () => {});
    socket.on("end", () => {
      done++;
      if (done === WARM_UP) startMs = performance.now();
      if (done === WARM_UP + total) {
        const perS = (total * 1e3) / (performance.now() - startMs);
        console.log(JSON.stringify({ connects_per_s: Math.round(perS) }));
        process.exit(0);
      }
      connectOne();
    });
  };
  for (let i = 0; i < Number(atATime); i++) connectOne();
}
