// fastify for clients elsewhere, until it is killed.
import Fastify from "fastify";

const app = Fastify();
app.get("/", async () => ({ hello: "world" }));
await app.listen({ port: 3_000, host: "0.0.0.0" });
console.log("ready");
