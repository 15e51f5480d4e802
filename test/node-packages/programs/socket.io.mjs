// socket.io: polling, then WebSocket; rooms, acknowledgements, binary data.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { io } from "socket.io-client";

const http = createServer();
const server = new Server(http);
server.on("connection", (socket) => {
  socket.join("room");
  socket.on("ask", (question, answer) => answer(`${question} answered`));
  socket.on("bytes", (bytes) => socket.emit("bytes", bytes));
  socket.on("all", (text) => server.to("room").emit("all", text));
});
http.listen(0, "127.0.0.1");
await new Promise((resolve) => http.once("listening", resolve));
const url = `http://127.0.0.1:${http.address().port}`;
const connect = async (transports) => {
  const socket = io(url, { transports, forceNew: true });
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
};
const clients = [
  await connect(["websocket"]),
  await connect(["polling"]),
  await connect(["polling", "websocket"]),
];
for (const client of clients) {
  console.log(await client.emitWithAck("ask", "question"));
  const bytes = new Promise((resolve) => client.once("bytes", resolve));
  client.emit("bytes", Buffer.alloc(100_000, 5));
  console.log((await bytes).length);
}
const heard = clients.map((client) => new Promise((resolve) => client.once("all", resolve)));
clients[0].emit("all", "to everybody");
console.log(await Promise.all(heard));
for (const client of clients) client.close();
await server.close();
