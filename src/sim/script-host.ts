/**
 * A Millrace stack as the tested host of a script (scripted-peer.ts), in virtual time: the peer is
 * the other end of a simulated link that can do nothing by itself, so every frame is as on a wire.
 *
 * The calls are those of test/support/linux-program.py, which does the same on Linux.
 */
import { errnoName } from "../base/errno.js";
import { IpAddress } from "../base/ip-address.js";
import type { Device } from "../nic/device.js";
import { simLink } from "../nic/sim-link.js";
import { Arena } from "../ring/arena.js";
import { Batch } from "../ring/batch.js";
import { HEADROOM_BYTES, Pool, PoolMemory } from "../ring/pool.js";
import { Family, type OptionName } from "../socket/linux-options.js";
import { Stack } from "../socket/stack.js";
import type { TcpSocket } from "../socket/tcp-socket.js";
import * as ethernet from "../wire/ethernet.js";
import { patternByte, type ScriptEnd } from "./script-segment.js";
import type { ScriptedPeerOptions, TestedHost } from "./scripted-peer.js";
import { Simulation } from "./simulation.js";

const POOL = { smallSlots: 4096, bigSlots: 64 };
/** send(2) and recv(2) flags. */
const MSG_OOB = 1;
const MSG_MORE = 0x8000;

const OPTIONS: Readonly<Record<string, OptionName>> = {
  nodelay: "TCP_NODELAY",
  cork: "TCP_CORK",
  quickack: "TCP_QUICKACK",
  maxseg: "TCP_MAXSEG",
  user_timeout: "TCP_USER_TIMEOUT",
  keepidle: "TCP_KEEPIDLE",
  keepintvl: "TCP_KEEPINTVL",
  keepcnt: "TCP_KEEPCNT",
  keepalive: "SO_KEEPALIVE",
  oobinline: "SO_OOBINLINE",
  rcvbuf: "SO_RCVBUF",
  sndbuf: "SO_SNDBUF",
  syncnt: "TCP_SYNCNT",
  defer_accept: "TCP_DEFER_ACCEPT",
  linger2: "TCP_LINGER2",
};

export class ScriptHost implements TestedHost {
  readonly mac: Uint8Array;
  readonly address: IpAddress = IpAddress.parse("10.9.0.1");
  readonly port = 8080;
  readonly toleranceUs = 1_500;
  readonly stack: Stack;
  private readonly pool: Pool;
  private readonly simulation = new Simulation();
  private readonly wire: Device;
  private readonly batch = new Batch();
  private readonly frames: { frame: Uint8Array; atUs: number }[] = [];
  private readonly pendingOptions: [name: string, value: number][] = [];
  private listener: TcpSocket | null = null;
  private socket: TcpSocket | null = null;
  private sent = 0;
  private received = 0;

  constructor(peer: ScriptedPeerOptions) {
    this.pool = new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(POOL)), POOL));
    const link = simLink(this.pool, this.pool, { capabilities: 0, macB: peer.mac });
    this.mac = link.a.mac;
    this.wire = link.b;
    this.stack = new Stack({ pool: this.pool, seed: 1 });
    const { ip } = this.stack;
    const iface = ip.addInterface(link.a, { addresses: [`${this.address}/24`] });
    const { mac } = peer;
    ip.neighbours.addPermanent(iface, peer.address, ethernet.high(mac, 0), ethernet.low(mac, 0));
    this.simulation.add(this.stack);
    this.settle();
    this.frames.length = 0; // announcements of a new host are no business of a script
  }

  nowUs(): number {
    return this.simulation.nowUs;
  }

  async nextFrame(untilUs: number): Promise<{ frame: Uint8Array; atUs: number } | null> {
    for (;;) {
      const nextUs = this.settle();
      const first = this.frames.shift();
      if (first !== undefined) return first;
      if (nextUs > untilUs) {
        this.simulation.nowUs = Math.max(untilUs, this.simulation.nowUs);
        return null;
      }
      this.simulation.nowUs = nextUs;
    }
  }

  deliver(frame: Uint8Array): void {
    const slot = this.pool.take();
    const at = this.pool.base(slot) + HEADROOM_BYTES;
    this.pool.bytes.set(frame, at);
    this.pool.at[slot] = at;
    this.pool.end[slot] = at + frame.length;
    this.pool.flags[slot] = 0;
    this.batch.put(slot);
    this.batch.drop(this.wire.transmit(this.nowUs(), this.batch));
    this.settle();
  }

  async call(name: string, args: readonly string[], peer: ScriptEnd): Promise<string> {
    const result = this.perform(name, args, peer);
    this.settle();
    return typeof result === "string" ? result : result < 0 ? errnoName(result) : String(result);
  }

  async close(): Promise<void> {
    this.stack.ip.close();
  }

  /** Slots that nobody holds: a script must leave as many as it found, once its host is closed. */
  get freeSlots(): number {
    return this.pool.freeSmall + this.pool.freeBig;
  }

  private settle(): number {
    const nextUs = this.simulation.settle();
    this.wire.receive(this.nowUs(), this.batch);
    for (let i = 0; i < this.batch.n; i++) {
      const slot = this.batch.slots[i]!;
      const frame = this.pool.bytes.slice(this.pool.at[slot]!, this.pool.end[slot]!);
      this.frames.push({ frame, atUs: this.nowUs() });
      this.pool.give(slot);
    }
    this.batch.n = 0;
    return nextUs;
  }

  private perform(name: string, args: readonly string[], peer: ScriptEnd): number | string {
    switch (name) {
      case "listen":
        return this.listen(Number(args[0] ?? 16));
      case "accept":
        return this.accept();
      case "connect":
        this.socket = this.newSocket();
        return this.socket.connect(peer.address, peer.port);
      case "write":
        return this.write(Number(args[0]), args);
      case "read":
        return this.read(Number(args[0]), args.includes("oob"));
      case "shutdown":
        return this.socket!.shutdown({ rd: 0, wr: 1, rdwr: 2 }[args[0]!] ?? -1);
      case "close":
        this.socket!.close();
        return 0;
      case "error":
        return -this.socket!.takeError();
      case "unread":
        return this.socket!.readableBytes;
      case "atmark":
        return this.socket!.isAtMark ? 1 : 0;
      case "set":
        return this.set(args[0]!, Number(args[1]));
      default:
        throw new TypeError(`script: there is no call ${name}`);
    }
  }

  private newSocket(): TcpSocket {
    const socket = this.stack.tcpSocket(Family.INET)!; // a fresh stack has rows
    for (const [name, value] of this.pendingOptions) apply(socket, name, value);
    return socket;
  }

  private listen(backlog: number): number {
    this.listener = this.newSocket();
    const bound = this.listener.bind(this.address, this.port);
    return bound < 0 ? bound : this.listener.listen(backlog);
  }

  private accept(): number {
    this.socket = this.listener!.accept();
    return this.socket === null ? this.listener!.acceptErrno : 0;
  }

  private write(count: number, words: readonly string[]): number {
    const data = Uint8Array.from({ length: count }, (_, i) => patternByte(this.sent + i));
    const flags = (words.includes("more") ? MSG_MORE : 0) | (words.includes("oob") ? MSG_OOB : 0);
    const n = this.socket!.send(data, 0, count, flags);
    this.sent += Math.max(n, 0);
    return n;
  }

  private read(count: number, isUrgent: boolean): number | string {
    const data = new Uint8Array(count);
    const n = this.socket!.receive(data, 0, count, isUrgent ? MSG_OOB : 0);
    if (n <= 0 || isUrgent) return n;
    for (let i = 0; i < n; i++) if (data[i] !== patternByte(this.received + i)) return "CORRUPT";
    this.received += n;
    return n;
  }

  private set(name: string, value: number): number {
    if (this.socket !== null) return apply(this.socket, name, value);
    this.pendingOptions.push([name, value]);
    return 0;
  }
}

function apply(socket: TcpSocket, name: string, value: number): number {
  if (name === "linger") return socket.setLinger(true, value);
  const option = OPTIONS[name];
  if (option === undefined) throw new TypeError(`script: there is no option ${name}`);
  return socket.set(option, value);
}
