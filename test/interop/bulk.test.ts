/**
 * Gigabytes between Linux and a Millrace host over TAP, both ways, compared by SHA-256. 2 GiB each
 * way by default; MILLRACE_BULK_BYTES says otherwise.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { content } from "../support/content.js";
import { background, enterNamespace } from "../support/namespace.js";
import { HOST4, LINUX4, tapHost } from "../support/tap-host.js";

await enterNamespace(import.meta.url, "ip", "python3");

const PEER = fileURLToPath(new URL("../../../test/support/linux-tcp.py", import.meta.url));
const TOTAL_BYTES = Number(process.env.MILLRACE_BULK_BYTES ?? 2 ** 31);
const { host, close } = tapHost({ capture: false });

test(`${TOTAL_BYTES} bytes from Linux arrive intact`, async (t) => {
  const server = await host.listen({ port: 5001 });
  const source = background("python3", PEER, "source", HOST4, "5001", `${TOTAL_BYTES}`);
  const connection = await server.accept();
  const digest = createHash("sha256");
  let received = 0;
  const startMs = performance.now();
  for await (const chunk of connection!) {
    digest.update(chunk);
    received += chunk.length;
  }
  report(t, received, startMs);
  connection!.end();
  await source.ended;
  assert.equal(received, TOTAL_BYTES);
  assert.equal(source.output.split(" ")[0], digest.digest("hex"));
  server.close();
});

test(`${TOTAL_BYTES} bytes to Linux arrive intact`, async (t) => {
  const sink = background("python3", PEER, "sink", LINUX4, "5002");
  await sink.waitFor(/ready/);
  const connection = await host.connect({ address: LINUX4, port: 5002 });
  const digest = createHash("sha256");
  const startMs = performance.now();
  for (const block of content(TOTAL_BYTES)) {
    digest.update(block);
    if (!connection.write(block)) await once(connection, "drain");
  }
  connection.end();
  await sink.waitFor(/[0-9a-f]{64} \d+/);
  report(t, TOTAL_BYTES, startMs);
  assert.match(sink.output, new RegExp(`${digest.digest("hex")} ${TOTAL_BYTES}`));
});

/** For people: both ends hash what they move, so this is no benchmark. */
function report(t: { diagnostic(message: string): void }, bytes: number, startMs: number): void {
  const gbitPerS = (bytes * 8) / (performance.now() - startMs) / 1e6;
  t.diagnostic(`${gbitPerS.toFixed(2)} Gbit/s, hashing included`);
}

after(close); // hooks run in order: sockets first, then the host
