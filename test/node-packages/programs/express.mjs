// express under autocannon: every request is answered.
import autocannon from "autocannon";
import express from "express";

const app = express();
app.use(express.json());
app.get("/", (_request, response) => response.send("hello"));
app.post("/echo", (request, response) => response.json(request.body));
app.get("/stream", async (_request, response) => {
  for (let i = 0; i < 5; i++) response.write(`${i}\n`);
  response.end();
});
app.get("/error", () => {
  throw new Error("on purpose");
});
app.use((error, _request, response, _next) => response.status(500).send(error.message));
const server = app.listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const url = `http://127.0.0.1:${server.address().port}`;
console.log(await (await fetch(`${url}/stream`)).text(), (await fetch(`${url}/error`)).status);
const result = await autocannon({ url, connections: 10, pipelining: 2, amount: 500 });
console.log(result["2xx"], result.non2xx, result.errors, result.timeouts, result.mismatches);
const posted = await autocannon({
  url: `${url}/echo`,
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ a: "x".repeat(5_000) }),
  connections: 5,
  amount: 200,
});
console.log(posted["2xx"], posted.errors);
server.close();
server.closeAllConnections();
