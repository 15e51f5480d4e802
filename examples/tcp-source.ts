/** Sends bulk data over TCP and prints how much, how fast, and their SHA-256. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { numberOf, tapArguments } from "./tap-host.js";

const args = tapArguments(
  `usage: tcp-source [options]
Connects (or waits for a connection), sends pseudo-random bytes, and prints a line:
bytes, seconds, megabits per second, SHA-256.
  --connect ADDRESS   peer; without it, waits for one connection
  --port PORT         port (default: 5001)
  --bytes N           how many bytes to send (default: 104857600)
  --seed N            which bytes (default: 1)
  --no-hash           do not compute the SHA-256`,
  {
    connect: { type: "string" },
    port: { type: "string", default: "5001" },
    bytes: { type: "string", default: "104857600" },
    seed: { type: "string", default: "1" },
    "no-hash": { type: "boolean" },
  },
);

const { host } = args;
const port = numberOf(args, "port");
const total = numberOf(args, "bytes");
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

/** A megabyte and a bit that does not repeat at a power of two; rotated by the position. */
const block = createBlock(1_048_573, numberOf(args, "seed"));
const hash = args.values["no-hash"] === true ? null : createHash("sha256");
const startedMs = performance.now();
for (let sent = 0; sent < total; ) {
  const data = block.subarray(0, Math.min(block.length, total - sent));
  hash?.update(data);
  sent += data.length;
  if (!connection.write(data)) await once(connection, "drain");
}
connection.end();
connection.resume();
await once(connection, "end");
const seconds = (performance.now() - startedMs) / 1_000;
const megabits = (total * 8) / 1e6 / seconds;
console.log(`${total} ${seconds.toFixed(3)} ${megabits.toFixed(0)} ${hash?.digest("hex") ?? "-"}`);
await host.end();

function createBlock(bytes: number, seed: number): Buffer {
  const out = Buffer.allocUnsafe(bytes);
  let x = seed | 1;
  for (let i = 0; i < bytes; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    out[i] = x;
  }
  return out;
}
