/** A program that serves and asks, by roles; what it runs on is none of its business. */
import { fork } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { fileURLToPath } from "node:url";

const [role, host = "", port = "0"] = process.argv.slice(2);

const roles: Record<string, () => Promise<void>> = {
  /** Serves TCP at every address, HTTP, and datagrams; says its ports. */
  serve: async () => {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      let text = "";
      socket.on("data", (d) => {
        text += String(d);
      });
      socket.on("end", () => socket.end(`${text} from ${socket.remoteAddress}`));
    });
    server.listen(0);
    const web = http.createServer((request, response) => response.end(`page ${request.url}`));
    web.listen(0);
    const socket = dgram.createSocket({ type: "udp4", reuseAddr: true });
    socket.on("message", (m, from) => socket.send(`${m} answered`, from.port, from.address));
    socket.bind(0);
    await Promise.all([
      once(server, "listening"),
      once(web, "listening"),
      once(socket, "listening"),
    ]);
    socket.addMembership("239.78.0.1");
    const { port: tcp } = server.address() as net.AddressInfo;
    const { port: page } = web.address() as net.AddressInfo;
    console.log(JSON.stringify({ tcp, page, udp: socket.address().port }));
    process.stdin.resume().on("end", () => process.exit(0));
  },
  /** Sends a megabyte and counts what comes back. */
  echo: async () => {
    const socket = net.connect(Number(port), host);
    const data = Buffer.alloc(1_000_000, "e");
    let n = 0;
    socket.on("data", (d) => {
      n += d.length;
      if (n === data.length) socket.end();
    });
    socket.write(data);
    let from: string | undefined;
    socket.on("connect", () => {
      from = socket.localAddress;
    });
    await once(socket, "close");
    console.log(n, from);
  },
  /** Says something and leaves at once: everything must arrive. */
  leave: async () => {
    const socket = net.connect(Number(port), host);
    socket.on("connect", () => {
      socket.end(Buffer.alloc(200_000, "l"), () => process.exit(0));
    });
  },
  /** Asks, and has a child ask another address, with what follows in `argv` in its environment. */
  fork: async () => {
    await roles.ask!();
    const env = { ...process.env };
    for (const setting of process.argv.slice(6)) {
      const at = setting.indexOf("=");
      env[setting.slice(0, at)] = setting.slice(at + 1);
    }
    await once(
      fork(fileURLToPath(import.meta.url), ["ask", process.argv[5]!, port], { env }),
      "exit",
    );
  },
  refused: async () => {
    const socket = net.connect(Number(port), host);
    const [e] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    console.log(e.message);
  },
  ask: async () => {
    const socket = dgram.createSocket("udp4");
    socket.send("question", Number(port), host);
    const [m, from] = await once(socket, "message");
    console.log(String(m), from.address);
    socket.close();
    if (process.connected) process.disconnect();
  },
};

await roles[role!]!();
