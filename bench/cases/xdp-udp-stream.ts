/**
 * One end of a stream of datagrams between two Millrace hosts behind AF_XDP, never asleep.
 *
 *     xdp-udp-stream.js sink INTERFACE generic|native ADDRESS/BITS BYTES MILLISECONDS   one JSON line
 *     xdp-udp-stream.js send INTERFACE generic|native ADDRESS/BITS BYTES PEER           until killed
 */
import { IpAddress } from "../../src/base/ip-address.js";
import { monotonicUs } from "../../src/nic/clock.js";
import { openXdpRig } from "../xdp-rig.js";

const [role, name, mode, address, bytesText, last] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string,
];
const PORT = 9;
const BATCH = 32;
const bytes = Number(bytesText);
const { stack, socket } = openXdpRig(name, mode, address, PORT);
process.stdout.write("ready\n");

/** Counts from the first datagram on. */
function sink(durationUs: number): void {
  const buffer = new Uint8Array(65_536);
  let n = 0;
  let startUs = 0;
  let nowUs = monotonicUs();
  while (startUs === 0 || nowUs - startUs < durationUs) {
    nowUs = monotonicUs();
    stack.turn(nowUs);
    while (socket.receive(buffer) === bytes) n++;
    if (startUs > 0 || n === 0) continue;
    startUs = nowUs;
    n = 0;
  }
  console.log(JSON.stringify({ msgs_per_s: Math.round((n / (nowUs - startUs)) * 1e6) }));
  process.exit(0);
}

function send(): never {
  const message = new Uint8Array(bytes).fill(0x5a);
  const connected = socket.connect(IpAddress.parse(last)!, PORT);
  if (connected < 0) throw new Error(`cannot connect to ${last}: ${connected}`);
  for (;;) {
    for (let i = 0; i < BATCH; i++) if (socket.send(message) < 0) break;
    stack.turn(monotonicUs());
  }
}

setTimeout(() => (role === "sink" ? sink(Number(last) * 1e3) : send()), 50);
