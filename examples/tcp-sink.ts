/** Receives bulk data over TCP and prints how much, how fast, and their SHA-256. */
import { createHash } from "node:crypto";
import { numberOf, tapArguments } from "./tap-host.js";

const args = tapArguments(
  `usage: tcp-sink [options]
Waits for one TCP connection, reads it to its end, and prints a line:
bytes, seconds, megabits per second, SHA-256.
  --port PORT         port to listen on (default: 5001)
  --connect ADDRESS   connect to this address instead of waiting
  --no-hash           do not compute the SHA-256`,
  {
    port: { type: "string", default: "5001" },
    connect: { type: "string" },
    "no-hash": { type: "boolean" },
  },
);

const { host } = args;
const port = numberOf(args, "port");
const address = args.values.connect as string | undefined;
let connection = null;
if (address === undefined) {
  const server = await host.listen({ port });
  console.error(`listening on port ${port}`);
  connection = (await server.accept())!;
  server.close();
} else {
  connection = await host.connect({ address, port });
}

const hash = args.values["no-hash"] === true ? null : createHash("sha256");
let bytes = 0;
const startedMs = performance.now();
for await (const data of connection) {
  bytes += (data as Buffer).length;
  hash?.update(data as Buffer);
}
const seconds = (performance.now() - startedMs) / 1_000;
const megabits = (bytes * 8) / 1e6 / seconds;
console.log(`${bytes} ${seconds.toFixed(3)} ${megabits.toFixed(0)} ${hash?.digest("hex") ?? "-"}`);
await host.end();
