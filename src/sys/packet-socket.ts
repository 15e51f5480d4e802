/**
 * AF_PACKET sockets of Linux (packet(7)) with TPACKET_V2 rings: opening, the two rings, binding,
 * waking. The driver is `nic/packet.ts`; it reads and writes the rings itself.
 */
import * as errno from "../base/errno.js";
import { type Addon, addon } from "./addon.js";
import { check, type Hints } from "./check.js";
import { Mapping } from "./mapping.js";

/** Options of SOL_PACKET. */
const OPTION = {
  VERSION: 10,
  LOSS: 14,
  VNET_HDR: 15,
  FANOUT: 18,
  TX_HAS_OFF: 19,
  QDISC_BYPASS: 20,
  IGNORE_OUTGOING: 23,
} as const;
const TPACKET_V2 = 1;
const MEMBERSHIP = { PROMISCUOUS: 1, ALL_MULTICAST: 2 } as const;
/** PACKET_FANOUT_HASH, with fragments put together first, so that they go where their flow goes. */
const FANOUT_HASH_DEFRAG = 0x8000 << 16;

/** struct tpacket2_hdr: 32-bit words of a frame's place, and 16-bit ones. */
export const STATUS_WORD = 0;
export const LENGTH_WORD = 1;
export const CAPTURED_WORD = 2;
export const MAC_HALF = 6;
export const NET_HALF = 7;
export const VLAN_TCI_HALF = 12;
export const VLAN_TPID_HALF = 13;
/** The virtio-net header of these rings has no num_buffers. */
export const VNET_HEADER_BYTES = 10;

/** Bits of a received frame's status word. */
export const RxStatus = {
  USER: 1,
  LOSING: 4,
  CHECKSUM_NOT_READY: 8,
  VLAN_VALID: 16,
  CHECKSUM_VALID: 128,
} as const;
/** Values of a sent frame's status word. */
export const TxStatus = { AVAILABLE: 0, SEND_REQUEST: 1, SENDING: 2, WRONG_FORMAT: 4 } as const;

export interface PacketRingSize {
  /** Bytes of a frame's place: a multiple of 16. */
  readonly frameBytes: number;
  readonly frames: number;
}

/** Both rings' memory: the rx ring first, then the tx ring. */
export interface PacketRings {
  readonly words: Int32Array;
  readonly halves: Uint16Array;
  readonly bytes: Uint8Array;
  readonly txAt: number;
}

/** Contiguous memory that the kernel allocates a ring in: one or more frames. */
export const BLOCK_BYTES = 65_536;

/** Frames in a block; a frame that is longer has a block for itself. */
export const framesPerBlock = ({ frameBytes }: PacketRingSize): number =>
  Math.max(1, Math.floor(BLOCK_BYTES / frameBytes));

export class PacketSocket {
  readonly fd: number;
  private readonly native: Addon;
  private mapping: Mapping | null = null;
  private isOpen = true;

  /** A socket that receives nothing until {@link bind}. */
  constructor() {
    this.native = addon();
    this.fd = check(this.native.packetOpen(), "socket AF_PACKET", OPEN_HINTS);
  }

  /** Every frame has a virtio-net header in front, both ways: checksums and segments pass unmade. */
  enableOffload(): void {
    this.set("VNET_HDR", 1);
  }

  /** Makes both rings and maps them. */
  makeRings(rx: PacketRingSize, tx: PacketRingSize): PacketRings {
    this.set("VERSION", TPACKET_V2);
    // A frame that cannot be sent is given back as if it had been, instead of stopping the ring.
    this.set("LOSS", 1);
    // Each sent frame says where it starts.
    this.set("TX_HAS_OFF", 1);
    const rxBytes = this.makeRing(0, rx);
    const txBytes = this.makeRing(1, tx);
    this.mapping = new Mapping(this.fd, 0, rxBytes + txBytes);
    const { buffer } = this.mapping;
    return {
      words: new Int32Array(buffer),
      halves: new Uint16Array(buffer),
      bytes: new Uint8Array(buffer),
      txAt: rxBytes,
    };
  }

  private makeRing(isTx: number, { frameBytes, frames }: PacketRingSize): number {
    const blockBytes = Math.max(BLOCK_BYTES, frameBytes);
    const blocks = frames / framesPerBlock({ frameBytes, frames });
    const made = this.native.packetRing(this.fd, isTx, blockBytes, blocks, frameBytes, frames);
    check(made, `setsockopt PACKET_${isTx === 1 ? "TX" : "RX"}_RING`, RING_HINTS);
    return blockBytes * blocks;
  }

  /** Frames that this host sends do not come back as received ones (Linux 4.20). */
  ignoreOutgoing(): void {
    this.set("IGNORE_OUTGOING", 1);
  }

  /** Sent frames pass by the queueing discipline, so that a full NIC is noticed here. */
  bypassQueues(): void {
    this.set("QDISC_BYPASS", 1);
  }

  /** Shares the interface's frames, by flow, with the sockets of the same group; once bound. */
  joinFanout(group: number): void {
    check(this.native.packetOption(this.fd, OPTION.FANOUT, group | FANOUT_HASH_DEFRAG), FANOUT, {
      [errno.EINVAL]: `group ${group} is of another interface or kind; choose another number`,
      [errno.EALREADY]: "the socket is in a group already",
      [errno.ENOSPC]: `group ${group} is full`,
    });
  }

  /** From now on frames are received. */
  bind(interfaceIndex: number): void {
    check(this.native.packetBind(this.fd, interfaceIndex), "bind AF_PACKET", {
      [errno.ENODEV]: "the interface is gone",
      [errno.ENETDOWN]: "the interface is down; run: ip link set NAME up",
    });
  }

  /** The NIC receives every frame, or every multicast frame, while the socket is open. */
  receiveAll(interfaceIndex: number, isPromiscuous: boolean): void {
    const type = isPromiscuous ? MEMBERSHIP.PROMISCUOUS : MEMBERSHIP.ALL_MULTICAST;
    const added = this.native.packetMembership(this.fd, interfaceIndex, type);
    check(added, "setsockopt PACKET_ADD_MEMBERSHIP");
  }

  /** Hot path. Has the kernel send what the tx ring holds: 0 or a negative error number. */
  send(): number {
    return this.native.packetSend(this.fd);
  }

  /** Frames that passed and frames that were lost since the last call, into two values. */
  readStatistics(out: Int32Array): boolean {
    return this.native.packetStatistics(this.fd, out) === 0;
  }

  /** Unmaps the rings and closes the descriptor. Idempotent. */
  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.mapping?.close();
    check(this.native.fdClose(this.fd), "close");
  }

  private set(name: keyof typeof OPTION, value: number): void {
    const set = this.native.packetOption(this.fd, OPTION[name], value);
    check(set, `setsockopt PACKET_${name}`, {
      [errno.ENOPROTOOPT]: "this kernel is too old: Linux 4.20 or later is needed",
    });
  }
}

const FANOUT = "setsockopt PACKET_FANOUT";

const OPEN_HINTS: Hints = {
  [errno.EPERM]:
    "AF_PACKET needs CAP_NET_RAW in this network namespace: run as root, or give the program that capability",
  [errno.EAFNOSUPPORT]: "this kernel has no AF_PACKET (CONFIG_PACKET)",
};

const RING_HINTS: Hints = {
  [errno.ENOMEM]: "there is no contiguous memory for the ring; ask for fewer frames",
  [errno.EINVAL]: "expected frames that divide a block evenly",
};

/**
 * A socket that receives nothing, but has the NIC receive all multicast while it is open, and through
 * which the link can be asked about. The caller closes the descriptor.
 */
export function openMembership(interfaceIndex: number): number {
  const socket = new PacketSocket();
  try {
    socket.receiveAll(interfaceIndex, false);
    return socket.fd;
  } catch (error) {
    socket.close();
    throw error;
  }
}
