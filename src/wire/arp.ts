/**
 * ARP for IPv4 over Ethernet, RFC 826.
 *
 *  0               2               4       5       6               8
 * +---------------+---------------+-------+-------+---------------+
 * | hardware (1)  | type (0x0800) | 6     | 4     | operation     |
 * +---------------+---------------+-------+-------+---------------+
 * | sender hardware (6) | sender IPv4 (4) | target hardware (6) | target IPv4 (4) |
 * +---------------------+-----------------+---------------------+-----------------+
 *
 * Not here: other hardware or protocols, RARP, InARP. Probes and announcements (RFC 5227) are
 * ordinary requests with a particular choice of addresses.
 */
import type { Bytes } from "../base/bytes.js";
import { i32, put16, put32, u16 } from "../base/bytes.js";
import { Drop } from "./drop.js";
import { copyAddress, putAddress } from "./ethernet.js";

export const PACKET_BYTES = 28;

export const REQUEST = 1;
export const REPLY = 2;

const HARDWARE_AND_TYPE = 0;
const LENGTHS = 4;
const OPERATION = 6;
/** Offsets of the four addresses, for `ethernet.copyAddress` and `IpAddress.read4`. */
export const SENDER_MAC = 8;
export const SENDER_IP = 14;
export const TARGET_MAC = 18;
export const TARGET_IP = 24;

const ETHERNET_IPV4 = 0x0001_0800;
const LENGTHS_6_4 = 0x0604;

/** Decides whether this is an ARP packet for Ethernet and IPv4 with a sender that can exist. */
export function check(b: Bytes, at: number, end: number): Drop {
  if (end - at < PACKET_BYTES) return Drop.ARP_TRUNCATED;
  if (i32(b, at + HARDWARE_AND_TYPE) !== ETHERNET_IPV4) return Drop.ARP_BAD_FORMAT;
  if (u16(b, at + LENGTHS) !== LENGTHS_6_4) return Drop.ARP_BAD_FORMAT;
  const op = u16(b, at + OPERATION);
  if (op !== REQUEST && op !== REPLY) return Drop.ARP_BAD_OPERATION;
  const first = b[at + SENDER_MAC]!;
  if ((first & 1) !== 0) return Drop.ARP_BAD_ADDRESS;
  if (u16(b, at + SENDER_MAC) === 0 && i32(b, at + SENDER_MAC + 2) === 0)
    return Drop.ARP_BAD_ADDRESS;
  return Drop.NONE;
}

export const operation = (b: Bytes, at: number): number => u16(b, at + OPERATION);
/** Sender's IPv4 address, int32; 0 in a probe (RFC 5227 §2.1.1). */
export const senderIp = (b: Bytes, at: number): number => i32(b, at + SENDER_IP);
/** Target's IPv4 address, int32. */
export const targetIp = (b: Bytes, at: number): number => i32(b, at + TARGET_IP);

/** Writes a request for `targetIp`; the target's hardware address is written as zeros. */
export function writeRequest(
  b: Bytes,
  at: number,
  senderMac: Bytes,
  senderIp: number,
  targetIp: number,
): void {
  writeFixed(b, at, REQUEST);
  copyAddress(b, at + SENDER_MAC, senderMac, 0);
  put32(b, at + SENDER_IP, senderIp);
  putAddress(b, at + TARGET_MAC, 0, 0);
  put32(b, at + TARGET_IP, targetIp);
}

/**
 * Writes the reply to the request at `requestAt` in the same or another buffer: we are
 * `senderMac`, and own the address that was asked for. Precondition: the two do not overlap.
 */
export function writeReply(
  b: Bytes,
  at: number,
  senderMac: Bytes,
  request: Bytes,
  requestAt: number,
): void {
  writeFixed(b, at, REPLY);
  copyAddress(b, at + SENDER_MAC, senderMac, 0);
  put32(b, at + SENDER_IP, targetIp(request, requestAt));
  copyAddress(b, at + TARGET_MAC, request, requestAt + SENDER_MAC);
  put32(b, at + TARGET_IP, senderIp(request, requestAt));
}

function writeFixed(b: Bytes, at: number, operation: number): void {
  put32(b, at + HARDWARE_AND_TYPE, ETHERNET_IPV4);
  put16(b, at + LENGTHS, LENGTHS_6_4);
  put16(b, at + OPERATION, operation);
}
