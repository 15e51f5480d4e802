/** One ARP packet as text: `ARP, Request who-has 10.0.0.1 tell 10.0.0.2, length 28`. */
import { i32, u8, u16 } from "../base/bytes.js";
import * as arp from "./arp.js";
import * as ethernet from "./ethernet.js";
import type { PrintContext } from "./print-context.js";
import { address4, cut, has } from "./print-context.js";

const OPERATION = 6;

/** Without the leading `ARP, `; `lengthBytes` is all that the frame carries, padding included. */
export function printArp(c: PrintContext, at: number, lengthBytes: number): string {
  if (!has(c, at, 8)) return cut("arp");
  const { b } = c;
  const hardware = u16(b, at);
  const protocol = u16(b, at + 2);
  const isUsual =
    hardware === 1 && protocol === 0x0800 && u8(b, at + 4) === 6 && u8(b, at + 5) === 4;
  const operation = u16(b, at + OPERATION);
  if (!isUsual) {
    const kinds = `hardware ${hardware} (len ${u8(b, at + 4)}), protocol 0x${protocol.toString(16)} (len ${u8(b, at + 5)})`;
    return `${kinds}, operation ${operation}, length ${lengthBytes}`;
  }
  const kinds = c.options.verbose ? "Ethernet (len 6), IPv4 (len 4), " : "";
  if (!has(c, at, arp.PACKET_BYTES)) return kinds + cut("arp");
  return `${kinds}${printOperation(c, at, operation)}, length ${lengthBytes}`;
}

function printOperation(c: PrintContext, at: number, operation: number): string {
  const { b } = c;
  const senderMac = ethernet.formatAddress(b, at + arp.SENDER_MAC);
  const targetMac = ethernet.formatAddress(b, at + arp.TARGET_MAC);
  const senderIp = address4(b, at + arp.SENDER_IP);
  const targetIp = address4(b, at + arp.TARGET_IP);
  switch (operation) {
    case arp.REQUEST: {
      const zero = i32(b, at + arp.TARGET_MAC) === 0 && u16(b, at + arp.TARGET_MAC + 4) === 0;
      return `Request who-has ${targetIp}${zero ? "" : ` (${targetMac})`} tell ${senderIp}`;
    }
    case arp.REPLY:
      return `Reply ${senderIp} is-at ${senderMac}`;
    case 3:
      return `Reverse Request who-is ${targetMac} tell ${senderMac}`;
    case 4:
      return `Reverse Reply ${targetMac} at ${targetIp}`;
    case 8:
      return `Inverse Request who-is ${targetMac} tell ${senderMac}`;
    case 9:
      return `Inverse Reply ${senderMac} at ${senderIp}`;
    default:
      return `Unknown (${operation})`;
  }
}
