/**
 * SYN cookies of a listening socket without the socket (RFC 4987): made from and checked by headers alone.
 * The kernel's cookies have the kernel's secret; these have the runtime's, so each side checks its own only.
 *
 * Low two bits: which of four maximum segment sizes; the others: a keyed hash of addresses, ports, sequence
 * number, size and minute. A cookie is good for one to two minutes.
 */
import { EACCES, EINVAL } from "../base/errno.js";
import { SipHash } from "../base/siphash.js";
import { argument, type Helper, setResult, setResult64 } from "./helper.js";
import type { Runtime } from "./runtime.js";

const MSS_SIZES = [536, 1220, 1440, 1460];
const DEFAULT_MSS = 536;
const TCP_BYTES = 20;
const SYN_ACK_RST_FIN = 0x17;
const SYN = 0x02;
const ACK = 0x10;
const OPTION_MSS = 2;
const MINUTE_HIGH_SHIFT = 4;

const words = new Int32Array(16);
const hashes = new WeakMap<Runtime, SipHash>();

function hashOf(r: Runtime): SipHash {
  let hash = hashes.get(r);
  if (hash === undefined) {
    const key = new Uint8Array(Int32Array.from({ length: 4 }, () => r.random.int32()).buffer);
    hash = new SipHash(key);
    hashes.set(r, hash);
  }
  return hash;
}

/** 68.7 seconds: 2^36 nanoseconds, which two words give by shifting. */
function minuteOf(r: Runtime): number {
  return (r.nowHigh << (32 - MINUTE_HIGH_SHIFT)) | (r.nowHigh >>> MINUTE_HIGH_SHIFT);
}

function cookie(
  r: Runtime,
  addressesAt: number,
  addressBytes: number,
  tcpAt: number,
  seq: number,
  size: number,
  minute: number,
): number {
  let n = 0;
  for (let at = 0; at < 2 * addressBytes; at += 4)
    words[n++] = r.view.getInt32(addressesAt + at, true);
  words[n++] = r.view.getInt32(tcpAt, true);
  words[n++] = seq;
  words[n++] = size;
  words[n++] = minute;
  return (hashOf(r).hash(words, n) & ~3) | size;
}

function mssOf(r: Runtime, tcpAt: number, lengthBytes: number): number {
  for (let at = TCP_BYTES; at + 1 < lengthBytes; ) {
    const kind = r.bytes[tcpAt + at]!;
    if (kind === 0) break;
    const optionBytes = kind === 1 ? 1 : r.bytes[tcpAt + at + 1]!;
    if (optionBytes < 1 || at + optionBytes > lengthBytes) break;
    if (kind === OPTION_MSS && optionBytes === 4) return r.view.getUint16(tcpAt + at + 2);
    at += optionBytes;
  }
  return DEFAULT_MSS;
}

interface Family {
  readonly name: string;
  readonly header: "ipv4 header" | "ipv6 header";
  readonly addressesAt: number;
  readonly addressBytes: number;
}

function generate(r: Runtime, f: Family): void {
  const [ip, tcpAt, lengthBytes] = [argument(r, 1), argument(r, 2), argument(r, 3)];
  const headerBytes = (r.bytes[tcpAt + 12]! >> 4) * 4;
  const isSyn = (r.bytes[tcpAt + 13]! & SYN_ACK_RST_FIN) === SYN;
  if (lengthBytes < TCP_BYTES || headerBytes !== lengthBytes || !isSyn) {
    setResult(r, -EINVAL);
    return;
  }
  const mss = mssOf(r, tcpAt, lengthBytes);
  let size = 0;
  while (size < 3 && MSS_SIZES[size + 1]! <= mss) size++;
  const seq = r.view.getInt32(tcpAt + 4);
  const value = cookie(r, ip + f.addressesAt, f.addressBytes, tcpAt, seq, size, minuteOf(r));
  setResult64(r, value, MSS_SIZES[size]!);
}

function checkCookie(r: Runtime, f: Family): number {
  const [ip, tcpAt] = [argument(r, 1), argument(r, 2)];
  if ((r.bytes[tcpAt + 13]! & SYN_ACK_RST_FIN) !== ACK) return -EINVAL;
  const given = (r.view.getInt32(tcpAt + 8) - 1) | 0;
  const seq = (r.view.getInt32(tcpAt + 4) - 1) | 0;
  for (const ago of [0, 1]) {
    const minute = minuteOf(r) - ago;
    const made = cookie(r, ip + f.addressesAt, f.addressBytes, tcpAt, seq, given & 3, minute);
    if (made === given) return 0;
  }
  return -EACCES;
}

const FAMILIES: readonly Family[] = [
  { name: "ipv4", header: "ipv4 header", addressesAt: 12, addressBytes: 4 },
  { name: "ipv6", header: "ipv6 header", addressesAt: 8, addressBytes: 16 },
];

export const COOKIE_HELPERS: readonly Helper[] = FAMILIES.flatMap((family, n): Helper[] => [
  {
    number: 204 + n,
    name: `tcp_raw_gen_syncookie_${family.name}`,
    arguments: [family.header, "memory", "size"],
    result: "number",
    effect: "input",
    run: (r) => generate(r, family),
  },
  {
    number: 206 + n,
    name: `tcp_raw_check_syncookie_${family.name}`,
    arguments: [family.header, "tcp header"],
    result: "number",
    effect: "input",
    run: (r) => setResult(r, checkCookie(r, family)),
  },
]);
