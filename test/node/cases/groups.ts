/** Groups at one interface of the kernel's: who joins there hears what is sent there, and nothing else. */
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { closed, follow } from "../support/sockets.js";
import { errorText, HERE, trace } from "../support/trace.js";

async function at(name: string, group: string, iface: string): Promise<void> {
  const socket = dgram.createSocket("udp4");
  socket.bind(0);
  await once(socket, "listening");
  const { port } = socket.address();
  socket.addMembership(group, iface);
  socket.setMulticastInterface(iface);
  const send = (text: string, to: string): Promise<string> =>
    new Promise((resolve) =>
      socket.send(text, port, to, (e) => resolve(e === null ? "sent" : errorText(e))),
    );
  socket.on("message", (message, from) => trace(name, String(message), from.address));
  let heard = once(socket, "message");
  trace(name, await send("joined", group));
  await heard;
  socket.dropMembership(group, iface);
  trace(name, await send("left", group));
  heard = once(socket, "message");
  trace(name, await send("done", "127.0.0.1"));
  await heard;
  socket.close();
}

/** No connection can lead to a group. */
for (const group of ["239.9.9.9", "ff02::9"]) {
  await closed(follow(`connection ${group}`, net.connect({ port: 9, host: group })));
}

await at("loopback", "239.9.9.9", "127.0.0.1");

const own = dgram.createSocket("udp4");
own.bind(0, HERE);
await once(own, "listening");
trace("own", own.address().address === HERE);
own.close();
