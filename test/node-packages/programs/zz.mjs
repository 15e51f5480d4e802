// ws: text, binary, fragments, compression, pings, closing.
import { WebSocket, WebSocketServer } from "ws";

const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: true });
await new Promise((resolve) => server.once("listening", resolve));
server.on("connection", (socket, request) => {
  process._rawDebug("server: connection", request.url, request.socket.remoteAddress);
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on("close", (code, reason) => process._rawDebug("server: close", code, String(reason)));
});
const url = `ws://127.0.0.1:${server.address().port}/path`;
const client = new WebSocket(url);
const next = () => new Promise((resolve) => client.once("message", (d, b) => resolve([d, b])));
await new Promise((resolve) => client.once("open", resolve));
for (const message of ["text", "ž".repeat(70_000), Buffer.alloc(500_000, 7), ""]) {
  const answer = next();
  client.send(message);
  const [data, isBinary] = await answer;
  process._rawDebug("client:", data.length, isBinary, data.equals(Buffer.from(message)));
}
const whole = next();
client.send("in ", { fin: false });
client.send("parts", { fin: true });
process._rawDebug("client:", String((await whole)[0]));
client.ping("are you there");
process._rawDebug(
  "client: pong",
  String(await new Promise((resolve) => client.once("pong", resolve))),
);
client.close(4_000, "enough");
process._rawDebug("client: close", await new Promise((resolve) => client.once("close", resolve)));
const cut = new WebSocket(url);
await new Promise((resolve) => cut.once("open", resolve));
for (const socket of server.clients) socket.terminate();
process._rawDebug("cut:", await new Promise((resolve) => cut.once("close", resolve)));
server.close();
