/**
 * Whole frames into a whole host: nothing that a peer sends may throw, hang or leak a slot.
 *
 * The host lives on from input to input, with a listener, an established connection, a UDP socket
 * and a group. Three of four inputs are repaired first (addresses, checksums, TCP numbers near the
 * connection's own), or hardly any would get past the first gates. Virtual time passes with every
 * input; now and then the host is closed, and every slot must be free.
 */

import * as checksums from "../../src/base/checksum.js";
import { IpAddress } from "../../src/base/ip-address.js";
import { simLink } from "../../src/nic/sim-link.js";
import { Batch } from "../../src/ring/batch.js";
import { HEADROOM_BYTES, type Pool } from "../../src/ring/pool.js";
import { createPool } from "../../src/socket/create-host.js";
import { Family } from "../../src/socket/linux-options.js";
import { Stack } from "../../src/socket/stack.js";
import type { TcpSocket } from "../../src/socket/tcp-socket.js";
import type { UdpSocket } from "../../src/socket/udp-socket.js";
import * as ethernet from "../../src/wire/ethernet.js";
import * as ipv4 from "../../src/wire/ipv4.js";
import * as ipv6 from "../../src/wire/ipv6.js";
import * as pseudoHeader from "../../src/wire/pseudo-header.js";
import * as tcp from "../../src/wire/tcp.js";
import * as udp from "../../src/wire/udp.js";
import type { Target } from "../target.js";

const HOST4 = IpAddress.parse("10.0.0.1");
const HOST6 = IpAddress.parse("fd00::1");
const PEER4 = IpAddress.parse("10.0.0.2");
const TCP_PORT = 80;
const UDP_PORT = 53;
const INPUTS_A_LIFE = 2_000;
const TEN_MINUTES_US = 600_000_000;
const [ICMP, TCP, UDP, ICMPV6] = [1, 6, 17, 58];

/** A host, the far end of its link, and a connection between them. */
class Life {
  readonly pool: Pool;
  readonly stack: Stack;
  readonly buffer = new Uint8Array(65_536);
  inputs = 0;
  private readonly link: ReturnType<typeof simLink>;
  private readonly batch = new Batch();
  private readonly freeAtStart: number;
  private readonly listener: TcpSocket;
  private readonly udp: UdpSocket;
  private connection: TcpSocket | null = null;
  private peerPort = 0;
  private nowUs = 1_000_000;

  constructor() {
    this.pool = createPool({ smallSlots: 2048, bigSlots: 128 });
    this.freeAtStart = this.free();
    this.link = simLink(this.pool, this.pool, { capabilities: 0 });
    this.stack = new Stack({ pool: this.pool, nowUs: this.nowUs, seed: 1 });
    const iface = this.stack.ip.addInterface(this.link.a, {
      addresses: [`${HOST4}/24`, `${HOST6}/64`],
    });
    const far = this.link.b.mac;
    const [high, low] = [ethernet.high(far, 0), ethernet.low(far, 0)];
    this.stack.ip.neighbours.addPermanent(iface, PEER4, high, low);
    this.listener = this.stack.tcpSocket(Family.INET6)!;
    this.listener.bind(new IpAddress(), TCP_PORT);
    this.listener.listen(16);
    this.udp = this.stack.udpSocket(Family.INET6);
    this.udp.bind(new IpAddress(), UDP_PORT);
    this.connect();
  }

  /** A handshake by hand; the peer's first number is 0. */
  private connect(): void {
    this.peerPort = 1024 + ((this.peerPort + 1) & 0x7fff);
    this.deliver(segment(this.peerPort, tcp.SYN, 0, 0));
    const answer = this.lastAnswer();
    if (answer === null) return;
    this.deliver(
      segment(this.peerPort, tcp.ACK, 1, tcp.seq(answer, ipv4.payloadAt(answer, 14)) + 1),
    );
    this.connection = this.listener.accept();
  }

  take(input: Uint8Array): string {
    this.inputs++;
    const frame = input.slice();
    const raw = (checksums.sum(input, 0, input.length, 0) & 3) === 0;
    const shape = raw ? "raw" : repair(frame, this.link.a.mac, this.connection);
    const dropsBefore = this.stack.ip.drops.values.slice();
    this.deliver(frame);
    this.use();
    this.lastAnswer();
    let drops = "";
    for (const [i, value] of this.stack.ip.drops.values.entries()) {
      if (value !== dropsBefore[i]) drops += `${i},`;
    }
    return `${shape} ${drops}`;
  }

  /** The program's part: reads, writes back, accepts, and now and then lets time pass. */
  private use(): void {
    const { connection, listener, buffer } = this;
    for (let other = listener.accept(); other !== null; other = listener.accept()) other.abort();
    if (connection === null || connection.readiness() & 0x18) {
      connection?.close();
      this.connection = null;
      if (this.inputs % 4 === 0) this.connect();
      return;
    }
    if (this.inputs % 8 === 0) this.udp.receive(buffer);
    const n = connection.receive(buffer);
    if (n > 0) connection.send(buffer, 0, Math.min(n, 3000));
    this.nowUs += this.inputs % 64 === 0 ? 3_000_000 : 700;
  }

  private deliver(frame: Uint8Array): void {
    const slot = this.pool.take();
    if (slot < 0) throw new Error("the pool is empty: slots leak");
    const at = this.pool.base(slot) + HEADROOM_BYTES;
    this.pool.bytes.set(frame, at);
    this.pool.at[slot] = at;
    this.pool.end[slot] = at + frame.length;
    this.pool.flags[slot] = 0;
    this.batch.put(slot);
    this.batch.drop(this.link.b.transmit(this.nowUs, this.batch));
    this.stack.turn(this.nowUs);
    this.stack.turn(this.nowUs);
  }

  /** Swallows what the host sent; its last IPv4 TCP frame. */
  private lastAnswer(): Uint8Array | null {
    let last: Uint8Array | null = null;
    for (;;) {
      this.link.b.receive(this.nowUs, this.batch);
      if (this.batch.n === 0) return last;
      for (let i = 0; i < this.batch.n; i++) {
        const slot = this.batch.slots[i]!;
        const frame = this.pool.bytes.slice(this.pool.at[slot]!, this.pool.end[slot]!);
        if (ethernet.type(frame, 0) === ethernet.TYPE_IPV4 && ipv4.protocol(frame, 14) === TCP) {
          last = frame;
        }
        this.pool.give(slot);
      }
      this.batch.n = 0;
    }
  }

  /** Ends the host; what it held must be free again. */
  end(): void {
    this.connection?.abort();
    this.udp.close();
    for (let i = 0; i < 4; i++) {
      this.nowUs += TEN_MINUTES_US;
      this.stack.turn(this.nowUs);
      this.lastAnswer();
    }
    this.stack.ip.close();
    this.link.b.close();
    const leaked = this.freeAtStart - this.free();
    if (leaked !== 0) throw new Error(`${leaked} slots were not given back`);
  }

  private free(): number {
    return this.pool.freeSmall + this.pool.freeBig;
  }
}

let life: Life | null = null;

export const target: Target = {
  name: "stack",
  summary: "Ethernet frames into a whole host with sockets, in virtual time",
  maxBytes: 1_500,
  run(input) {
    life ??= new Life();
    const shape = life.take(input);
    if (life.inputs >= INPUTS_A_LIFE) {
      life.end();
      life = null;
    }
    return shape;
  },
};

function segment(port: number, flags: number, seq: number, ack: number): Uint8Array {
  const b = new Uint8Array(14 + 20 + 20);
  ethernet.write(
    b,
    0,
    Uint8Array.of(2, 0, 0, 0, 0, 0x0a),
    Uint8Array.of(2, 0, 0, 0, 0, 0x0b),
    0x0800,
  );
  ipv4.write(b, 14, 40, TCP, PEER4.w3, HOST4.w3);
  tcp.write(b, 34, 20, {
    srcPort: port,
    dstPort: TCP_PORT,
    seq,
    ack,
    flags,
    window: 65_535,
    urgentPointer: 0,
  });
  finishIpv4(b, 14);
  return b;
}

/** Makes a damaged frame one that the host must look at; what kind it was is part of the shape. */
function repair(b: Uint8Array, mac: Uint8Array, connection: TcpSocket | null): string {
  if (b.length < 34) return "short";
  if (b[0]! % 4 !== 1) ethernet.copyAddress(b, 0, mac, 0);
  const type = ethernet.type(b, 0);
  if (type === ethernet.TYPE_IPV4) {
    if (b[30]! < 224 || b[33]! % 2 === 0) HOST4.write4(b, 14 + ipv4.DST);
    if (ipv4.check(b, 14, b.length) !== 0) return "ipv4 refused";
    if (ipv4.protocol(b, 14) === TCP)
      repairTcp(b, ipv4.payloadAt(b, 14), ipv4.endOf(b, 14), connection);
    finishIpv4(b, 14);
    return `ipv4 ${ipv4.protocol(b, 14)}`;
  }
  if (type === ethernet.TYPE_IPV6 && ipv6.check(b, 14, b.length) === 0) {
    if (b[38] !== 0xff) HOST6.write6(b, 14 + ipv6.DST);
    finishTransport(b, 14, 54, ipv6.endOf(b, 14), ipv6.nextHeader(b, 14), true);
    return `ipv6 ${ipv6.nextHeader(b, 14)}`;
  }
  return `type ${type}`;
}

/** Every second segment is one of the connection's, its numbers near the expected ones. */
function repairTcp(b: Uint8Array, at: number, end: number, connection: TcpSocket | null): void {
  if (end - at < tcp.HEADER_BYTES || connection === null || connection.isClosed) return;
  if ((b[at + 7]! & 7) === 7) return;
  PEER4.write4(b, 14 + ipv4.SRC);
  const view = connection.view();
  const near = (n: number): number => ((n & 0x3ff) - 0x80) * ((n & 0x400) === 0 ? 1 : 0);
  tcp.writePorts(b, at, connection.remotePort, TCP_PORT);
  const seq = view.rcvNxt + near(tcp.seq(b, at));
  tcp.writeNumbers(b, at, seq, view.sndUna + near(tcp.ack(b, at)));
  // A reset ends the connection: most segments have to be something else.
  if ((b[at + 15]! & 7) !== 7) b[at + 13] = (b[at + 13]! | tcp.ACK) & ~(tcp.RST | tcp.SYN);
}

function finishIpv4(b: Uint8Array, ipAt: number): void {
  ipv4.fillChecksum(b, ipAt);
  if (ipv4.isFragment(b, ipAt)) return;
  finishTransport(
    b,
    ipAt,
    ipv4.payloadAt(b, ipAt),
    ipv4.endOf(b, ipAt),
    ipv4.protocol(b, ipAt),
    false,
  );
}

/** Makes the transport's checksum right, where there is one. */
function finishTransport(
  b: Uint8Array,
  ipAt: number,
  at: number,
  end: number,
  protocol: number,
  is6: boolean,
): void {
  const n = end - at;
  const pseudoSum = (): number =>
    is6 ? pseudoHeader.sum6(b, ipAt, protocol, n) : pseudoHeader.sum4(b, ipAt, protocol, n);
  if (protocol === TCP && n >= 20) tcp.fillChecksum(b, at, end, pseudoSum());
  else if (protocol === UDP && udp.check(b, at, end) === 0) udp.fillChecksum(b, at, pseudoSum());
  else if ((protocol === ICMP || protocol === ICMPV6) && n >= 4) {
    b[at + 2] = 0;
    b[at + 3] = 0;
    const sum = checksums.finish(checksums.sum(b, at, n, protocol === ICMPV6 ? pseudoSum() : 0));
    b[at + 2] = sum >> 8;
    b[at + 3] = sum & 255;
  }
}
