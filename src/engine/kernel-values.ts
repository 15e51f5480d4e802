/**
 * What options of one socket read back as, in the kernel's own words: programs' side asks a kernel socket
 * when an option is set, and the answer is kept here. And which options may be set without any effect:
 * those that steer how the kernel's own stack or a processor works, which nobody can see on the wire or
 * in what a call returns.
 */
import { Level } from "../socket/linux-options.js";

/** Of one socket; a program that sets more reads the engine's values. */
const MAX_KEPT = 64;
const MAX_VALUE_BYTES = 64;

/** Linux's numbers; those without a name in linux-options.ts are of asm-generic/socket.h and so on. */
const NO_EFFECT: ReadonlyMap<number, ReadonlySet<number>> = new Map([
  // SO_DEBUG, SO_NO_CHECK, SO_MARK, TIMESTAMPING and RXQ_OVFL (the program's side acts on them), WIFI_STATUS, NOFCS, LOCK_FILTER, SELECT_ERR_QUEUE, BUSY_POLL,
  // MAX_PACING_RATE, INCOMING_CPU, CNX_ADVICE, PREFER_BUSY_POLL, BUSY_POLL_BUDGET, BUF_LOCK,
  // RESERVE_MEM, TXREHASH, RCVMARK, RCVPRIORITY
  [
    Level.SOCKET,
    new Set([1, 11, 36, 37, 40, 41, 43, 44, 45, 46, 47, 49, 53, 69, 70, 72, 73, 74, 75, 82]),
  ],
  // IP_RECVOPTS, RETOPTS, FREEBIND, PASSSEC, CHECKSUM, RECVFRAGSIZE, RECVERR_RFC4884, LOCAL_PORT_RANGE
  [Level.IP, new Set([6, 7, 15, 18, 23, 25, 26, 51])],
  // Reports that no datagram here has something for: the RFC 2292 ones, RECVHOPOPTS, RECVRTHDR,
  // RECVDSTOPTS, RECVPATHMTU, RECVFRAGSIZE; FLOWINFO, FLOWINFO_SEND, RECVERR_RFC4884, MULTICAST_ALL,
  // MULTICAST_HOPS and LOOP of TCP, DONTFRAG, AUTOFLOWLABEL, ADDR_PREFERENCES, RECVORIGDSTADDR (the
  // program's side acts on it), FREEBIND
  [
    Level.IPV6,
    new Set([3, 4, 5, 11, 18, 19, 29, 30, 31, 33, 53, 56, 58, 60, 62, 70, 72, 74, 77, 78]),
  ],
  // TCP_THIN_LINEAR_TIMEOUTS, THIN_DUPACK, FASTOPEN, SAVE_SYN, FASTOPEN_CONNECT, FASTOPEN_KEY,
  // FASTOPEN_NO_COOKIE, TX_DELAY
  [Level.TCP, new Set([16, 17, 23, 27, 30, 33, 34, 37])],
  // UDP_CORK (the program's side acts on it), UDP_NO_CHECK6_TX, UDP_NO_CHECK6_RX
  [Level.UDP, new Set([1, 101, 102])],
]);

export const hasNoEffect = (level: number, option: number): boolean =>
  NO_EFFECT.get(level)?.has(option) ?? false;

export class KernelValues {
  private readonly values = new Map<number, Uint8Array>();

  /** Keeps `bytes` bytes at `at`; too long ones and too many are not kept. */
  keep(level: number, option: number, view: DataView, at: number, bytes: number): void {
    const key = keyOf(level, option);
    if (bytes > MAX_VALUE_BYTES || (this.values.size >= MAX_KEPT && !this.values.has(key))) return;
    const { buffer, byteOffset } = view;
    this.values.set(key, new Uint8Array(buffer, byteOffset + at, bytes).slice());
  }

  get(level: number, option: number): Uint8Array | null {
    return this.values.get(keyOf(level, option)) ?? null;
  }

  /** What a connection has of its listener's. */
  inherited(): KernelValues {
    const child = new KernelValues();
    for (const [key, value] of this.values) {
      if (!LISTENERS_ONLY.has(key)) child.values.set(key, value);
    }
    return child;
  }
}

const keyOf = (level: number, option: number): number => level * 0x1_0000 + (option & 0xffff);

/** SO_PRIORITY, TCP_DEFER_ACCEPT, TCP_FASTOPEN, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS. */
const LISTENERS_ONLY: ReadonlySet<number> = new Set([
  keyOf(Level.SOCKET, 12),
  keyOf(Level.TCP, 9),
  keyOf(Level.TCP, 23),
  keyOf(Level.IP, 33),
  keyOf(Level.IPV6, 18),
]);
