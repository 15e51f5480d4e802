/** Python's http.server, urllib and asyncio, curl, and Node.js as a plain program. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { enterNamespace } from "../../support/namespace.js";
import { HERE, type Running, RunWorld } from "../../support/run-world.js";

await enterNamespace(import.meta.url, "curl", "python3");
const PYTHON = "/usr/bin/python3";
const world = RunWorld.open();
const content = randomBytes(3_000_000);
const sum = createHash("sha256").update(content).digest("hex");
writeFileSync(join(world.folder, "big.bin"), content);
writeFileSync(join(world.folder, "small.txt"), "small\n");

let server: Running;
before(async () => {
  server = world.accelerated(
    ...[PYTHON, "-u", "-m", "http.server", "8000", "--directory", world.folder],
  );
  await world.serves(8000, server);
});

test("curl from Python's http.server: a small file and three megabytes", async () => {
  const url = `http://${HERE}:8000`;
  assert.equal(await world.run("curl", "-sS", `${url}/small.txt`), "small\n");
  const copy = join(world.folder, "copy.bin");
  await world.run("curl", "-sS", "-o", copy, `${url}/big.bin`);
  assert.match(await world.runPlain("sha256sum", copy), new RegExp(sum));
  await world.allAccelerated();
});

test("curl as the kernel's program, by 127.0.0.1", async () => {
  assert.equal(await world.runPlain("curl", "-sS", "http://127.0.0.1:8000/small.txt"), "small\n");
});

test("urllib", async () => {
  const script = `import urllib.request,hashlib
print(hashlib.sha256(urllib.request.urlopen("http://${HERE}:8000/big.bin").read()).hexdigest())`;
  assert.equal(await world.run(PYTHON, "-c", script), `${sum}\n`);
});

test("asyncio: a server and twenty clients at once", async () => {
  const serve = `import asyncio
async def echo(r, w):
    while data := await r.read(4096):
        w.write(data); await w.drain()
    w.close()
async def main():
    s = await asyncio.start_server(echo, "0.0.0.0", 8001)
    async with s: await s.serve_forever()
asyncio.run(main())`;
  const echo = world.accelerated(PYTHON, "-c", serve);
  await world.serves(8001, echo);
  const call = `import asyncio
async def one(i):
    r, w = await asyncio.open_connection("${HERE}", 8001)
    text = (b"%d " % i) * 5000
    w.write(text); w.write_eof()
    assert await r.read() == text
    w.close(); await w.wait_closed()
async def main(): await asyncio.gather(*(one(i) for i in range(20)))
asyncio.run(main()); print("done")`;
  assert.equal(await world.run(PYTHON, "-c", call), "done\n");
  await echo.stop();
});

test("Node.js: an HTTP server and a client, as programs like others", async () => {
  const serve = `const http = require("node:http");
http.createServer((q, r) => { let n = 0; q.on("data", (d) => n += d.length); q.on("end", () => r.end("got " + n)); })
  .listen(8002, "0.0.0.0")`;
  const node = world.accelerated(process.execPath, "-e", serve);
  await world.serves(8002, node);
  const call = `fetch("http://${HERE}:8002/", { method: "POST", body: "x".repeat(200000) })
  .then((r) => r.text()).then(console.log)`;
  assert.equal(await world.run(process.execPath, "-e", call), "got 200000\n");
  assert.equal(await world.run("curl", "-sS", `http://${HERE}:8002/`), "got 0");
  await node.stop();
});
