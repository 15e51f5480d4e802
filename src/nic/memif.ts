/**
 * memif: Ethernet frames between two processes through memory that both map; protocol version 2, as
 * DPDK, VPP and libmemif speak it. docs/memif.md is the user's guide.
 *
 * The device always takes large segments and unmade checksums. To another Millrace process they pass
 * as they are; for any other peer software makes them here, as the stack does for a device that
 * cannot. So a peer may come and go, and be of another kind each time, while a host runs.
 */
import { randomBytes } from "node:crypto";
import type { Counters } from "../base/counters.js";
import type { Batch } from "../ring/batch.js";
import type { Pool } from "../ring/pool.js";
import { Capability, type Device, type DeviceCounter } from "./device.js";
import type { Lane } from "./lane.js";
import { whyNoMemif } from "./memif-limits.js";
import { Feature } from "./memif-message.js";
import { MemifPort } from "./memif-port.js";
import type { MemifCounter } from "./memif-tally.js";
import { Offload } from "./offload.js";

export interface MemifOptions {
  /** The control socket: a path, or `@` and an abstract name. */
  readonly path: string;
  /**
   * The server listens on the socket and copies each frame once; the client connects to it, and its
   * pool is what the peer maps. `client` by default.
   */
  readonly role?: "client" | "server";
  /** Which of the interfaces behind a socket; 0 by default. */
  readonly id?: number;
  /** Up to 24 bytes that both ends must have; none by default. */
  readonly secret?: string;
  /** What the peer sees as this interface's name; `memif` and the id by default. */
  readonly name?: string;
  /** Six bytes. By default a random, locally administered address. */
  readonly mac?: Uint8Array;
  /** Largest IP packet; 1,500 by default. */
  readonly mtuBytes?: number;
  /** Pairs of rings, one each way; flows are spread over them. 1 by default; the server takes up to so many. */
  readonly queuePairs?: number;
  /** Descriptors of a ring, a power of two from 2 to 16,384; the client chooses. 1,024 by default. */
  readonly ringSize?: number;
  /** Large segments and unmade checksums pass when the peer is Millrace too. True by default. */
  readonly offload?: boolean;
}

const DEFAULT_RING_SIZE = 1024;

/**
 * Opens a memif device; its link comes up when the peer is there, while a host drives it. Throws
 * `NetError`: EADDRINUSE and EACCES for the server's socket, EBUSY for an id that is in use or a
 * pool that cannot be shared any more.
 */
export function openMemif(pool: Pool, options: MemifOptions): MemifDevice {
  const why = whyNoMemif(options);
  if (why !== "") throw new RangeError(why);
  const { id = 0, ringSize = DEFAULT_RING_SIZE, secret = "" } = options;
  const port = new MemifPort(pool, {
    path: options.path,
    role: options.role ?? "client",
    mac: macOf(options.mac),
    mtuBytes: options.mtuBytes ?? 1500,
    link: {
      id,
      secret,
      interfaceName: options.name ?? `memif${id}`,
      queuePairs: options.queuePairs ?? 1,
      log2RingSize: Math.log2(ringSize),
      features: (options.offload ?? true) ? Feature.OFFLOAD : 0,
    },
  });
  return new MemifDevice(pool, port);
}

function macOf(given: Uint8Array | undefined): Uint8Array {
  const mac = new Uint8Array(given ?? randomBytes(6));
  if (given === undefined) mac[0] = (mac[0]! & 0xfc) | 2; // locally administered, one receiver
  if (mac.length === 6 && (mac[0]! & 1) === 0) return mac;
  throw new RangeError(`mac: expected six bytes, not a group address, got ${mac}`);
}

const { TX_BORROWS, TX_FAR } = Capability;
/** With any peer: software does what the peer does not. */
const ALWAYS =
  Capability.TX_CHECKSUM |
  Capability.TX_TSO4 |
  Capability.TX_TSO6 |
  Capability.TX_USO |
  Capability.RX_COALESCE;

export class MemifDevice implements Device {
  readonly kind = "memif";
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  private readonly port: MemifPort;
  /** What a peer that is not Millrace's does not do. */
  private readonly software: Offload;

  /** Use {@link openMemif}. */
  constructor(pool: Pool, port: MemifPort) {
    this.port = port;
    this.name = port.name;
    this.mac = port.mac;
    this.mtuBytes = port.mtuBytes;
    this.software = new Offload(port, pool);
  }

  /**
   * Hot path. A peer that is Millrace's too only reads what it is sent, and what a client sends it reads
   * where it is.
   */
  get capabilities(): number {
    const { link } = this.port;
    if (!link.isExtended) return ALWAYS;
    return link.isReadInPlace ? ALWAYS | TX_BORROWS | TX_FAR : ALWAYS | TX_BORROWS;
  }

  get counters(): Counters<DeviceCounter> {
    return this.port.counters;
  }

  /** How the link fares, and what bad input came. */
  get linkCounters(): Counters<MemifCounter> {
    return this.port.memif;
  }

  get isUp(): boolean {
    return this.port.isUp;
  }

  /** The peer is Millrace too: segments pass unsplit and checksums unmade. */
  get isExtended(): boolean {
    return this.port.link.isExtended;
  }

  /** The peer's program, as it calls itself, and its interface; empty until one has come. */
  get peer(): { readonly name: string; readonly interfaceName: string } {
    return { name: this.port.link.peerName, interfaceName: this.port.link.peerInterface };
  }

  /** Why the link is down, for people; empty while it is up. */
  get downReason(): string {
    return this.port.link.downReason;
  }

  get wakeFd(): number {
    return this.port.wakeFd;
  }

  /** What a Millrace client sends to this server may be left in its memory: see `Device`. */
  get leavesPayload(): boolean {
    return this.port.context.leavesPayload;
  }

  set leavesPayload(is: boolean) {
    this.port.context.leavesPayload = is;
  }

  /** Hot path. To another Millrace process with one queue: its express ring. */
  get lane(): Lane | null {
    return this.port.link.lane;
  }

  /** Hot path. */
  receive(nowUs: number, batch: Batch): void {
    this.port.receive(nowUs, batch);
  }

  /** Hot path. */
  transmit(nowUs: number, batch: Batch): number {
    return this.port.link.isExtended
      ? this.port.transmit(nowUs, batch)
      : this.software.transmit(nowUs, batch);
  }

  /** Hot path. What software offload still has goes out here. */
  flush(nowUs: number): void {
    if (!this.port.link.isExtended) this.software.flush(nowUs);
  }

  nextDeadlineUs(): number {
    return this.port.link.isExtended ? this.port.nextDeadlineUs() : this.software.nextDeadlineUs();
  }

  prepareSleep(): boolean {
    return this.port.prepareSleep();
  }

  close(): void {
    this.software.close();
  }
}
