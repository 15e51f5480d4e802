/** Linux's curl against Node's own HTTP server on a Millrace host over TAP. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { runAsync } from "../support/run-async.js";
import { HOST4, HOST6, tapHost } from "../support/tap-host.js";

await enterNamespace(import.meta.url, "ip", "curl", "tshark");

const { host, close } = tapHost();

const LARGE = Buffer.alloc(5_000_000, "0123456789abcdef");
const http = createServer((request, response) => {
  if (request.url === "/large") response.end(LARGE);
  else if (request.method === "POST") {
    const hash = createHash("sha256");
    request.on("data", (chunk) => hash.update(chunk));
    request.on("end", () => response.end(hash.digest("hex")));
  } else response.end(`hello ${request.url}\n`);
});
const server = await host.listen({ port: 80 });
after(() => server.close());
void (async () => {
  for await (const connection of server) http.emit("connection", connection);
})();

for (const authority of [HOST4, `[${HOST6}]`]) {
  test(`curl gets a page from http://${authority}`, async () => {
    assert.equal(await runAsync("curl", "-sS", `http://${authority}/world`), "hello /world\n");
  });
  test(`curl gets 5 MB from http://${authority}`, async () => {
    const out = await runAsync("curl", "-sS", `http://${authority}/large`);
    assert.equal(out.length, LARGE.length);
    assert.equal(Buffer.from(out).equals(LARGE), true);
  });
  test(`curl posts 5 MB to http://${authority}`, async () => {
    const { writeFileSync, rmSync } = await import("node:fs");
    const file = `/tmp/millrace-post-${process.pid}`;
    writeFileSync(file, LARGE);
    const out = await runAsync("curl", "-sS", "--data-binary", `@${file}`, `http://${authority}/`);
    rmSync(file);
    assert.equal(out, createHash("sha256").update(LARGE).digest("hex"));
  });
}

test("curl uses one connection for several requests", async () => {
  const url = `http://${HOST4}/`;
  const out = await runAsync("curl", "-sS", `${url}a`, `${url}b`, `${url}c`);
  assert.equal(out, "hello /a\nhello /b\nhello /c\n");
});

after(close); // hooks run in order: sockets first, then the host
