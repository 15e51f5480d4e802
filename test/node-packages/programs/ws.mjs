// ws: text, binary, fragments, compression, pings, closing.
import { WebSocket, WebSocketServer } from "ws";

const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: true });
await new Promise((resolve) => server.once("listening", resolve));
server.on("connection", (socket, request) => {
  console.log("server: connection", request.url, request.socket.remoteAddress);
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on("close", (code, reason) => console.log("server: close", code, String(reason)));
});
const url = `ws://127.0.0.1:${server.address().port}/path`;
const client = new WebSocket(url);
const next = () => new Promise((resolve) => client.once("message", (d, b) => resolve([d, b])));
await new Promise((resolve) => client.once("open", resolve));
for (const message of ["text", "ž".repeat(70_000), Buffer.alloc(500_000, 7), ""]) {
  const answer = next();
  client.send(message);
  const [data, isBinary] = await answer;
  console.log("client:", data.length, isBinary, data.equals(Buffer.from(message)));
}
const whole = next();
client.send("in ", { fin: false });
client.send("parts", { fin: true });
console.log("client:", String((await whole)[0]));
client.ping("are you there");
console.log("client: pong", String(await new Promise((resolve) => client.once("pong", resolve))));
client.close(4_000, "enough");
console.log("client: close", await new Promise((resolve) => client.once("close", resolve)));
const cut = new WebSocket(url);
await new Promise((resolve) => cut.once("open", resolve));
for (const socket of server.clients) socket.terminate();
console.log("cut:", await new Promise((resolve) => cut.once("close", resolve)));
server.close();
