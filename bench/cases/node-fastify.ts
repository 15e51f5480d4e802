/**
 * fastify says hello; autocannon asks, by 32 connections that are kept open.
 *
 *     node-fastify.js server|client ADDRESS [SECONDS]
 */
import { createRequire } from "node:module";

const PORT = 7007;
const CONNECTIONS = 32;
const WARM_UP_S = 1;
const [role, address, seconds = "0"] = process.argv.slice(2) as [string, string, string?];
// Compiled, this is dist/bench/cases/.
const load = createRequire(new URL("../../../test/node-packages/package.json", import.meta.url));

interface Fastify {
  get(path: string, handler: () => Promise<unknown>): void;
  listen(where: { port: number; host: string }): Promise<string>;
}
interface Result {
  readonly requests: { readonly average: number };
  readonly latency: { readonly p50: number; readonly p99: number };
  readonly errors: number;
  readonly non2xx: number;
}
type Autocannon = (options: object) => Promise<Result>;

if (role === "server") {
  const app = (load("fastify") as () => Fastify)();
  app.get("/", async () => ({ hello: "world" }));
  await app.listen({ port: PORT, host: address });
  console.log("ready");
} else {
  const autocannon = load("autocannon") as Autocannon;
  const ask = (duration: number): Promise<Result> =>
    autocannon({ url: `http://${address}:${PORT}/`, connections: CONNECTIONS, duration });
  await ask(WARM_UP_S);
  const { requests, latency, errors, non2xx } = await ask(Number(seconds));
  if (errors + non2xx > 0) throw new Error(`${errors} errors, ${non2xx} bad answers`);
  const { p50, p99 } = latency;
  console.log(JSON.stringify({ requests_per_s: requests.average, p50_ms: p50, p99_ms: p99 }));
  process.exit(0);
}
