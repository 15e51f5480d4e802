/**
 * UDP between two processes over memif, as a program that cares about microseconds writes it: the
 * slot that came is the one that goes back, at both ends.
 *
 *     memif-udp-pingpong.js server|client PATH [SECONDS]
 */
import { ANY4, IpAddress } from "../../src/base/ip-address.js";
import { inlineMore } from "../../src/cli/inline-more.js";
import { Histogram } from "../../src/cli/perf/histogram.js";
import { clockUs, monotonicUs, readClock } from "../../src/nic/clock.js";
import { Family } from "../../src/socket/linux-options.js";
import { halfRoundTrips } from "../latency.js";
import { afterOutput, MemifEnd, PORT, type Role, SERVER } from "../memif-end.js";

const BYTES = 64;
const WARM_UP_US = 500_000;

inlineMore();

const [role, path, seconds = "0"] = process.argv.slice(2) as [Role, string, string?];
const end = new MemifEnd(role, path);
const socket = end.stack.udpSocket(Family.INET);

if (role === "server") serve();
else end.untilUp();
if (role === "client") pingPong(Number(seconds));

function serve(): void {
  socket.bind(ANY4, PORT);
  end.ready();
  const from = new IpAddress();
  afterOutput(() => {
    for (;;) {
      end.turn();
      for (let slot = socket.receiveSlot(); slot >= 0; slot = socket.receiveSlot()) {
        from.setFrom(socket.from);
        socket.sendSlot(slot, from, socket.fromPort);
        end.stack.flush();
      }
    }
  });
}

function pingPong(forS: number): void {
  socket.connect(SERVER, PORT);
  const latency = new Histogram();
  let slot = socket.takeSlot();
  const { pool } = end;
  pool.bytes.fill(0x5a, pool.at[slot]!, pool.at[slot]! + BYTES);
  pool.end[slot] = pool.at[slot]! + BYTES;
  const measureUs = monotonicUs() + WARM_UP_US;
  const endUs = measureUs + forS * 1e6;
  for (let startUs = 0; startUs < endUs; ) {
    readClock();
    startUs = clockUs[0]!;
    socket.sendSlot(slot);
    end.stack.flush();
    do {
      end.turn();
      slot = socket.receiveSlot();
    } while (slot < 0);
    readClock();
    if (startUs >= measureUs) latency.record((clockUs[0]! - startUs) * 1e3);
  }
  console.log(JSON.stringify(halfRoundTrips(latency)));
  process.exit(0);
}
