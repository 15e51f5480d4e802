/**
 * Datagrams one way through two whole stacks over memif. The client sends as fast as the ring takes
 * them, and holds back when it is full; it numbers them, and the server says how many came, how fast,
 * and how many never did.
 *
 *     memif-udp-stream.js server|client PATH BYTES SECONDS
 */
import { i32, put32 } from "../../src/base/bytes.js";
import { ANY4 } from "../../src/base/ip-address.js";
import { monotonicUs } from "../../src/nic/clock.js";
import { Family } from "../../src/socket/linux-options.js";
import { afterOutput, MemifEnd, PORT, type Role, SERVER } from "../memif-end.js";

const [role, path, bytesText, secondsText] = process.argv.slice(2) as [
  Role,
  string,
  string,
  string,
];
const BYTES = Number(bytesText);
const WARM_UP_US = 500_000;
/** Numbers the last datagrams: the test is over. */
const LAST = -1;
const LAST_TIMES = 64;
const BATCH = 32;

const end = new MemifEnd(role, path);
const { pool } = end;
const socket = end.stack.udpSocket(Family.INET);

if (role === "server") serve();
else send();

function serve(): void {
  socket.bind(ANY4, PORT);
  end.ready();
  afterOutput(receiveAll);
}

function receiveAll(): void {
  let received = 0;
  let first = 0;
  let highest = 0;
  let startUs = 0;
  let startCount = 0;
  let lastUs = 0;
  for (;;) {
    end.turn();
    let slot = socket.receiveSlot();
    if (slot < 0) continue;
    const nowUs = monotonicUs();
    for (; slot >= 0; slot = socket.receiveSlot()) {
      const number = i32(pool.bytes, pool.at[slot]!);
      const length = pool.end[slot]! - pool.at[slot]!;
      pool.give(slot);
      if (number === LAST) report();
      if (length !== BYTES) throw new Error(`a datagram of ${length} bytes`);
      if (received++ === 0) first = number;
      if (number > highest) highest = number;
    }
    lastUs = nowUs;
    // The first half second is for the compiler.
    if (startUs === 0 || (startCount === 0 && nowUs > startUs + WARM_UP_US)) {
      if (startUs !== 0) startCount = received;
      startUs = nowUs;
    }
  }
  function report(): never {
    const messages = received - startCount;
    const perS = (messages * 1e6) / (lastUs - startUs);
    const lost = highest - first + 1 - received;
    console.log(JSON.stringify({ msgs_per_s: Math.round(perS), lost, received }));
    process.exit(0);
  }
}

function send(): void {
  end.untilUp();
  socket.connect(SERVER, PORT);
  let number = 0;
  const sendOne = (n: number): boolean => {
    const slot = socket.takeSlot();
    if (slot < 0) return false;
    put32(pool.bytes, pool.at[slot]!, n);
    pool.end[slot] = pool.at[slot]! + BYTES;
    return socket.sendSlot(slot) === BYTES;
  };
  sendOne(number++);
  end.linger(10_000); // the neighbour is known now
  const endUs = monotonicUs() + WARM_UP_US + Number(secondsText) * 1e6;
  while (end.nowUs < endUs) {
    for (let i = 0; i < BATCH && !end.mustWait; i++) if (sendOne(number)) number++;
    end.turn();
  }
  for (let i = 0; i < LAST_TIMES; i++) {
    end.until(() => !end.mustWait, "room");
    sendOne(LAST);
    end.turn();
  }
  end.linger(50_000);
  console.log(JSON.stringify({ sent: number }));
  process.exit(0);
}
