/** Preloaded by `--import`: settings by `register({…})`, from `SETTINGS`; says of the program's sockets who carries them. */
import { once } from "node:events";
import type * as Register from "../../../src/node/register.js";

const { register, explain, decisions } = (await import(
  new URL("../../../bundle/node/register.js", import.meta.url).href
)) as typeof Register;
register(JSON.parse(process.env.SETTINGS!));

const net = await import("node:net");
const [, , far, near, port, barred] = process.argv;

async function ask(host: string, at: string): Promise<object> {
  const socket = net.connect(Number(at), host);
  const [seen] = await once(socket, "data");
  const by = explain(socket);
  socket.destroy();
  return { seen: String(seen), ...by };
}

const server = net.createServer((socket) => socket.end("looped")).listen(0, "127.0.0.1");
await once(server, "listening");
const { port: own } = server.address() as import("node:net").AddressInfo;
const { idle: before } = performance.eventLoopUtilization();
await new Promise((resolve) => setTimeout(resolve, 200));
const gone = net.connect(Number(port), far).on("error", () => {});
await new Promise(setImmediate);
gone.destroy();
const said = {
  barred: await ask(near!, barred!),
  loopback: await ask("127.0.0.1", `${own}`),
  /** Whether the event loop has ever waited while a socket was open. */
  sleeps: performance.eventLoopUtilization().idle > before,
  reasons: decisions().map((d) => d.reason),
};
console.log(JSON.stringify(said));
server.close();
