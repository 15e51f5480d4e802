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
import type { UdpSocket } from "../socket/udp-socket.js";
import * as ethernet from "../wire/ethernet.js";
import { patternByte, type ScriptEnd } from "./script-segment.js";
import type { ScriptedPeerOptions, TestedHost } from "./scripted-peer.js";
import { Simulation } from "./simulation.js";

const POOL = { smallSlots: 4096, bigSlots: 64 };
/** send(2) and recv(2) flags. */
const MSG_OOB = 1;
const MSG_PEEK = 2;
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
  window_clamp: "TCP_WINDOW_CLAMP",
  tos: "IP_TOS",
  ttl: "IP_TTL",
};

const READINESS: readonly (readonly [name: string, bit: number])[] = [
  ["IN", 1],
  ["PRI", 2],
  ["OUT", 4],
  ["ERR", 8],
  ["HUP", 16],
  ["RDHUP", 0x2000],
];

/** The host's address beside the peer's, which ends in 2. */
const hostAddress = (peer: IpAddress): string => peer.toString().replace(/2$/, "1");

/** The program's end of one of a script's connections. */
interface Connection {
  socket: TcpSocket | null;
  udp: UdpSocket | null;
  sent: number;
  received: number;
}

export class ScriptHost implements TestedHost {
  readonly mac: Uint8Array;
  readonly address: IpAddress;
  readonly port = 8080;
  readonly keepsWindow = true;
  readonly toleranceUs = 1_500;
  readonly stack: Stack;
  private readonly pool: Pool;
  private readonly simulation = new Simulation();
  private readonly wire: Device;
  private readonly batch = new Batch();
  private readonly frames: { frame: Uint8Array; atUs: number }[] = [];
  private readonly pendingOptions: [name: string, value: number][] = [];
  private listener: TcpSocket | null = null;
  private readonly connections = new Map<number, Connection>();
  private current: Connection = { socket: null, udp: null, sent: 0, received: 0 };

  /** `second` is the peer's address of the other family, for tests of IP itself. */
  constructor(peer: ScriptedPeerOptions, second: IpAddress | null = null) {
    this.pool = new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(POOL)), POOL));
    const link = simLink(this.pool, this.pool, { capabilities: 0, macB: peer.mac });
    this.mac = link.a.mac;
    this.wire = link.b;
    // As Linux, so that scripts reach SYN cookies by a few SYNs.
    this.stack = new Stack({ pool: this.pool, seed: 1, tcp: { minSynBacklog: 1 } });
    const { ip } = this.stack;
    const { mac, address } = peer;
    this.address = IpAddress.parse(hostAddress(address));
    const peers = second === null ? [address] : [address, second];
    const iface = ip.addInterface(link.a, {
      addresses: peers.map((one) => `${hostAddress(one)}/${one.isV4 ? 24 : 64}`),
    });
    for (const one of peers) {
      ip.neighbours.addPermanent(iface, one, ethernet.high(mac, 0), ethernet.low(mac, 0));
    }
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

  async call(
    name: string,
    args: readonly string[],
    peer: ScriptEnd,
    connection: number,
  ): Promise<string> {
    const known = this.connections.get(connection);
    this.current = known ?? { socket: null, udp: null, sent: 0, received: 0 };
    this.connections.set(connection, this.current);
    const result = this.perform(name, args, peer);
    this.settle();
    return typeof result === "string" ? result : result < 0 ? errnoName(result) : String(result);
  }

  async close(): Promise<void> {
    this.stack.close();
    this.wire.close();
  }

  /** Slots that somebody holds: none, once the host is closed. */
  get heldSlots(): number {
    return POOL.smallSlots + POOL.bigSlots - this.pool.freeSmall - this.pool.freeBig;
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
      case "unlisten":
        this.listener!.close();
        return 0;
      case "connect":
        this.current.socket = this.newSocket();
        return this.current.socket.connect(peer.address, peer.port);
      case "set":
        return this.set(args[0]!, Number(args[1]));
      case "udp_bind": {
        const address = IpAddress.parse(args[0]!);
        this.current.udp = this.stack.udpSocket(address.isV4 ? Family.INET : Family.INET6);
        return this.current.udp.bind(address, Number(args[1]));
      }
      default:
        if (name.startsWith("udp_")) return performOnUdp(this.current.udp!, name, args);
        return this.performOnSocket(this.current.socket!, name, args);
    }
  }

  private performOnSocket(
    socket: TcpSocket,
    name: string,
    args: readonly string[],
  ): number | string {
    switch (name) {
      case "write":
        return this.write(socket, Number(args[0]), args);
      case "read":
        return this.read(socket, Number(args[0]), args);
      case "skip":
        this.current.received += Number(args[0]);
        return 0;
      case "shutdown":
        return socket.shutdown({ rd: 0, wr: 1, rdwr: 2 }[args[0]!] ?? -1);
      case "close":
        socket.close();
        return 0;
      case "error":
        return -Math.abs(socket.takeError());
      case "unread":
        return socket.readableBytes;
      case "atmark":
        return socket.isAtMark ? 1 : 0;
      case "poll":
        return readinessNames(socket.readiness());
      case "get":
        return socket.get(optionName(args[0]!));
      default:
        throw new TypeError(`script: there is no call ${name}`);
    }
  }

  private newSocket(): TcpSocket {
    const family = this.address.isV4 ? Family.INET : Family.INET6;
    const socket = this.stack.tcpSocket(family)!; // a fresh stack has rows
    for (const [name, value] of this.pendingOptions) apply(socket, name, value);
    return socket;
  }

  private listen(backlog: number): number {
    this.listener = this.newSocket();
    const bound = this.listener.bind(this.address, this.port);
    return bound < 0 ? bound : this.listener.listen(backlog);
  }

  private accept(): number {
    const socket = this.listener!.accept();
    if (socket === null) return this.listener!.acceptErrno;
    this.current.socket = socket;
    this.current.sent = 0;
    this.current.received = 0;
    return 0;
  }

  private write(socket: TcpSocket, count: number, words: readonly string[]): number {
    const { sent } = this.current;
    const data = Uint8Array.from({ length: count }, (_, i) => patternByte(sent + i));
    const flags = (words.includes("more") ? MSG_MORE : 0) | (words.includes("oob") ? MSG_OOB : 0);
    const n = socket.send(data, 0, count, flags);
    this.current.sent += Math.max(n, 0);
    return n;
  }

  private read(socket: TcpSocket, count: number, words: readonly string[]): number | string {
    const { received } = this.current;
    const data = new Uint8Array(count);
    const flags = (words.includes("peek") ? MSG_PEEK : 0) | (words.includes("oob") ? MSG_OOB : 0);
    const n = socket.receive(data, 0, count, flags);
    if (n <= 0 || words.includes("oob")) return n;
    for (let i = 0; i < n; i++) if (data[i] !== patternByte(received + i)) return "CORRUPT";
    if (!words.includes("peek")) this.current.received += n;
    return n;
  }

  private set(name: string, value: number): number {
    if (this.current.socket !== null) return apply(this.current.socket, name, value);
    this.pendingOptions.push([name, value]);
    return 0;
  }
}

function performOnUdp(socket: UdpSocket, name: string, args: readonly string[]): number {
  const pattern = (n: number): Uint8Array =>
    Uint8Array.from({ length: n }, (_, i) => patternByte(i));
  switch (name) {
    case "udp_connect":
      return socket.connect(IpAddress.parse(args[0]!), Number(args[1]));
    case "udp_send":
      return socket.send(pattern(Number(args[0])));
    case "udp_sendto": {
      const n = Number(args[2]);
      return socket.send(pattern(n), 0, n, IpAddress.parse(args[0]!), Number(args[1]));
    }
    case "udp_recv":
      return socket.receive(new Uint8Array(Number(args[0])));
  }
  const group = IpAddress.parse(args[0]!);
  const ifIndex = socket.stack.ip.interfaces.at(-1)!.index;
  if (name === "udp_join") return socket.joinGroup(group, ifIndex);
  if (name === "udp_leave") return socket.leaveGroup(group, ifIndex);
  const source = IpAddress.parse(args[1]!);
  if (name === "udp_join_source") return socket.joinSource(group, source, ifIndex);
  if (name === "udp_leave_source") return socket.leaveSource(group, source, ifIndex);
  throw new TypeError(`script: there is no call ${name}`);
}

function readinessNames(bits: number): string {
  const names = READINESS.filter(([, bit]) => (bits & bit) !== 0).map(([name]) => name);
  return names.length === 0 ? "0" : names.join("|");
}

function optionName(name: string): OptionName {
  const option = OPTIONS[name];
  if (option === undefined) throw new TypeError(`script: there is no option ${name}`);
  return option;
}

function apply(socket: TcpSocket, name: string, value: number): number {
  if (name === "linger") return socket.setLinger(true, value);
  return socket.set(optionName(name), value);
}
