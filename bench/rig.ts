/** A stack on a `FeedDevice`, its far end reachable without ARP: what the per-packet cases run on. */
import type { IpAddress } from "../src/base/ip-address.js";
import type { Pool } from "../src/ring/pool.js";
import { createPool } from "../src/socket/create-host.js";
import { Family } from "../src/socket/linux-options.js";
import { Stack } from "../src/socket/stack.js";
import type { TcpSocket } from "../src/socket/tcp-socket.js";
import type { TcpSettings } from "../src/tcp/settings.js";
import * as ethernet from "../src/wire/ethernet.js";
import * as tcp from "../src/wire/tcp.js";
import * as options from "../src/wire/tcp-options.js";
import { FeedDevice } from "./feed-device.js";
import { FAR, FAR_MAC, FAR_TEXT, HOST, L4_AT, tcpFrame } from "./frames.js";

export const BATCH = 64;
export const PORT = 9;
export const NO_OPTIONS = new Uint8Array(0);
/** The peer's window field, unscaled: it never limits. */
export const PEER_WINDOW = 65_535;
const BACKLOG = 4_096;
const MSS = 1_460;

/** The other side of a connection, as numbers. */
export interface Peer {
  readonly address: IpAddress;
  readonly port: number;
  /** Its next sequence number and what it has received. */
  seq: number;
  ack: number;
}

export class Rig {
  readonly pool: Pool;
  readonly device: FeedDevice;
  readonly stack: Stack;
  /** As on a machine that has been up for a while: no small integer. */
  nowUs = 5_000_000_000;

  /** `capabilities` and `rxFlags`: what the device can do, and vouches for in received frames. */
  constructor(tcpSettings: Partial<TcpSettings> = {}, capabilities = 0, rxFlags = 0) {
    this.pool = createPool({ smallSlots: 32_768, bigSlots: 64 });
    this.device = new FeedDevice(this.pool, capabilities, rxFlags);
    this.stack = new Stack({ pool: this.pool, nowUs: this.nowUs, tcp: tcpSettings });
    const { ip } = this.stack;
    const options = { addresses: ["10.0.0.1/24"], linkLocal: false };
    const iface = ip.addInterface(this.device, options);
    const low = ethernet.low(FAR_MAC, 0);
    ip.neighbours.addPermanent(iface, FAR, ethernet.high(FAR_MAC, 0), low);
    ip.addRoute({ destination: "0.0.0.0/0", gateway: FAR_TEXT, iface });
    this.turn(1);
  }

  /** Hot path. */
  turn(afterUs: number): void {
    this.nowUs += afterUs;
    this.stack.poll(this.nowUs);
  }

  /** Brings one frame in, by itself. */
  inject(frame: Uint8Array): void {
    this.device.queueFrame(frame);
    this.turn(1);
  }

  listen(port: number): TcpSocket {
    const socket = this.stack.tcpSocket(Family.INET)!;
    if (socket.bind(HOST, port) < 0 || socket.listen(BACKLOG) < 0) throw new Error("rig: listen");
    return socket;
  }

  /** A handshake from `address`:`port` to `listener`, accepted. */
  establish(listener: TcpSocket, address: IpAddress, port: number): [TcpSocket, Peer] {
    const { device } = this;
    const peer: Peer = { address, port, seq: 1_000, ack: 0 };
    const syn = new Uint8Array(8);
    options.putWindowScale(syn, options.putMss(syn, 0, MSS), 7);
    device.keepFlags = tcp.SYN;
    this.inject(segment(peer, listener.localPort, tcp.SYN, syn, 0));
    device.keepFlags = 0;
    peer.ack = (tcp.seq(device.last, L4_AT) + 1) | 0;
    peer.seq++;
    this.inject(segment(peer, listener.localPort, tcp.ACK, NO_OPTIONS, 0));
    const socket = listener.accept();
    if (socket === null) throw new Error(`rig: accept gave ${listener.acceptErrno}`);
    return [socket, peer];
  }
}

/** A segment of the peer to the host, at the peer's numbers. */
export function segment(
  peer: Peer,
  dstPort: number,
  flags: number,
  optionBytes: Uint8Array,
  payloadBytes: number,
): Uint8Array {
  const header = {
    srcPort: peer.port,
    dstPort,
    seq: peer.seq,
    ack: peer.ack,
    flags,
    window: PEER_WINDOW,
    urgentPointer: 0,
  };
  return tcpFrame(header, optionBytes, payloadBytes, peer.address);
}
