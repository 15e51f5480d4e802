/**
 * `server`: a TCP server and a datagram socket for both families, and one of each for IPv6 alone; each answers with who
 * it sees. `client ADDRESS4 ADDRESS6`: asks all of them over both.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import net from "node:net";

const BOTH = 7_100;
const ONLY6 = 7_101;
const [role, ...addresses] = process.argv.slice(2);

async function serve(port: number, ipv6Only: boolean): Promise<void> {
  const server = net.createServer((socket) => {
    socket.end(`${socket.remoteFamily} ${socket.remoteAddress} at ${socket.localAddress}`);
  });
  server.listen({ port, host: "::", ipv6Only });
  await once(server, "listening");
  const datagrams = createSocket({ type: "udp6", ipv6Only });
  datagrams.on("message", (_, { address, family, port: to }) => {
    datagrams.send(`${family} ${address}`, to, address);
  });
  datagrams.bind(port);
  await once(datagrams, "listening");
}

async function ask(port: number, host: string): Promise<string> {
  try {
    const socket = net.connect({ port, host });
    let text = "";
    for await (const d of socket) text += String(d);
    return text;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

/** Asks until there is an answer: the first datagram may be lost. */
async function askByDatagram(port: number, host: string): Promise<string> {
  const socket = createSocket(net.isIPv6(host) ? "udp6" : "udp4");
  const answer = once(socket, "message");
  const again = setInterval(() => socket.send("who am I?", port, host), 50);
  const [text] = (await answer) as [Buffer];
  clearInterval(again);
  socket.close();
  return String(text);
}

if (role === "server") {
  await serve(BOTH, false);
  await serve(ONLY6, true);
  console.log("ready");
  process.stdin.resume().on("end", () => process.exit(0));
} else {
  for (const host of addresses) {
    for (const port of [BOTH, ONLY6]) console.log(`tcp ${port} ${host}: ${await ask(port, host)}`);
    console.log(`udp ${BOTH} ${host}: ${await askByDatagram(BOTH, host)}`);
  }
  console.log(`udp ${ONLY6}: ${await askByDatagram(ONLY6, addresses[1]!)}`);
  const named = net.connect({
    port: BOTH,
    host: "both.example",
    autoSelectFamily: true,
    lookup: (_name, _options, done) =>
      done(null, addresses.map((address) => ({ address, family: net.isIP(address) })).reverse()),
  });
  const [data] = (await once(named, "data")) as [Buffer];
  console.log(`named: ${data}`);
}
