/** A worker thread has sockets of its own; it is asked by another thread, and by itself. */
import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker } from "node:worker_threads";

const ask = async (port: number): Promise<string> => {
  let text = "";
  for await (const d of net.connect(port, "127.0.0.1")) text += String(d);
  return text;
};

if (isMainThread) {
  const worker = new Worker(fileURLToPath(import.meta.url));
  const [{ port, own }] = await once(worker, "message");
  console.log("own:", own);
  console.log("other:", await ask(port));
  worker.postMessage("end");
  await once(worker, "exit");
} else {
  const server = net.createServer((socket) => socket.end("from the thread"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  parentPort!.postMessage({ port, own: await ask(port) });
  await once(parentPort!, "message");
  server.close();
  parentPort!.close();
}
