/**
 * Transfers between Linux and a Millrace host over a link that loses, reorders and duplicates in
 * both directions: the content arrives intact. How fast, beside Linux to Linux through the same
 * faults, is measured by `npm run bench -- tap-loss`.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { FaultOptions } from "../../src/nic/fault-path.js";
import { content } from "../support/content.js";
import { background, enterNamespace } from "../support/namespace.js";
import { runAsync } from "../support/run-async.js";
import { HOST4, LINUX4, type TapHost, tapHost } from "../support/tap-host.js";

await enterNamespace(import.meta.url, "ip", "python3", "tshark");

const PEER = fileURLToPath(new URL("../../../test/support/linux-tcp.py", import.meta.url));

const LINKS: readonly (readonly [name: string, faults: FaultOptions, bytes: number])[] = [
  ["1 % loss, reordering, duplication", { loss: 0.01, reorder: 0.01, duplicate: 0.01 }, 15_000_000],
  ["5 % loss, reordering, duplication", { loss: 0.05, reorder: 0.02, duplicate: 0.02 }, 8_000_000],
  ["0.1 % corruption", { corrupt: 0.001 }, 20_000_000],
];

for (const [name, faults, bytes] of LINKS) {
  describe(name, () => {
    let link: TapHost;
    before(() => {
      link = tapHost({
        faults: { seed: 5, rx: faults, tx: faults },
        capture: faults.corrupt === undefined, // a corrupted frame has a bad checksum, as it should
      });
    });
    after(() => link.close());

    test(`${bytes} bytes from Linux arrive intact`, async () => {
      const server = await link.host.listen({ port: 5001 });
      const heard = (async () => {
        const connection = await server.accept();
        const digest = createHash("sha256");
        for await (const chunk of connection!) digest.update(chunk);
        connection!.end();
        return digest.digest("hex");
      })();
      const sent = await runAsync("python3", PEER, "source", HOST4, "5001", `${bytes}`);
      assert.equal(await heard, sent.split(" ")[0]);
      server.close();
    });

    test(`${bytes} bytes to Linux arrive intact`, async () => {
      const sink = background("python3", PEER, "sink", LINUX4, "5002");
      await sink.waitFor(/ready/);
      const connection = await link.host.connect({ address: LINUX4, port: 5002 });
      const digest = createHash("sha256");
      for (const block of content(bytes)) {
        digest.update(block);
        if (!connection.write(block)) await once(connection, "drain");
      }
      connection.end();
      await sink.waitFor(/[0-9a-f]{64} \d+/, 100_000);
      assert.match(sink.output, new RegExp(digest.digest("hex")));
    });
  });
}
