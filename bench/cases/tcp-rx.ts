/**
 * In-order segments of 1,460 bytes from the device to the reader, ACKs included; prints one JSON
 * line.
 */
import { put16, put32, u16 } from "../../src/base/bytes.js";
import { finish } from "../../src/base/checksum.js";
import * as tcp from "../../src/wire/tcp.js";
import { FAR, L4_AT } from "../frames.js";
import { perPacket } from "../per-packet.js";
import { BATCH, NO_OPTIONS, PORT, Rig, segment } from "../rig.js";

const PACKETS = 2_000_000;
const PAYLOAD_BYTES = 1_460;
const BATCH_US = 20;
const SEQ_AT = L4_AT + 4;
const CHECKSUM_AT = L4_AT + tcp.CHECKSUM_AT;

const rig = new Rig({ rmemDefaultBytes: 1 << 20 });
const { pool, device, stack } = rig;
const [socket, peer] = rig.establish(rig.listen(PORT), FAR, 5_000);
const frame = segment({ ...peer, seq: 0 }, PORT, tcp.ACK, NO_OPTIONS, PAYLOAD_BYTES);
/** Sum of everything but the sequence number. */
const restSum = ~u16(frame, CHECKSUM_AT) & 0xffff;

device.load(frame, (bytes, at) => {
  const seq = peer.seq;
  put32(bytes, at + SEQ_AT, seq);
  put16(bytes, at + CHECKSUM_AT, finish(restSum + (seq >>> 16) + (seq & 0xffff)));
  peer.seq = (seq + PAYLOAD_BYTES) | 0;
});

/** Takes the slots themselves. */
function work(count: number): void {
  let bytes = 0;
  for (let left = count; left > 0; left -= BATCH) {
    device.pending = BATCH;
    rig.turn(BATCH_US);
    for (let slot = socket.receiveSlot(); slot >= 0; slot = socket.receiveSlot()) {
      bytes += pool.end[slot]! - pool.at[slot]!;
      pool.give(slot);
    }
  }
  check(bytes, count);
}

/** Copies the bytes to the program's memory. */
function copyingWork(count: number): void {
  const into = new Uint8Array(65_536);
  let bytes = 0;
  for (let left = count; left > 0; left -= BATCH) {
    device.pending = BATCH;
    rig.turn(BATCH_US);
    for (let n = socket.receive(into); n > 0; n = socket.receive(into)) bytes += n;
  }
  check(bytes, count);
}

function check(bytes: number, count: number): void {
  if (bytes < count * PAYLOAD_BYTES) throw new Error(`tcp-rx: ${bytes} bytes of ${count} segments`);
}

// The first window is a SYN's, which is not scaled.
device.pending = 16;
rig.turn(BATCH_US);
for (let slot = socket.receiveSlot(); slot >= 0; slot = socket.receiveSlot()) pool.give(slot);
const acksBefore = device.transmitted;
const segmentsBefore = stack.tcp.counters.get("inSegs");
const figures = await perPacket(PACKETS, work);
const acks = device.transmitted - acksBefore;
const segments = stack.tcp.counters.get("inSegs") - segmentsBefore;
const copied = await perPacket(PACKETS / 4, copyingWork);
console.log(
  JSON.stringify({
    ...figures,
    ns_per_packet_copied: copied.ns_per_packet,
    acks_per_packet: acks / segments,
  }),
);
