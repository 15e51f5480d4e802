/** The device of AF_PACKET rings: how frames pass; how they are opened is in packet.ts. */
import { release } from "node:os";
import { Counters } from "../base/counters.js";
import { EAGAIN, ENETDOWN, ENOBUFS } from "../base/errno.js";
import { NEVER } from "../base/time.js";
import { BATCH_FRAMES, type Batch } from "../ring/batch.js";
import { FrameFlags, NO_SLOT, type Pool, SMALL_SLOT_BYTES } from "../ring/pool.js";
import { kernelAddresses } from "../sys/interface.js";
import * as sys from "../sys/packet-socket.js";
import { Capability, type Device, type DeviceCounter } from "./device.js";
import { DeviceTally } from "./device-tally.js";
import { loseAll, setLinkFlags } from "./frame-slots.js";
import { KernelLink } from "./kernel-link.js";
import { copyAligned, type WordsAndBytes } from "./packet-copy.js";
import * as virtio from "./virtio-header.js";

/** Where a sent frame starts in its place, and up to three bytes more. */
const TX_FRAME_AT = 48;
const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;
/** Where a received frame starts in its slot, and up to three bytes more. */
const RX_FRAME_OFFSET = 64;
/** Bytes around a copied frame that may be overwritten. */
const SLACK_BYTES = 3;
const CHECK_US = 100_000;
const RETRY_US = 50;

export const PACKET_COUNTERS = {
  rxRingFull: "Kernel: frames lost because received ones had not been taken.",
  txKicks: "Calls that had the kernel send.",
} as const;
export type PacketCounter = keyof typeof PACKET_COUNTERS;
const RX_RING_FULL = 0;
const TX_KICKS = 1;

/** An opened socket and what it has. */
export interface PacketParts {
  readonly rx: sys.PacketRingSize;
  readonly tx: sys.PacketRingSize;
  readonly socket: sys.PacketSocket;
  readonly rings: sys.PacketRings;
  readonly index: number;
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  readonly hasOffload: boolean;
}

/** UDP segmentation passes from Linux 6.2 on. */
function knowsUdpSegmentation(): boolean {
  const [major, minor] = release().split(".").map(Number) as [number, number];
  return major > 6 || (major === 6 && minor >= 2);
}

function capabilitiesOf(hasOffload: boolean): number {
  if (!hasOffload) return 0;
  const tcp =
    Capability.TX_CHECKSUM | Capability.TX_TSO4 | Capability.TX_TSO6 | Capability.RX_COALESCE;
  return knowsUdpSegmentation() ? tcp | Capability.TX_USO : tcp;
}

export class PacketDevice implements Device {
  readonly kind = "packet";
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  readonly capabilities: number;
  readonly counters: Counters<DeviceCounter>;
  readonly kernelCounters: Counters<PacketCounter>;
  readonly wakeFd: number;
  /** What would make the kernel and Millrace answer the same packets; for people. */
  readonly warnings: readonly string[];

  private readonly pool: Pool;
  private readonly tally: DeviceTally;
  private readonly socket: sys.PacketSocket;
  private readonly rings: sys.PacketRings;
  private readonly arena: WordsAndBytes;
  /** Bytes of the virtio-net header: 10, or 0 without offload. */
  private readonly headerBytes: number;
  private readonly rx: sys.PacketRingSize;
  private readonly tx: sys.PacketRingSize;
  private readonly rxPerBlock: number;
  private readonly txPerBlock: number;
  /** The next place of each ring. */
  private rxNext = 0;
  private txNext = 0;
  private isUnsent = false;
  private retryAtUs = 0;
  private readonly link: KernelLink;
  private isClosed = false;
  private checkAtUs = 0;
  private readonly statistics = new Int32Array(2);

  /** Takes the socket; use {@link openPacket}. */
  constructor(pool: Pool, name: string, parts: PacketParts) {
    const { buffer, byteOffset, byteLength } = pool.bytes;
    this.pool = pool;
    this.arena = { words: new Int32Array(buffer, byteOffset, byteLength >> 2), bytes: pool.bytes };
    this.name = name;
    this.socket = parts.socket;
    this.rings = parts.rings;
    this.rx = parts.rx;
    this.tx = parts.tx;
    this.rxPerBlock = sys.framesPerBlock(parts.rx);
    this.txPerBlock = sys.framesPerBlock(parts.tx);
    this.mac = parts.mac;
    this.mtuBytes = parts.mtuBytes;
    this.headerBytes = parts.hasOffload ? sys.VNET_HEADER_BYTES : 0;
    this.capabilities = capabilitiesOf(parts.hasOffload);
    this.tally = new DeviceTally(`packet ${name}`);
    this.counters = this.tally.counters;
    this.kernelCounters = new Counters(`packet ${name} kernel`, PACKET_COUNTERS);
    this.wakeFd = parts.socket.fd;
    this.warnings = warningsOf(name);
    this.link = new KernelLink(this.wakeFd, parts.index, this.wakeFd);
  }

  /** Asked about again while it is down, and at most every 100 ms while frames are asked for. */
  get isUp(): boolean {
    if (this.isClosed || this.link.isGone) return false;
    if (!this.link.isUp) this.link.ask();
    return this.link.isUp;
  }

  /** Hot path. */
  receive(nowUs: number, batch: Batch): void {
    if (this.isClosed || this.link.isGone) return;
    const { words } = this.rings;
    while (batch.n < BATCH_FRAMES) {
      const place = this.rxPlace(this.rxNext);
      const status = Atomics.load(words, place >> 2);
      if ((status & sys.RxStatus.USER) === 0) break;
      this.deliver(nowUs, batch, place, status);
      Atomics.store(words, place >> 2, 0);
      this.rxNext = this.rxNext + 1 === this.rx.frames ? 0 : this.rxNext + 1;
    }
    if (nowUs >= this.checkAtUs) this.check(nowUs);
  }

  /** Hot path. Offset in the rings of a received frame's place. */
  private rxPlace(i: number): number {
    const { frameBytes } = this.rx;
    if (this.rxPerBlock === 1) return i * frameBytes;
    const block = (i / this.rxPerBlock) | 0;
    return block * sys.BLOCK_BYTES + (i - block * this.rxPerBlock) * frameBytes;
  }

  private txPlace(i: number): number {
    const { frameBytes } = this.tx;
    if (this.txPerBlock === 1) return this.rings.txAt + i * frameBytes;
    const block = (i / this.txPerBlock) | 0;
    return this.rings.txAt + block * sys.BLOCK_BYTES + (i - block * this.txPerBlock) * frameBytes;
  }

  /** Hot path. Copies one frame into a slot of its size. */
  private deliver(nowUs: number, batch: Batch, place: number, status: number): void {
    const { pool, headerBytes } = this;
    const { words, halves } = this.rings;
    const wireBytes = words[(place >> 2) + sys.LENGTH_WORD]!;
    const lengthBytes = words[(place >> 2) + sys.CAPTURED_WORD]!;
    const macAt = halves[(place >> 1) + sys.MAC_HALF]!;
    const isWhole = lengthBytes === wireBytes && lengthBytes >= ETHERNET_BYTES;
    if (!isWhole || macAt < headerBytes || macAt + lengthBytes > this.rx.frameBytes) {
      this.tally.rxError();
      return;
    }
    const isTagged = (status & sys.RxStatus.VLAN_VALID) !== 0;
    const tagBytes = isTagged ? TAG_BYTES : 0;
    const slot = this.takeFor(lengthBytes + tagBytes);
    if (slot === NO_SLOT) {
      this.tally.rxNoSlot();
      return;
    }
    const at = pool.base(slot) + RX_FRAME_OFFSET + (macAt & 3);
    const fromAt = place + macAt - headerBytes;
    copyAligned(this.arena, at - headerBytes, this.rings, fromAt, lengthBytes + headerBytes);
    pool.at[slot] = at;
    pool.end[slot] = at + lengthBytes;
    pool.gsoBytes[slot] = 0;
    pool.flags[slot] = (status & sys.RxStatus.CHECKSUM_VALID) !== 0 ? FrameFlags.CHECKSUM_VALID : 0;
    if (headerBytes > 0 && !virtio.read(pool, slot, at - headerBytes)) {
      this.tally.rxError();
      pool.give(slot);
      return;
    }
    if (isTagged) this.insertTag(slot, place);
    setLinkFlags(pool, slot);
    pool.rxTimeUs[slot] = nowUs;
    batch.put(slot);
    this.tally.received(lengthBytes + tagBytes);
  }

  /** Hot path. */
  private takeFor(lengthBytes: number): number {
    const { pool } = this;
    const room = RX_SMALL_ROOM_BYTES;
    return lengthBytes <= room ? pool.take() : pool.takeBig();
  }

  /** The kernel took the outer VLAN tag out of the frame: back in, behind the addresses. */
  private insertTag(slot: number, place: number): void {
    const { pool } = this;
    const { halves } = this.rings;
    const at = pool.at[slot]! - TAG_BYTES;
    pool.bytes.copyWithin(at, at + TAG_BYTES, at + TAG_BYTES + 12);
    pool.view.setUint16(at + 12, halves[(place >> 1) + sys.VLAN_TPID_HALF]! || 0x8100);
    pool.view.setUint16(at + 14, halves[(place >> 1) + sys.VLAN_TCI_HALF]!);
    pool.at[slot] = at;
  }

  /** Brings link state and the kernel's counts up to date. */
  check(nowUs: number): void {
    this.checkAtUs = nowUs + CHECK_US;
    if (this.socket.readStatistics(this.statistics)) {
      const lost = this.statistics[1]! >>> 0;
      if (lost > 0) {
        this.kernelCounters.add(RX_RING_FULL, lost);
        this.tally.rxError(lost);
      }
    }
    this.link.ask();
  }

  /** Hot path. */
  transmit(_nowUs: number, batch: Batch): number {
    if (this.isClosed || this.link.isGone || !this.link.isUp)
      return loseAll(this.pool, this.tally, batch);
    const { words } = this.rings;
    let n = 0;
    for (; n < batch.n; n++) {
      const place = this.txPlace(this.txNext);
      const status = Atomics.load(words, place >> 2);
      if (status !== sys.TxStatus.AVAILABLE && status !== sys.TxStatus.WRONG_FORMAT) break;
      if (status === sys.TxStatus.WRONG_FORMAT) this.tally.txError();
      const slot = batch.slots[n]!;
      if (!this.write(slot, place)) {
        this.tally.txError();
        this.pool.give(slot);
        continue;
      }
      Atomics.store(words, place >> 2, sys.TxStatus.SEND_REQUEST);
      this.txNext = this.txNext + 1 === this.tx.frames ? 0 : this.txNext + 1;
      this.isUnsent = true;
      this.pool.give(slot);
    }
    if (n < batch.n) this.tally.txFull();
    return n;
  }

  /** Hot path. Copies a frame, its virtio-net header in front, to its place in the ring. */
  private write(slot: number, place: number): boolean {
    const { pool, headerBytes } = this;
    const { words, halves, bytes } = this.rings;
    const at = pool.at[slot]!;
    const lengthBytes = pool.end[slot]! - at;
    const frameAt = TX_FRAME_AT + (at & 3);
    const isPlaced = at - virtio.HEADER_BYTES >= pool.base(slot) && lengthBytes >= ETHERNET_BYTES;
    if (!isPlaced || frameAt + lengthBytes + SLACK_BYTES > this.tx.frameBytes) return false;
    const headerAt = at - virtio.HEADER_BYTES;
    if (headerBytes > 0 && !virtio.write(pool, slot, headerAt)) return false;
    copyAligned(this.rings, place + frameAt, this.arena, at, lengthBytes);
    const dataAt = frameAt - headerBytes;
    // Without its last two bytes, which these rings do not have.
    for (let i = 0; i < headerBytes; i++) bytes[place + dataAt + i] = pool.bytes[headerAt + i]!;
    words[(place >> 2) + sys.LENGTH_WORD] = headerBytes + lengthBytes;
    halves[(place >> 1) + sys.MAC_HALF] = dataAt;
    this.tally.sent(lengthBytes);
    return true;
  }

  /** Hot path. Has the kernel send what is in the ring. */
  flush(nowUs: number): void {
    if (!this.isUnsent || this.isClosed || this.link.isGone || nowUs < this.retryAtUs) return;
    const result = this.kick();
    // What is not sent stays in the ring.
    this.isUnsent = result === -EAGAIN || result === -ENOBUFS || result === -ENETDOWN;
    this.retryAtUs = this.isUnsent ? nowUs + (this.link.isUp ? RETRY_US : CHECK_US) : 0;
    if (result < 0 && !this.isUnsent) this.tally.txError();
  }

  /** Hot path. A link that was down before leaves an error to be collected. */
  private kick(): number {
    this.kernelCounters.add(TX_KICKS, 1);
    const result = this.socket.send();
    if (result !== -ENETDOWN) return result;
    this.link.ask();
    return this.link.isUp ? this.socket.send() : result;
  }

  nextDeadlineUs(): number {
    return this.retryAtUs === 0 || this.isClosed ? NEVER : this.retryAtUs;
  }

  close(): void {
    if (this.isClosed) return;
    this.check(0);
    this.isClosed = true;
    this.socket.close();
  }
}

/** Longest frame that is put into a small slot. */
const RX_SMALL_ROOM_BYTES = SMALL_SLOT_BYTES - RX_FRAME_OFFSET - 2 * SLACK_BYTES;

function warningsOf(name: string): string[] {
  const addresses = kernelAddresses(name);
  if (addresses.length === 0) return [];
  return [
    `the kernel has ${addresses.join(", ")} on ${name} and answers there too; take them off (ip address flush dev ${name}; ip link set ${name} addrgenmode none), or use xdp:`,
  ];
}
