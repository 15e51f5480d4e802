/** Frames for the per-packet cases: IPv4 between 10.0.0.2 (the far end) and 10.0.0.1 (the host). */
import { IpAddress } from "../src/base/ip-address.js";
import * as ethernet from "../src/wire/ethernet.js";
import * as ipv4 from "../src/wire/ipv4.js";
import * as pseudoHeader from "../src/wire/pseudo-header.js";
import * as tcp from "../src/wire/tcp.js";
import * as udp from "../src/wire/udp.js";

export const HOST = IpAddress.parse("10.0.0.1");
export const FAR_TEXT = "10.0.0.2";
export const FAR: IpAddress = IpAddress.parse(FAR_TEXT);
export const HOST_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
export const FAR_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);
export const IP_AT = ethernet.HEADER_BYTES;
export const L4_AT: number = IP_AT + ipv4.HEADER_BYTES;

const UDP = 17;
const TCP = 6;

/** A datagram to the host, its checksum made. */
export function udpFrame(srcPort: number, dstPort: number, payloadBytes: number): Uint8Array {
  const b = ipFrame(UDP, udp.HEADER_BYTES + payloadBytes, FAR);
  udp.write(b, L4_AT, srcPort, dstPort, payloadBytes);
  udp.fillChecksum(b, L4_AT, pseudoHeader.sum4(b, IP_AT, UDP, b.length - L4_AT));
  return b;
}

/** A TCP segment to the host; `options` are whole words. The checksum is made. */
export function tcpFrame(
  header: tcp.TcpHeader,
  options: Uint8Array,
  payloadBytes: number,
  from: IpAddress = FAR,
): Uint8Array {
  const headerBytes = tcp.HEADER_BYTES + options.length;
  const b = ipFrame(TCP, headerBytes + payloadBytes, from);
  tcp.write(b, L4_AT, headerBytes, header);
  b.set(options, L4_AT + tcp.HEADER_BYTES);
  for (let i = L4_AT + headerBytes; i < b.length; i++) b[i] = i * 7;
  fillTcpChecksum(b, 0);
  return b;
}

/** Makes the TCP checksum of the frame at `at` again. */
export function fillTcpChecksum(b: Uint8Array, at: number): void {
  const end = ipv4.endOf(b, at + IP_AT);
  const pseudoSum = pseudoHeader.sum4(b, at + IP_AT, TCP, end - at - L4_AT);
  tcp.fillChecksum(b, at + L4_AT, end, pseudoSum);
}

function ipFrame(protocol: number, payloadBytes: number, from: IpAddress): Uint8Array {
  const b = new Uint8Array(L4_AT + payloadBytes);
  ethernet.write(b, 0, HOST_MAC, FAR_MAC, ethernet.TYPE_IPV4);
  ipv4.write(b, IP_AT, b.length - IP_AT, protocol, from.w3, HOST.w3);
  ipv4.fillChecksum(b, IP_AT);
  return b;
}
