/**
 * The program and a worker (`cluster` or `thread`) that is given settings of its own ask a server of the kernel's; then the
 * worker serves at its own address.
 */
import cluster from "node:cluster";
import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker } from "node:worker_threads";

const FILE = fileURLToPath(import.meta.url);
const [how, port, host, workerHost, workerAddress, ...settings] = process.argv.slice(2);

/** The address that the server of the kernel's sees. */
async function ask(at: string): Promise<string> {
  let text = "";
  for await (const d of net.connect(Number(port), at)) text += String(d);
  return text;
}

async function work(tell: (what: unknown) => void): Promise<void> {
  const seen = await ask(workerHost!);
  const server = net.createServer((socket) => socket.end("the worker"));
  server.listen({ port: 0, host: workerAddress!, exclusive: true });
  await once(server, "listening");
  tell({ seen, port: (server.address() as net.AddressInfo).port });
}

if (cluster.isWorker) {
  await work((what) => process.send!(what));
} else if (!isMainThread) {
  await work((what) => parentPort!.postMessage(what));
} else {
  console.log(JSON.stringify({ seen: await ask(host!) }));
  const env = Object.fromEntries(settings.map((s) => s.split(/=(.*)/).slice(0, 2)));
  const worker =
    how === "cluster"
      ? cluster.fork(env)
      : new Worker(FILE, { argv: process.argv.slice(2), env: { ...process.env, ...env } });
  const [told] = await once(worker, "message");
  console.log(JSON.stringify(told));
  // The test asks the worker, and ends this.
  await once(process.stdin.resume(), "end");
  if (worker instanceof Worker) await worker.terminate();
  else worker.kill();
  process.exit(0);
}
