// fastify, asked by its own clients: plugins, hooks, JSON, errors, large answers.
import Fastify from "fastify";

const app = Fastify({ forceCloseConnections: true });
app.addHook("onSend", async (_request, reply) => {
  reply.header("x-hook", "yes");
});
app.get("/hello/:name", async (request) => ({ hello: request.params.name, query: request.query }));
app.post("/sum", { schema: { body: { type: "array", items: { type: "number" } } } }, async (r) => ({
  sum: r.body.reduce((a, b) => a + b, 0),
}));
app.get("/large", async () => Buffer.alloc(1_000_000, "f"));
app.get("/ip", async (request) => request.ip);
const url = await app.listen({ port: 0, host: "127.0.0.1" });
const answer = await fetch(`${url}/hello/world?a=1`);
console.log(answer.status, answer.headers.get("x-hook"), await answer.json());
for (const body of ["[1,2,3]", '["x"]', "{"]) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/sum`, { method: "POST", body, headers });
  console.log(response.status, await response.text());
}
console.log((await (await fetch(`${url}/large`)).arrayBuffer()).byteLength);
console.log(await (await fetch(`${url}/ip`)).text(), (await fetch(`${url}/none`)).status);
const many = await Promise.all(
  Array.from(
    { length: 100 },
    async (_, i) => (await (await fetch(`${url}/hello/${i}`)).json()).hello,
  ),
);
console.log(many.join());
await app.close();
