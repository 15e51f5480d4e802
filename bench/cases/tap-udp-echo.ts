/**
 * A Millrace host on a TAP that echoes UDP port 7, polled and never asleep. Prints `ready` when
 * Linux may be configured; runs until it is killed.
 *
 *     tap-udp-echo.js NAME ADDRESS/BITS
 */
import { ANY4, IpAddress } from "../../src/base/ip-address.js";
import { monotonicUs } from "../../src/nic/clock.js";
import { openTap } from "../../src/nic/tap.js";
import { createPool } from "../../src/socket/create-host.js";
import { Family } from "../../src/socket/linux-options.js";
import { Stack } from "../../src/socket/stack.js";

const [name, address] = process.argv.slice(2) as [string, string];
const pool = createPool({ smallSlots: 4096, bigSlots: 64 });
const stack = new Stack({ pool, nowUs: monotonicUs() });
stack.ip.addInterface(openTap(pool, { name }), { addresses: [address] });
const socket = stack.udpSocket(Family.INET);
if (socket.bind(ANY4, 7) < 0) throw new Error("cannot bind port 7");
process.stdout.write("ready\n");

const buffer = new Uint8Array(65_536);
const from = new IpAddress();
/** Turns that share one reading of the clock, which costs as much as a turn with nothing to do. */
const TURNS_A_READING = 8;
const spin = (): never => {
  let nowUs = monotonicUs();
  for (let turns = 0; ; turns = (turns + 1) | 0) {
    if ((turns & (TURNS_A_READING - 1)) === 0) nowUs = monotonicUs();
    stack.poll(nowUs);
    for (let n = socket.receive(buffer); n >= 0; n = socket.receive(buffer)) {
      from.setFrom(socket.from);
      socket.send(buffer, 0, n, from, socket.fromPort);
    }
  }
};
setTimeout(spin, 50); // `ready` is on its way first
