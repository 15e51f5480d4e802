/** Datagrams of 64 bytes from the device to a socket's queue and out of it; prints one JSON line. */
import { Family } from "../../src/socket/linux-options.js";
import { HOST, udpFrame } from "../frames.js";
import { perPacket } from "../per-packet.js";
import { BATCH, PORT, Rig } from "../rig.js";

const PACKETS = 4_000_000;
const PAYLOAD_BYTES = 64;
const BATCH_US = 10;

const rig = new Rig();
const { pool, device } = rig;
const socket = rig.stack.udpSocket(Family.INET);
if (socket.bind(HOST, PORT) !== 0) throw new Error("udp-rx: bind");
device.load(udpFrame(5_000, PORT, PAYLOAD_BYTES));

/** Takes the slots themselves. */
function work(count: number): void {
  let taken = 0;
  for (let left = count; left > 0; left -= BATCH) {
    device.pending = BATCH;
    rig.turn(BATCH_US);
    for (let slot = socket.receiveSlot(); slot >= 0; slot = socket.receiveSlot()) {
      pool.give(slot);
      taken++;
    }
  }
  if (taken < count) throw new Error(`udp-rx: expected ${count} datagrams, got ${taken}`);
}

/** Copies each datagram to the program's memory. */
function copyingWork(count: number): void {
  const into = new Uint8Array(2_048);
  let taken = 0;
  for (let left = count; left > 0; left -= BATCH) {
    device.pending = BATCH;
    rig.turn(BATCH_US);
    while (socket.receive(into) === PAYLOAD_BYTES) taken++;
  }
  if (taken < count) throw new Error(`udp-rx: expected ${count} datagrams, got ${taken}`);
}

const figures = await perPacket(PACKETS, work);
const copied = await perPacket(PACKETS / 4, copyingWork);
console.log(JSON.stringify({ ...figures, ns_per_packet_copied: copied.ns_per_packet }));
