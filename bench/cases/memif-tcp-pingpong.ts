/**
 * TCP between two processes over memif, 64 bytes at a time.
 *
 *     memif-tcp-pingpong.js server|client PATH [SECONDS]
 */
import { ANY4 } from "../../src/base/ip-address.js";
import { inlineMore } from "../../src/cli/inline-more.js";
import { Histogram } from "../../src/cli/perf/histogram.js";
import { clockUs, monotonicUs, readClock } from "../../src/nic/clock.js";
import { Family } from "../../src/socket/linux-options.js";
import type { TcpSocket } from "../../src/socket/tcp-socket.js";
import { Readiness } from "../../src/tcp/readiness.js";
import { halfRoundTrips } from "../latency.js";
import { afterOutput, MemifEnd, PORT, type Role, SERVER } from "../memif-end.js";

const BYTES = 64;
const WARM_UP_US = 500_000;

inlineMore();

const [role, path, seconds = "0"] = process.argv.slice(2) as [Role, string, string?];
const end = new MemifEnd(role, path);
const buffer = new Uint8Array(BYTES).fill(0x5a);

if (role === "server") serve();
else pingPong(Number(seconds));

/** Takes a whole message; false when the peer has gone. */
function receive(socket: TcpSocket): boolean {
  for (let have = 0; have < BYTES; ) {
    const n = socket.receive(buffer, have, BYTES - have);
    if (n === 0) return false;
    if (n > 0) have += n;
    else
      do end.turn();
      while (!end.stack.isBusy);
  }
  return true;
}

function serve(): void {
  const listener = end.stack.tcpSocket(Family.INET)!;
  listener.bind(ANY4, PORT);
  listener.listen(1);
  end.ready();
  afterOutput(() => {
    let socket: TcpSocket | null = null;
    end.until(() => {
      socket ??= listener.accept();
      return socket !== null;
    }, "a client");
    socket!.set("TCP_NODELAY", 1);
    while (receive(socket!)) {
      socket!.send(buffer, 0, BYTES, 0);
      end.stack.flush();
    }
    process.exit(0);
  });
}

function pingPong(forS: number): void {
  end.untilUp();
  const socket = end.stack.tcpSocket(Family.INET)!;
  socket.set("TCP_NODELAY", 1);
  socket.connect(SERVER, PORT);
  end.until(() => (socket.readiness() & Readiness.OUT) !== 0, "the connection");
  const latency = new Histogram();
  const measureUs = monotonicUs() + WARM_UP_US;
  const endUs = measureUs + forS * 1e6;
  for (let startUs = 0; startUs < endUs; ) {
    readClock();
    startUs = clockUs[0]!;
    socket.send(buffer, 0, BYTES, 0);
    end.stack.flush();
    if (!receive(socket)) throw new Error("the connection ended early");
    readClock();
    if (startUs >= measureUs) latency.record((clockUs[0]! - startUs) * 1e3);
  }
  socket.close();
  end.linger(10_000);
  console.log(JSON.stringify(halfRoundTrips(latency)));
  process.exit(0);
}
