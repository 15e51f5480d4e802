/** Datagrams of 64 bytes from a connected socket to the device; prints one JSON line. */
import { Family } from "../../src/socket/linux-options.js";
import { FAR } from "../frames.js";
import { perPacket } from "../per-packet.js";
import { BATCH, PORT, Rig } from "../rig.js";

const PACKETS = 4_000_000;
const PAYLOAD_BYTES = 64;
const BATCH_US = 10;

const rig = new Rig();
const socket = rig.stack.udpSocket(Family.INET);
if (socket.connect(FAR, PORT) !== 0) throw new Error("udp-tx: connect");
const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x5a);

function work(count: number): void {
  const { device } = rig;
  const before = device.transmitted;
  for (let left = count; left > 0; left -= BATCH) {
    for (let i = 0; i < BATCH; i++) socket.send(payload);
    rig.turn(BATCH_US);
  }
  const sent = device.transmitted - before;
  if (sent < count) throw new Error(`udp-tx: expected ${count} datagrams, got ${sent}`);
}

console.log(JSON.stringify(await perPacket(PACKETS, work)));
