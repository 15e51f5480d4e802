/**
 * A Millrace host behind AF_XDP or AF_PACKET that echoes UDP port 7, polled and never asleep. Prints
 * `ready`; runs until it is killed.
 *
 *     xdp-udp-echo.js INTERFACE generic|native|packet ADDRESS/BITS
 */
import { IpAddress } from "../../src/base/ip-address.js";
import { monotonicUs } from "../../src/nic/clock.js";
import { openXdpRig } from "../xdp-rig.js";

const [name, mode, address] = process.argv.slice(2) as [string, string, string];
const { stack, socket } = openXdpRig(name, mode, address, 7);
process.stdout.write("ready\n");

const buffer = new Uint8Array(65_536);
const from = new IpAddress();
const spin = (): never => {
  for (;;) {
    stack.turn(monotonicUs());
    for (let n = socket.receive(buffer); n >= 0; n = socket.receive(buffer)) {
      from.setFrom(socket.from);
      socket.send(buffer, 0, n, from, socket.fromPort);
    }
  }
};
setTimeout(spin, 50); // `ready` is on its way first
