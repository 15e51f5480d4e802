/**
 * Bytes one way over TCP and memif, in writes of a given length. The server says how fast they came.
 *
 *     memif-tcp-stream.js server|client PATH BYTES SECONDS
 */
import { EAGAIN } from "../../src/base/errno.js";
import { ANY4 } from "../../src/base/ip-address.js";
import { monotonicUs } from "../../src/nic/clock.js";
import { Family } from "../../src/socket/linux-options.js";
import type { TcpSocket } from "../../src/socket/tcp-socket.js";
import { Readiness } from "../../src/tcp/readiness.js";
import { END_OF_DATA } from "../../src/tcp/transfer.js";
import { afterOutput, MemifEnd, PORT, type Role, SERVER } from "../memif-end.js";

const [role, path, bytesText, secondsText] = process.argv.slice(2) as [
  Role,
  string,
  string,
  string,
];
const BYTES = Number(bytesText);
const WARM_UP_US = 500_000;
/** Writes between two turns. */
const BATCH = 64;

const end = new MemifEnd(role, path);
if (role === "server") serve();
else send();

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
    receiveAll(socket!);
  });
}

function receiveAll(socket: TcpSocket): void {
  const { pool } = end;
  let bytes = 0;
  let startBytes = 0;
  let startUs = 0;
  let lastUs = 0;
  for (;;) {
    end.turn();
    let slot = socket.receiveSlot();
    if (slot === -EAGAIN) continue;
    for (; slot >= 0; slot = socket.receiveSlot()) {
      bytes += pool.end[slot]! - pool.at[slot]!;
      pool.give(slot);
    }
    if (slot === END_OF_DATA) break;
    lastUs = monotonicUs();
    if (startUs === 0 || (startBytes === 0 && lastUs > startUs + WARM_UP_US)) {
      if (startUs !== 0) startBytes = bytes;
      startUs = lastUs;
    }
  }
  const perUs = (bytes - startBytes) / (lastUs - startUs);
  const gbit = Number(((perUs * 8) / 1e3).toFixed(3));
  console.log(
    JSON.stringify({ gbit_per_s: gbit, writes_per_s: Math.round((perUs * 1e6) / BYTES) }),
  );
  socket.close();
  end.linger(10_000);
  process.exit(0);
}

function send(): void {
  end.untilUp();
  const socket = end.stack.tcpSocket(Family.INET)!;
  socket.connect(SERVER, PORT);
  end.until(() => (socket.readiness() & Readiness.OUT) !== 0, "the connection");
  const chunk = new Uint8Array(BYTES).fill(0x5a);
  const endUs = monotonicUs() + WARM_UP_US + Number(secondsText) * 1e6;
  while (end.nowUs < endUs) {
    for (let i = 0; i < BATCH; i++) if (socket.send(chunk, 0, BYTES, 0) < 0) break;
    end.turn();
  }
  socket.shutdown(1);
  end.until(() => (socket.readiness() & (Readiness.RDHUP | Readiness.ERR)) !== 0, "the peer's end");
  socket.close();
  end.linger(10_000);
  console.log("{}");
  process.exit(0);
}
