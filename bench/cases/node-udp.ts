/** What a 64-byte datagram costs with `node:dgram` over loopback, both ends in this process. */
import { createSocket } from "node:dgram";
import { once } from "node:events";

const PACKETS = 100_000;
const BATCH = 32;

const rx = createSocket("udp4");
rx.bind(0, "127.0.0.1");
await once(rx, "listening");
const tx = createSocket("udp4");
tx.connect(rx.address().port, "127.0.0.1");
await once(tx, "connect");
const payload = Buffer.alloc(64, 0x5a);
let received = 0;
let done: () => void = () => {};
rx.on("message", () => {
  received++;
  if (received === PACKETS) done();
  else if (received % BATCH === 0) sendBatch();
});
const finished = new Promise<void>((resolve) => {
  done = resolve;
});
const sendBatch = (): void => {
  for (let i = 0; i < BATCH; i++) tx.send(payload);
};
const start = process.cpuUsage();
sendBatch();
await finished;
const used = process.cpuUsage(start);
// Half of it is one direction's: they cannot be told apart here.
console.log(JSON.stringify({ ns_per_packet: ((used.user + used.system) * 1e3) / PACKETS / 2 }));
rx.close();
tx.close();
