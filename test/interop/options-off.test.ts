/** Peers without timestamps, SACK or window scaling: a transfer each way, content intact. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { content } from "../support/content.js";
import { background, enterNamespace } from "../support/namespace.js";
import { runAsync } from "../support/run-async.js";
import { HOST4, LINUX4, tapHost } from "../support/tap-host.js";

await enterNamespace(import.meta.url, "ip", "python3", "tshark");

const PEER = fileURLToPath(new URL("../../../test/support/linux-tcp.py", import.meta.url));
const BYTES = 8_000_000;
const OPTIONS = ["tcp_timestamps", "tcp_sack", "tcp_window_scaling"];
const { host, close } = tapHost({
  faults: { seed: 11, rx: { loss: 0.002 }, tx: { loss: 0.002 } },
});

const COMBINATIONS = [
  ["tcp_timestamps"],
  ["tcp_sack"],
  ["tcp_window_scaling"],
  ["tcp_timestamps", "tcp_sack", "tcp_window_scaling"],
];
let port = 5100;

for (const off of COMBINATIONS) {
  test(`transfers both ways with ${off.join(", ")} off at Linux`, async () => {
    for (const name of OPTIONS) {
      writeFileSync(`/proc/sys/net/ipv4/${name}`, off.includes(name) ? "0" : "1");
    }
    port++;
    const server = await host.listen({ port });
    const heard = (async () => {
      const connection = await server.accept();
      const digest = createHash("sha256");
      for await (const chunk of connection!) digest.update(chunk);
      connection!.end();
      return digest.digest("hex");
    })();
    const sent = await runAsync("python3", PEER, "source", HOST4, `${port}`, `${BYTES}`);
    assert.equal(await heard, sent.split(" ")[0]);
    server.close();

    const sink = background("python3", PEER, "sink", LINUX4, `${port}`);
    await sink.waitFor(/ready/);
    const connection = await host.connect({ address: LINUX4, port });
    const digest = createHash("sha256");
    for (const block of content(BYTES)) {
      digest.update(block);
      if (!connection.write(block)) await once(connection, "drain");
    }
    connection.end();
    await sink.waitFor(/[0-9a-f]{64} \d+/);
    assert.match(sink.output, new RegExp(digest.digest("hex")));
  });
}

after(close); // hooks run in order: sockets first, then the host
