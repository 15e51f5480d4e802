// undici: pools, pipelining, streams, aborts, bodies that fail.
import { once } from "node:events";
import { createServer } from "node:http";
import { Client, errors, fetch, Pool, request, stream } from "undici";

const server = createServer((request, response) => {
  if (request.url === "/never") return;
  if (request.url === "/cut") {
    response.write("half");
    setImmediate(() => response.socket.destroy());
    return;
  }
  request.pipe(response);
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const origin = `http://127.0.0.1:${server.address().port}`;
const { statusCode, body } = await request(`${origin}/`, { method: "POST", body: "body" });
console.log(statusCode, await body.text());
const client = new Client(origin, { pipelining: 4 });
const answers = await Promise.all(
  Array.from({ length: 40 }, async (_, i) => {
    const { body } = await client.request({ path: "/", method: "PUT", body: `n${i}` });
    return body.text();
  }),
);
console.log(answers.join());
await client.close();
const pool = new Pool(origin, { connections: 3 });
let streamed = 0;
const { Writable } = await import("node:stream");
await stream(
  `${origin}/`,
  { method: "POST", body: Buffer.alloc(2_000_000), dispatcher: pool },
  () =>
    new Writable({
      write(chunk, _encoding, done) {
        streamed += chunk.length;
        done();
      },
    }),
);
console.log(streamed);
for (const [path, options] of [
  ["/never", { signal: AbortSignal.timeout(50) }],
  ["/never", { headersTimeout: 50 }],
  ["/cut", {}],
]) {
  try {
    const { body } = await request(`${origin}${path}`, { dispatcher: pool, ...options });
    await body.text();
    console.log(path, "no error");
  } catch (e) {
    console.log(path, e.name, e.code, e instanceof errors.UndiciError);
  }
}
console.log(await (await fetch(`${origin}/`, { method: "POST", body: "fetched" })).text());
await pool.destroy();
server.close();
server.closeAllConnections();
process.exit(0);
