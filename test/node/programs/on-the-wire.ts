/** Datagrams with every option that shows in a frame, to a peer that answers; says what it hears. */
import dgram from "node:dgram";
import { once } from "node:events";

const [own = "", peer = "", broadcast = "", group = ""] = process.argv.slice(2);

async function socketOf(options: object = {}, port = 0): Promise<dgram.Socket> {
  const socket = dgram.createSocket({ type: "udp4", ...options });
  socket.bind(port, own);
  await once(socket, "listening");
  return socket;
}

const send = (socket: dgram.Socket, text: string | Buffer | string[], to = peer): Promise<void> =>
  new Promise((resolve) => {
    socket.send(text, 7_000, to, (error, n) => {
      console.log("sent", error?.message ?? n);
      resolve();
    });
  });

const socket = await socketOf({ recvBufferSize: 60_000 }, 6_000);
const answered = once(socket, "message");
await send(socket, "question");
const [answer, from] = await answered;
console.log(String(answer), from);
await send(socket, "");
await send(socket, ["in ", "two parts"]);
await send(socket, Buffer.alloc(4_000, "long "));
socket.setTTL(9);
await send(socket, "near");
await send(socket, "group", group);
socket.setMulticastTTL(5);
socket.setMulticastInterface(own);
await send(socket, "farther group", group);
await send(socket, "denied", broadcast);
socket.setBroadcast(true);
await send(socket, "everyone", broadcast);
await send(socket, "all hosts", "255.255.255.255");

/** Joined, it hears itself or does not; and the peer, of whom it may choose. */
socket.addMembership(group, own);
const heard: string[] = [];
socket.on("message", (text, { address, port, size }) => {
  heard.push(`${text} ${address} ${port} ${size}`);
});
socket.setMulticastLoopback(false);
await send(socket, "unheard", group);
socket.setMulticastLoopback(true);
await send(socket, "heard", group);
await send(socket, "question");
while (!heard.some((one) => one.startsWith("answer"))) await once(socket, "message");
socket.dropMembership(group, own);
console.log(heard);

const connected = await socketOf({}, 6_001);
connected.connect(7_001, peer);
await once(connected, "connect");
connected.send("nobody there?");
const [error] = (await once(connected, "error").catch((e) => [e])) as [Error];
console.log(error.message);
connected.close();
socket.close();
