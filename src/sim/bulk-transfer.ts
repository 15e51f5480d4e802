/**
 * One TCP transfer between two whole stacks in virtual time, over a link with delay, rate, queue and
 * faults. Every byte is compared; the result is goodput and what the connection went through.
 */
import { IpAddress } from "../base/ip-address.js";
import { US_PER_S } from "../base/time.js";
import { FaultInjector } from "../nic/fault-injector.js";
import type { FaultOptions } from "../nic/fault-path.js";
import { type SimLinkOptions, simLink } from "../nic/sim-link.js";
import { createPool } from "../socket/create-host.js";
import { Family } from "../socket/linux-options.js";
import { Stack } from "../socket/stack.js";
import type { TcpSocket } from "../socket/tcp-socket.js";
import type { TcpInfo } from "../tcp/tcp-info.js";
import { Simulation } from "./simulation.js";

export interface TransferOptions {
  readonly seed: number;
  readonly totalBytes: number;
  readonly link: SimLinkOptions;
  /** Of both directions. */
  readonly faults?: FaultOptions;
  /** SO_SNDBUF and SO_RCVBUF; the stack's own sizing if not given. */
  readonly bufferBytes?: number;
  /** Virtual time after which the transfer has failed. Default 10 minutes. */
  readonly limitUs?: number;
}

export interface TransferResult {
  readonly goodputBitsPerS: number;
  readonly elapsedUs: number;
  readonly info: TcpInfo;
  /** Slots that somebody still holds after both hosts are closed. */
  readonly leakedSlots: number;
}

const A = IpAddress.parse("10.0.0.1");
const B = IpAddress.parse("10.0.0.2");
const PORT = 5001;
const CHUNK_BYTES = 65_536;

/** Byte `offset` of the stream; its period is prime, so that no shifted copy looks right. */
const PERIOD = 65_521;
const PATTERN = Uint8Array.from({ length: PERIOD + CHUNK_BYTES }, (_, i) => {
  const n = i % PERIOD;
  return (n * 31 + (n >> 7)) & 0xff;
});

/** Runs the transfer; throws when content differs or time runs out, with the seed in the message. */
export function bulkTransfer(options: TransferOptions): TransferResult {
  const pool = createPool({ smallSlots: 32_768, bigSlots: 512 });
  const freeAtStart = pool.freeSmall + pool.freeBig;
  const link = simLink(pool, pool, options.link);
  const { seed } = options;
  const faults = options.faults ?? {};
  const faulty = new FaultInjector(link.a, pool, { seed, rx: faults, tx: faults });
  const simulation = new Simulation();
  const stack = (n: number): Stack =>
    new Stack({ pool, nowUs: simulation.nowUs, seed: seed * 2 + n });
  const [a, b] = [stack(0), stack(1)];
  a.ip.addInterface(faulty, { addresses: [`${A}/24`] });
  b.ip.addInterface(link.b, { addresses: [`${B}/24`] });
  simulation.add(a, b);

  const listener = socketOf(b, options.bufferBytes);
  listener.bind(B, PORT);
  listener.listen(1);
  const sender = socketOf(a, options.bufferBytes);
  sender.connect(B, PORT);
  const transfer = new Transfer(sender, listener, options.totalBytes, seed);
  const startUs = simulation.nowUs;
  const limitUs = options.limitUs ?? 600 * US_PER_S;
  const isDone = simulation.runUntil(startUs + limitUs, () => transfer.step());
  if (!isDone) transfer.fail(`${transfer.receivedBytes} bytes in ${limitUs / US_PER_S} s`);
  const elapsedUs = simulation.nowUs - startUs;
  const info = sender.info()!;
  transfer.close();
  simulation.run(200 * US_PER_S);
  for (const one of [a, b]) one.ip.close();
  faulty.close();
  link.b.close();
  return {
    goodputBitsPerS: (options.totalBytes * 8 * US_PER_S) / elapsedUs,
    elapsedUs,
    info,
    leakedSlots: freeAtStart - pool.freeSmall - pool.freeBig,
  };
}

function socketOf(stack: Stack, bufferBytes: number | undefined): TcpSocket {
  const socket = stack.tcpSocket(Family.INET)!;
  if (bufferBytes !== undefined) {
    socket.set("SO_SNDBUF", bufferBytes);
    socket.set("SO_RCVBUF", bufferBytes);
  }
  return socket;
}

/** The two programs: one writes as fast as it may, the other reads and compares. */
class Transfer {
  receivedBytes = 0;
  private sentBytes = 0;
  private receiver: TcpSocket | null = null;
  private readonly buffer = new Uint8Array(CHUNK_BYTES);
  private readonly sender: TcpSocket;
  private readonly listener: TcpSocket;
  private readonly totalBytes: number;
  private readonly seed: number;

  constructor(sender: TcpSocket, listener: TcpSocket, totalBytes: number, seed: number) {
    this.sender = sender;
    this.listener = listener;
    this.totalBytes = totalBytes;
    this.seed = seed;
  }

  /** Does what can be done now; true when everything has arrived. */
  step(): boolean {
    this.receiver ??= this.listener.accept();
    while (this.sentBytes < this.totalBytes) {
      const n = Math.min(CHUNK_BYTES, this.totalBytes - this.sentBytes);
      const sent = this.sender.send(PATTERN, this.sentBytes % PERIOD, n);
      if (sent <= 0) break;
      this.sentBytes += sent;
    }
    if (this.receiver === null) return false;
    for (let n = this.receive(); n > 0; n = this.receive()) this.compare(n);
    return this.receivedBytes === this.totalBytes;
  }

  close(): void {
    this.sender.close();
    this.receiver?.close();
    this.listener.close();
  }

  fail(what: string): never {
    throw new Error(`transfer with seed ${this.seed}: ${what}`);
  }

  private receive(): number {
    return this.receiver!.receive(this.buffer);
  }

  private compare(n: number): void {
    const at = this.receivedBytes % PERIOD;
    for (let i = 0; i < n; i++) {
      if (this.buffer[i] !== PATTERN[at + i]) this.fail(`byte ${this.receivedBytes + i} is wrong`);
    }
    this.receivedBytes += n;
  }
}
