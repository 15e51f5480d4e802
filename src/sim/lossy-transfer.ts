/**
 * Test support: a bulk transfer between two stacks in virtual time, over a link with faults, as fast
 * as TCP lets it.
 */
import { IpAddress } from "../base/ip-address.js";
import { FaultInjector } from "../nic/fault-injector.js";
import type { FaultOptions } from "../nic/fault-path.js";
import { type SimDirection, simLink } from "../nic/sim-link.js";
import { createPool } from "../socket/create-host.js";
import { Stack } from "../socket/stack.js";
import type { TcpSocket } from "../socket/tcp-socket.js";
import type { TcpInfo } from "../tcp/tcp-info.js";
import { Simulation } from "./simulation.js";

export interface LossyTransfer {
  /** Of both directions. */
  readonly link: SimDirection;
  /** Of both directions. */
  readonly faults: FaultOptions;
  readonly seed: number;
  readonly bytes: number;
  /** Virtual time after which the transfer is given up. */
  readonly limitUs: number;
  /** Is shown the sender now and then. */
  readonly watch?: (nowUs: number, sender: TcpSocket) => void;
}

export interface TransferResult {
  readonly receivedBytes: number;
  readonly seconds: number;
  readonly mbitPerS: number;
  /** The sender's figures at the end. */
  readonly info: TcpInfo;
  /** What the sender's engine counted. */
  readonly timeouts: number;
  readonly probes: number;
}

const PORT = 5001;
const CHUNK_BYTES = 65_536;

export function lossyTransfer(o: LossyTransfer): TransferResult {
  const pool = createPool({ smallSlots: 16_384, bigSlots: 512 });
  const simulation = new Simulation();
  const ends = simLink(pool, pool, { queueFrames: 8_192, ...o.link });
  const lossy = new FaultInjector(ends.a, pool, { seed: o.seed, rx: o.faults, tx: o.faults });
  const sender = new Stack({ pool, nowUs: simulation.nowUs, seed: o.seed });
  const receiver = new Stack({ pool, nowUs: simulation.nowUs, seed: o.seed + 1 });
  sender.ip.addInterface(lossy, { addresses: ["10.0.0.1/24"], linkLocal: false });
  receiver.ip.addInterface(ends.b, { addresses: ["10.0.0.2/24"], linkLocal: false });

  const listener = receiver.tcpSocket()!;
  listener.bind(IpAddress.parse("0.0.0.0"), PORT);
  listener.listen(1);
  const out = sender.tcpSocket()!;
  out.connect(IpAddress.parse("10.0.0.2"), PORT);
  const chunk = new Uint8Array(CHUNK_BYTES);
  let peer: TcpSocket | null = null;
  let sentBytes = 0;
  let receivedBytes = 0;

  const write = {
    isBusy: false,
    turn(nowUs: number): number {
      let n = 1;
      while (sentBytes < o.bytes && n > 0) {
        n = out.send(chunk, 0, Math.min(CHUNK_BYTES, o.bytes - sentBytes), 0);
        if (n > 0) sentBytes += n;
      }
      o.watch?.(nowUs, out);
      const next = sender.turn(nowUs);
      this.isBusy = sender.isBusy;
      return next;
    },
  };
  const read = {
    isBusy: false,
    turn(nowUs: number): number {
      const next = receiver.turn(nowUs);
      this.isBusy = receiver.isBusy;
      peer ??= listener.accept();
      let n = peer === null ? 0 : 1;
      while (n > 0) {
        n = peer!.receive(chunk, 0, CHUNK_BYTES);
        if (n > 0) receivedBytes += n;
      }
      return next;
    },
  };
  simulation.add(write, read);
  const startUs = simulation.nowUs;
  simulation.runUntil(startUs + o.limitUs, () => receivedBytes === o.bytes);
  const seconds = (simulation.nowUs - startUs) / 1e6;
  const result = {
    receivedBytes,
    seconds,
    mbitPerS: (receivedBytes * 8) / seconds / 1e6,
    info: out.info()!,
    timeouts: sender.tcp.counters.get("timeouts"),
    probes: sender.tcp.counters.get("tailLossProbes"),
  };
  sender.close();
  receiver.close();
  lossy.close();
  ends.b.close();
  return result;
}
