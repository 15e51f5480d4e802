/** An HTTP server by node:http over a Millrace host on a TAP interface. */
import { createServer } from "node:http";
import { numberOf, tapArguments } from "./tap-host.js";

const args = tapArguments(
  `usage: http-server [options]
Serves HTTP from a Millrace host on a TAP interface: try curl http://10.77.0.2/
  --port PORT         port to listen on (default: 80)
Paths: / a greeting, /bytes/N that many bytes, /echo what was posted.`,
  { port: { type: "string", default: "80" } },
);

const PIECE = Buffer.alloc(65_536, "millrace ");

const http = createServer((request, response) => {
  const size = /^\/bytes\/(\d+)$/.exec(request.url ?? "")?.[1];
  if (request.url === "/echo") {
    request.pipe(response);
  } else if (size !== undefined) {
    response.setHeader("content-length", size);
    sendBytes(Number(size));
  } else {
    response.setHeader("content-type", "text/plain");
    response.end(`Hello ${request.socket.remoteAddress} from a stack of my own!\n`);
  }

  function sendBytes(left: number): void {
    for (let n = left; n > 0; n -= PIECE.length) {
      const more = response.write(PIECE.subarray(0, Math.min(n, PIECE.length)));
      if (more) continue;
      response.once("drain", () => sendBytes(n - PIECE.length));
      return;
    }
    response.end();
  }
});

const server = await args.host.listen({ port: numberOf(args, "port"), noDelay: true });
console.log(`listening on port ${server.address().port}`);
process.once("SIGINT", () => process.exit(0));
process.once("SIGTERM", () => process.exit(0));
for await (const connection of server) http.emit("connection", connection);
