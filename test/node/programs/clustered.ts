/** Two workers of a cluster serve one port; the primary asks them. */
import cluster from "node:cluster";
import dgram from "node:dgram";
import { once } from "node:events";
import http from "node:http";

if (process.argv[2] === "none") cluster.schedulingPolicy = cluster.SCHED_NONE;

if (cluster.isWorker) {
  const server = http.createServer((_request, response) => {
    response.setHeader("connection", "close").end("from a worker");
  });
  server.listen(0, "127.0.0.1", () => {
    const socket = dgram.createSocket("udp4");
    socket.on("message", (m, from) => socket.send(`${m} answered`, from.port, from.address));
    socket.bind(0, "127.0.0.1", () => {
      const address = server.address() as { port: number };
      process.send!({ http: address.port, udp: socket.address().port });
    });
  });
} else {
  const workers = [cluster.fork(), cluster.fork()];
  const told = await Promise.all(workers.map(async (w) => (await once(w, "message"))[0]));
  console.log("one port", told[0].http === told[1].http);
  for (let i = 0; i < 4; i++) {
    console.log(await (await fetch(`http://127.0.0.1:${told[0].http}/`)).text());
  }
  const socket = dgram.createSocket("udp4");
  socket.send("question", told[0].udp, "127.0.0.1");
  console.log(String((await once(socket, "message"))[0]));
  socket.close();
  for (const w of workers) w.kill();
  await Promise.all(workers.map((w) => once(w, "exit")));
}
