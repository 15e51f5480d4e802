/**
 * 64 bytes of UDP to and fro with `millrace/poll` at both ends.
 *
 *     node-poll.js server|client PATH [SECONDS]
 */
import { inlineMore } from "../../src/cli/inline-more.js";
import { Histogram } from "../../src/cli/perf/histogram.js";
import { clockUs, monotonicUs, readClock } from "../../src/nic/clock.js";
import { openPoller } from "../../src/node/poll.js";
import { halfRoundTrips } from "../latency.js";

const BYTES = 64;
const PORT = 7007;
const WARM_UP_US = 500_000;
const SERVER = "10.77.6.1";
const CLIENT = "10.77.6.2";

inlineMore();

const [role, path, seconds = "0"] = process.argv.slice(2) as [string, string, string?];
const isServer = role === "server";
const poller = openPoller({
  nic: `memif:${path},role=${role}`,
  addresses: [`${isServer ? SERVER : CLIENT}/24`],
});

if (isServer) serve();
else pingPong(Number(seconds));

function serve(): void {
  const socket = poller.udp({ port: PORT });
  // Output is asynchronous where it is a pipe: it leaves before the loop, which never ends.
  process.stdout.write("ready\n", () => {
    for (;;) {
      poller.turn();
      const n = socket.receive();
      for (let i = 0; i < n; i++) socket.reply(i);
      if (n > 0) poller.flush();
    }
  });
}

function pingPong(forS: number): void {
  poller.until(() => poller.isUp);
  const socket = poller.udp().connect(SERVER, PORT);
  const latency = new Histogram();
  const measureUs = monotonicUs() + WARM_UP_US;
  const endUs = measureUs + forS * 1e6;
  for (let startUs = 0; startUs < endUs; ) {
    readClock();
    startUs = clockUs[0]!;
    const at = socket.take();
    poller.memory[at] = 0x5a;
    socket.send(BYTES);
    poller.flush();
    do poller.turn();
    while (socket.receive() === 0);
    readClock();
    if (startUs >= measureUs) latency.record((clockUs[0]! - startUs) * 1e3);
  }
  console.log(JSON.stringify(halfRoundTrips(latency)));
  process.exit(0);
}
