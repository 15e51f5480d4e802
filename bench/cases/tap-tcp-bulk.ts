/**
 * Bulk TCP between a Millrace host and Linux over a TAP: a polled stack that never sleeps at one
 * end, `tcp-bulk` at the other. Runs in a network namespace of its own and prints what the receiving
 * end measured.
 *
 *     tap-tcp-bulk.js to-linux|from-linux TCP_BULK SECONDS [FAULTS]
 *
 * TCP_BULK is the compiled program; FAULTS a JSON object of FaultOptions, for both directions.
 */
import { execFileSync, spawn } from "node:child_process";
import { EAGAIN } from "../../src/base/errno.js";
import { ANY4, IpAddress } from "../../src/base/ip-address.js";
import { monotonicUs } from "../../src/nic/clock.js";
import type { Device } from "../../src/nic/device.js";
import { FaultInjector } from "../../src/nic/fault-injector.js";
import { openTap } from "../../src/nic/tap.js";
import { createPool } from "../../src/socket/create-host.js";
import { Family } from "../../src/socket/linux-options.js";
import { Stack } from "../../src/socket/stack.js";
import type { TcpSocket } from "../../src/socket/tcp-socket.js";
import { Readiness } from "../../src/tcp/readiness.js";

const [direction, program, seconds, faults] = process.argv.slice(2) as [
  string,
  string,
  string,
  string?,
];
const LINUX = "10.77.3.1";
const MILLRACE = "10.77.3.2";
const PORT = 5001;
const SEED = 7;
const CHUNK_BYTES = 131_072;

const pool = createPool();
const tap = openTap(pool);
execFileSync("ip", ["address", "add", `${LINUX}/24`, "dev", tap.name]);
let device: Device = tap;
if (faults !== undefined) {
  const options = JSON.parse(faults);
  device = new FaultInjector(tap, pool, { seed: SEED, rx: options, tx: options });
}
const stack = new Stack({ pool, nowUs: monotonicUs() });
stack.ip.addInterface(device, { addresses: [`${MILLRACE}/24`], linkLocal: false });
const chunk = new Uint8Array(CHUNK_BYTES);

if (direction === "to-linux") await toLinux();
else await fromLinux();
process.exit(0);

/** Sends for a while; Linux's sink prints what arrived. */
async function toLinux(): Promise<void> {
  const ended = peer("sink", LINUX, `${PORT}`);
  const socket = await connected();
  const endUs = monotonicUs() + Number(seconds) * 1e6;
  for (let nowUs = monotonicUs(); nowUs < endUs; nowUs = monotonicUs()) {
    stack.turn(nowUs);
    let n = 1;
    while (n > 0) n = socket.send(chunk, 0, CHUNK_BYTES, 0);
    if (n !== -EAGAIN) throw new Error(`send: ${n}`);
  }
  socket.shutdown(1);
  turnUntil(() => (socket.readiness() & Readiness.RDHUP) !== 0);
  socket.close();
  process.stdout.write(await turnWhile(ended));
}

/** Reads all that Linux's source sends and prints how fast it came. */
async function fromLinux(): Promise<void> {
  const listener = stack.tcpSocket(Family.INET)!;
  listener.bind(ANY4, PORT);
  listener.listen(1);
  const ended = peer("source", MILLRACE, `${PORT}`, seconds);
  let socket: TcpSocket | null = null;
  turnUntil(() => {
    socket ??= listener.accept();
    return socket !== null;
  });
  let bytes = 0;
  let firstUs = 0;
  for (let n = 1; n !== 0; ) {
    const nowUs = monotonicUs();
    stack.turn(nowUs);
    n = socket!.receive(chunk, 0, CHUNK_BYTES);
    while (n > 0) {
      if (firstUs === 0) firstUs = nowUs;
      bytes += n;
      n = socket!.receive(chunk, 0, CHUNK_BYTES);
    }
  }
  const lastUs = monotonicUs();
  socket!.close();
  await turnWhile(ended);
  const took = (lastUs - firstUs) / 1e6;
  const gbit = (bytes * 8) / took / 1e9;
  console.log(JSON.stringify({ bytes, seconds: took, gbit_per_s: gbit }));
}

/** Starts `tcp-bulk`; resolves to its output. */
function peer(...args: string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (text: Buffer) => {
    output += text.toString();
  });
  return new Promise((resolve) => child.once("close", () => resolve(output)));
}

/** A connection to the sink, as soon as it listens. */
async function connected(): Promise<TcpSocket> {
  for (;;) {
    const socket = stack.tcpSocket(Family.INET)!;
    socket.connect(IpAddress.parse(LINUX), PORT);
    turnUntil(() => (socket.readiness() & (Readiness.OUT | Readiness.ERR)) !== 0);
    if (socket.takeError() === 0) return socket;
    socket.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function turnUntil(isDone: () => boolean): void {
  while (!isDone()) stack.turn(monotonicUs());
}

/** Goes on until the peer has ended: what is lost of the connection's end must be sent again. */
async function turnWhile<T>(pending: Promise<T>): Promise<T> {
  let isOver = false;
  void pending.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    stack.turn(monotonicUs());
    await new Promise((resolve) => setImmediate(resolve));
  }
  return await pending;
}
