/**
 * Connect, one request of 64 bytes, one reply, close, over and over, over memif; so many at a time.
 * The server closes first.
 *
 *     memif-connect.js server|client PATH [COUNT AT_A_TIME]
 */
import { EAGAIN } from "../../src/base/errno.js";
import { ANY4 } from "../../src/base/ip-address.js";
import { monotonicUs } from "../../src/nic/clock.js";
import { Family } from "../../src/socket/linux-options.js";
import { ReadyEvents, ReadySet } from "../../src/socket/ready-set.js";
import type { TcpSocket } from "../../src/socket/tcp-socket.js";
import { Readiness } from "../../src/tcp/readiness.js";
import { afterOutput, MemifEnd, PORT, type Role, SERVER } from "../memif-end.js";

const BYTES = 64;
const WARM_UP = 2_000;
const EVENTS = 256;
const [role, path, count = "0", atATime = "1"] = process.argv.slice(2) as [
  Role,
  string,
  string?,
  string?,
];
const end = new MemifEnd(role, path);
const buffer = new Uint8Array(BYTES).fill(0x5a);
const set = new ReadySet();
const events = new ReadyEvents(EVENTS);

if (role === "server") serve();
else connectAll(Number(count), Number(atATime));

function serve(): void {
  const listener = end.stack.tcpSocket(Family.INET)!;
  listener.bind(ANY4, PORT);
  listener.listen(1024);
  set.add(listener, Readiness.IN);
  end.ready();
  afterOutput(() => {
    for (;;) {
      end.turn();
      const n = set.take(events);
      for (let i = 0; i < n; i++) {
        const socket = events.sockets[i] as TcpSocket;
        if (socket === listener) acceptAll(listener);
        else answer(socket);
      }
    }
  });
}

function acceptAll(listener: TcpSocket): void {
  for (let s = listener.accept(); s !== null; s = listener.accept()) set.add(s, Readiness.IN);
}

function answer(socket: TcpSocket): void {
  const n = socket.receive(buffer, 0, BYTES);
  if (n === -EAGAIN) return;
  if (n > 0) socket.send(buffer, 0, BYTES, 0);
  socket.close();
}

function connectAll(total: number, concurrent: number): void {
  end.untilUp();
  let done = 0;
  let startUs = 0;
  for (let i = 0; i < concurrent; i++) connectOne();
  while (done < total + WARM_UP) {
    end.turn();
    const n = set.take(events);
    for (let i = 0; i < n; i++) step(events.sockets[i] as TcpSocket, events.bits[i]!);
    if (startUs === 0 && done >= WARM_UP) startUs = monotonicUs();
  }
  const perS = (total * 1e6) / (monotonicUs() - startUs);
  console.log(JSON.stringify({ connects_per_s: Math.round(perS) }));
  process.exit(0);

  function connectOne(): void {
    const socket = end.stack.tcpSocket(Family.INET)!;
    const result = socket.connect(SERVER, PORT);
    if (result < 0 && result !== -115) throw new Error(`connect: ${result}`);
    set.add(socket, Readiness.OUT);
  }

  function step(socket: TcpSocket, bits: number): void {
    if ((bits & Readiness.ERR) !== 0) throw new Error(`a connection failed: ${socket.takeError()}`);
    if ((bits & Readiness.OUT) !== 0 && (bits & Readiness.IN) === 0) {
      socket.send(buffer, 0, BYTES, 0);
      set.modify(socket, Readiness.IN);
      return;
    }
    let n = socket.receive(buffer, 0, BYTES);
    while (n > 0) n = socket.receive(buffer, 0, BYTES);
    if (n !== 0) return; // the end has not come yet
    socket.close();
    done++;
    connectOne();
  }
}
