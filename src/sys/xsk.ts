/**
 * AF_XDP sockets of Linux (Documentation/networking/af_xdp.rst): opening, registering memory, the four
 * rings, binding, waking. The driver is `nic/xdp.ts`; it reads and writes the rings itself.
 */
import * as errno from "../base/errno.js";
import { type Addon, addon } from "./addon.js";
import { check, type Hints } from "./check.js";
import { Mapping } from "./mapping.js";

/** Bytes of a chunk, which is a small slot of the pool. */
export const CHUNK_BYTES = 2_048;
/** What the kernel leaves free at the beginning of a chunk (XDP_PACKET_HEADROOM). */
export const RX_HEADROOM_BYTES = 256;
/** struct xsk_tx_metadata: flags, and the request or the completion. */
export const TX_METADATA_BYTES = 24;

/** Flags of bind: sxdp_flags. */
export const BindFlag = {
  SHARED_UMEM: 1,
  COPY: 2,
  ZERO_COPY: 4,
  NEED_WAKEUP: 8,
  /** Frames longer than a chunk come and go as several descriptors (Linux 6.6). */
  MULTI_BUFFER: 16,
} as const;

/** Bits of a descriptor's options. */
export const DescOption = {
  /** The frame goes on in the next descriptor. */
  CONTINUES: 1,
  /** Transmit: metadata lie in front of the frame. */
  METADATA: 2,
} as const;

/** In the metadata's first word: the kernel is to make the checksum. */
export const METADATA_CHECKSUM = 2;
/** Of a ring's flags word: the kernel wants to be called. */
export const RING_NEEDS_WAKEUP = 1;

const OPTION = { RX: 2, TX: 3, FILL: 5, COMPLETION: 6 } as const;
/** Where mmap finds each ring, and its place among the offsets. */
const RINGS = {
  rx: { option: OPTION.RX, fdAt: 0, place: 0, entryBytes: 16 },
  tx: { option: OPTION.TX, fdAt: 0x80000000, place: 1, entryBytes: 16 },
  fill: { option: OPTION.FILL, fdAt: 0x100000000, place: 2, entryBytes: 8 },
  completion: { option: OPTION.COMPLETION, fdAt: 0x180000000, place: 3, entryBytes: 8 },
} as const;
export type RingName = keyof typeof RINGS;

/** A mapped ring: the words that both sides share. Indices count for ever and wrap at 2^32. */
export interface XskRing {
  readonly words: Int32Array;
  /** Places in `words`. */
  readonly producerAt: number;
  readonly consumerAt: number;
  readonly flagsAt: number;
  readonly entriesAt: number;
  readonly entries: number;
}

/** Counts of XDP_STATISTICS since the socket was opened, modulo 2^32, in this order. */
export const STATISTICS = 6;

export class XskSocket {
  readonly fd: number;
  private readonly native: Addon;
  private readonly mappings: Mapping[] = [];
  private isOpen = true;

  constructor() {
    this.native = addon();
    this.fd = check(this.native.xskOpen(), "socket AF_XDP", OPEN_HINTS);
  }

  /**
   * Makes part of the arena the memory that the socket's frames are in. With `hasMetadata` every sent
   * frame has {@link TX_METADATA_BYTES} of its chunk in front of it; false when the kernel knows no
   * metadata, and then there are none.
   */
  register(memory: Uint8Array, at: number, lengthBytes: number, hasMetadata: boolean): boolean {
    const one = (metadata: number): number =>
      this.native.xskRegister(this.fd, memory, at, lengthBytes, CHUNK_BYTES, metadata);
    if (hasMetadata && one(TX_METADATA_BYTES) === 0) return true;
    check(one(0), "setsockopt XDP_UMEM_REG", registerHints(lengthBytes));
    return false;
  }

  /** Makes a ring; `entries` is a power of two. It is mapped by {@link mapRing}. */
  makeRing(name: RingName, entries: number): void {
    const made = this.native.xskRing(this.fd, RINGS[name].option, entries);
    check(made, `setsockopt XDP_${name.toUpperCase()}_RING`, {
      [errno.EINVAL]: `expected a power of two of entries, got ${entries}`,
    });
  }

  mapRing(name: RingName, entries: number): XskRing {
    const { fdAt, place, entryBytes } = RINGS[name];
    const offsets = new Int32Array(16);
    check(this.native.xskOffsets(this.fd, offsets), "getsockopt XDP_MMAP_OFFSETS", {
      [errno.ENOSYS]: "this kernel's AF_XDP is too old: Linux 5.4 or later is needed",
    });
    const [producer, consumer, desc, flags] = offsets.subarray(4 * place, 4 * place + 4);
    const mapping = new Mapping(this.fd, fdAt, desc! + entries * entryBytes);
    this.mappings.push(mapping);
    return {
      words: new Int32Array(mapping.buffer),
      producerAt: producer! >> 2,
      consumerAt: consumer! >> 2,
      flagsAt: flags! >> 2,
      entriesAt: desc! >> 2,
      entries,
    };
  }

  /** Binds to a queue; 0 or a negative error number, because callers try several ways. */
  bind(interfaceIndex: number, queue: number, flags: number, sharedFd = 0): number {
    return this.native.xskBind(this.fd, interfaceIndex, queue, flags, sharedFd);
  }

  get isZeroCopy(): boolean {
    return this.native.xskIsZeroCopy(this.fd) === 1;
  }

  /** Has this socket's system calls drive the NIC's queue for up to `busyUs`. */
  setBusyPoll(busyUs: number, budgetFrames: number): void {
    const set = this.native.xskBusyPoll(this.fd, busyUs, budgetFrames);
    check(set, "setsockopt SO_PREFER_BUSY_POLL", {
      [errno.EPERM]: "busy polling needs CAP_NET_ADMIN",
      [errno.ENOPROTOOPT]: "preferred busy polling needs Linux 5.11 or later",
    });
  }

  /** Hot path. Has the kernel look at the tx ring: 0 or a negative error number. */
  send(): number {
    return this.native.xskSend(this.fd);
  }

  /** Hot path. Has the kernel look at the fill ring, or poll: 0 or a negative error number. */
  receive(): number {
    return this.native.xskReceive(this.fd);
  }

  /** Reads the kernel's counts into the first {@link STATISTICS} values. */
  readStatistics(out: Int32Array): boolean {
    return this.native.xskStatistics(this.fd, out) === 0;
  }

  /** Unmaps the rings and closes the descriptor; the kernel then has no slot any more. Idempotent. */
  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    for (const mapping of this.mappings) mapping.close();
    check(this.native.fdClose(this.fd), "close");
  }
}

const OPEN_HINTS: Hints = {
  [errno.EPERM]:
    "AF_XDP needs CAP_NET_RAW in this network namespace: run as root, or give the program that capability",
  [errno.EAFNOSUPPORT]:
    "this kernel has no AF_XDP (CONFIG_XDP_SOCKETS); use packet: or tap: devices",
};

function registerHints(lengthBytes: number): Hints {
  const mib = Math.ceil(lengthBytes / 2 ** 20);
  const locked = `the pool's ${mib} MiB of small slots are more than may be locked: raise ulimit -l, give CAP_IPC_LOCK, or use a smaller pool`;
  return { [errno.ENOBUFS]: locked, [errno.ENOMEM]: locked };
}

/** What helps when binding fails. */
export function bindHints(name: string, queue: number): Hints {
  return {
    [errno.EBUSY]: `queue ${queue} of ${name} has an AF_XDP socket already; close it or choose another queue`,
    [errno.EINVAL]: `${name} has no queue ${queue}, or refuses these modes; see ethtool -l ${name}`,
    [errno.ENODEV]: `there is no interface ${name} any more`,
    [errno.ENETDOWN]: `${name} is down; run: ip link set ${name} up`,
    [errno.EPERM]: "AF_XDP needs CAP_NET_RAW in this network namespace",
    [errno.EOPNOTSUPP]: `the driver of ${name} does not do what was asked for; leave out zeroCopy: true`,
  };
}
