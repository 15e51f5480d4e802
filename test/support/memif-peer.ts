/**
 * A host in a process of its own, behind memif: echoes UDP and TCP on port 7, and discards and counts
 * TCP on port 9 (what it counted is the answer). Arguments: the socket's path and the role. Ends when its
 * standard input does. Prints `up` when the link is.
 */
import { createHash } from "node:crypto";
import { createHost, openMemif } from "../../src/index.js";
import { until } from "./until.js";

const [path = "", role = "server", spin = ""] = process.argv.slice(2);
// The address stays when it is killed and started again: whoever knows it need not ask anew.
const mac = Uint8Array.of(2, 0, 0, 9, 0, 2);
const device = openMemif({ path, role: role === "client" ? "client" : "server", mac });
const host = createHost({
  device,
  addresses: ["10.9.0.2/24", "fd09::2/64"],
  ...(spin === "spin" ? { spinUs: Number.POSITIVE_INFINITY } : {}),
});

const udp = await host.udp({ port: 7 });
const echo = await host.listen({ port: 7 });
const count = await host.listen({ port: 9 });
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));

async function echoUdp(): Promise<void> {
  for await (const m of udp) await udp.send(m.data, m);
}

async function echoTcp(): Promise<void> {
  for await (const c of echo) c.pipe(c);
}

async function countTcp(): Promise<void> {
  for await (const c of count) {
    const hash = createHash("sha256");
    c.on("data", (data: Uint8Array) => hash.update(data));
    c.on("end", () => c.end(hash.digest("hex")));
  }
}

void echoUdp();
void echoTcp();
void countTcp();
await until(() => device.isUp, "the link to come up");
console.log("up");
