/**
 * A Millrace host behind AF_XDP that sends datagrams to port 7 of a peer and waits for each answer,
 * never asleep; prints one JSON line, as bench/native/udp-pingpong.c does.
 *
 *     xdp-udp-client.js INTERFACE generic|native ADDRESS/BITS PEER COUNT BYTES
 */
import { IpAddress } from "../../src/base/ip-address.js";
import { clockUs, monotonicUs, readClock } from "../../src/nic/clock.js";
import { openXdpRig } from "../xdp-rig.js";

const [name, mode, address, peer, countText, bytesText] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string,
];
const count = Number(countText);
const WARM_UP = Math.floor(count / 10);
const PATIENCE_US = 200_000;

/** Turns that share one reading of the clock, which costs as much as a turn with nothing to do. */
const TURNS_A_READING = 16;

const { stack, socket } = openXdpRig(name, mode, address, 0);
const connected = socket.connect(IpAddress.parse(peer)!, 7);
if (connected < 0) throw new Error(`cannot connect to ${peer}: ${connected}`);
const message = new Uint8Array(Number(bytesText)).fill(0x5a);
const messageView = new DataView(message.buffer);
const { view } = stack.pool;

/** Half the round trip in µs, or -1 when there was no answer. */
function exchange(sequence: number): number {
  messageView.setInt32(0, sequence);
  readClock();
  const startUs = clockUs[0]!;
  let nowUs = Math.floor(startUs);
  const endUs = nowUs + PATIENCE_US;
  socket.send(message);
  for (let turns = 1; nowUs < endUs; turns++) {
    stack.poll(nowUs);
    const slot = socket.receiveSlot();
    if (slot >= 0) {
      const answered = view.getInt32(stack.pool.at[slot]!);
      stack.pool.give(slot);
      readClock();
      // A late answer to a message that was given up is none to this one.
      if (answered === sequence) return (clockUs[0]! - startUs) / 2;
    }
    if ((turns & (TURNS_A_READING - 1)) === 0) nowUs = monotonicUs();
  }
  return -1;
}

const half: number[] = [];
let lost = 0;
for (let i = -WARM_UP; i < count && lost < 20; i++) {
  const us = exchange(i);
  if (us < 0) lost++;
  else if (i >= 0) half.push(us);
}
if (half.length === 0) throw new Error("no answer");
half.sort((a, b) => a - b);
const at = (part: number): number => Number(half[Math.floor(half.length * part)]!.toFixed(3));
console.log(
  JSON.stringify({
    p50_us: at(0.5),
    p99_us: at(0.99),
    p999_us: at(0.999),
    min_us: at(0),
    observations: half.length,
    lost,
  }),
);
process.exit(0);
