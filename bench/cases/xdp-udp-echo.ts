/**
 * A Millrace host behind AF_XDP or AF_PACKET that echoes UDP port 7, polled and never asleep. Prints
 * `ready`; runs until it is killed.
 *
 *     xdp-udp-echo.js INTERFACE generic|native|packet ADDRESS/BITS
 */
import { IpAddress } from "../../src/base/ip-address.js";
import { monotonicUs } from "../../src/nic/clock.js";
import { openXdpRig } from "../xdp-rig.js";

/** Turns that share one reading of the clock, which costs as much as a turn with nothing to do. */
const TURNS_A_READING = 16;

const [name, mode, address] = process.argv.slice(2) as [string, string, string];
const { stack, socket } = openXdpRig(name, mode, address, 7);
process.stdout.write("ready\n");

const from = new IpAddress();
const spin = (): never => {
  let nowUs = monotonicUs();
  for (let turns = 0; ; turns++) {
    if ((turns & (TURNS_A_READING - 1)) === 0) nowUs = monotonicUs();
    stack.poll(nowUs);
    for (let slot = socket.receiveSlot(); slot >= 0; slot = socket.receiveSlot()) {
      from.setFrom(socket.from);
      socket.sendSlot(slot, from, socket.fromPort);
    }
  }
};
setTimeout(spin, 50); // `ready` is on its way first
