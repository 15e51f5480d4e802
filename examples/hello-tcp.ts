/** Two hosts in one process, joined by a virtual cable; one echoes what the other says. */
import { createHost, simLink } from "../src/index.js";

if (process.argv.includes("--help")) {
  console.log("usage: hello-tcp\nTwo hosts joined by a virtual link talk TCP. Needs no privilege.");
  process.exit(0);
}

const cable = simLink();
const alice = createHost({ device: cable.a, addresses: ["10.0.0.1/24"] });
const bob = createHost({ device: cable.b, addresses: ["10.0.0.2/24"] });

const server = await bob.listen({ port: 7 });
const connection = await alice.connect({ address: "10.0.0.2", port: 7 });
const atServer = await server.accept();
atServer?.pipe(atServer); // echo

connection.end("Hello over my own TCP/IP stack!\n");
for await (const data of connection) process.stdout.write(data);

await Promise.all([alice.end(), bob.end()]);
