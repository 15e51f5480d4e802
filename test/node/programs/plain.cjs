"use strict";
// A program of CommonJS: says whether a question is answered, and what is global.
const net = require("node:net");
const known = new Set(Object.getOwnPropertyNames(globalThis));
const server = net.createServer((socket) => socket.end("answer"));
server.listen(0, "127.0.0.1", () => {
  const client = net.connect(server.address().port, "127.0.0.1");
  client.on("data", (d) => console.log(String(d), known.size));
  client.on("close", () => server.close());
});
