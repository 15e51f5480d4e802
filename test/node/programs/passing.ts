/** Passes a server and a connection to a child process. */
import { fork } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";

if (process.send !== undefined) {
  process.on("message", (what, handle) => {
    if (what === "server") {
      (handle as net.Server).on("connection", (socket) => socket.end(`from the child`));
      process.send!("serving");
    } else if (what === "socket") (handle as net.Socket | undefined)?.end("the child's");
    else if (what === "end") process.exit(0);
  });
} else {
  const child = fork(fileURLToPath(import.meta.url));
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  child.send("server", server);
  await once(child, "message");
  server.close();
  // Several: the parent's listener must not take any.
  for (let i = 0; i < 3; i++) {
    let text = "";
    for await (const d of net.connect(port, "127.0.0.1")) text += String(d);
    console.log("server:", text);
  }
  const own = net.createServer((socket) => {
    child.send("socket", socket, {}, (e) => {
      console.log("socket:", e === null ? "passed" : (e as NodeJS.ErrnoException).code);
    });
  });
  own.listen(0, "127.0.0.1");
  await once(own, "listening");
  const to = (own.address() as net.AddressInfo).port;
  let text = "";
  for await (const d of net.connect(to, "127.0.0.1")) text += String(d);
  console.log("socket:", text);
  own.close();
  const paused = net.createServer({ pauseOnConnect: true }, (socket) => {
    child.send("socket", socket);
  });
  paused.listen(0, "127.0.0.1");
  await once(paused, "listening");
  let answer = "";
  const { port: pausedPort } = paused.address() as net.AddressInfo;
  for await (const d of net.connect(pausedPort, "127.0.0.1")) answer += String(d);
  console.log("paused:", answer);
  paused.close();
  child.send("end");
}
